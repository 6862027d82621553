"""Every metric, read from the lines that the functions write to their logs."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eventstore.errors import StoreUnavailable
from handlers import metrics
from handlers.measuring import of_answers
from handlers.metrics import APPLY_LAG, CONFLICTS, METRICS, Measured, Meter, counted, elapsed
from projections.builds import Phase
from tests.handlers.network import ACTIVATION, REGIONS, Network
from tests.handlers.test_commands import record

US, EU, AP = REGIONS
MINUTE_MS = 60_000
Told = dict[str, list[tuple[dict[str, str], list[float]]]]


class Log:
    """What the functions have written since it was last looked at."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def read(self) -> Told:
        """Return dimensions and values by metric."""
        told: Told = defaultdict(list)
        for line in self._capsys.readouterr().out.splitlines():
            said = json.loads(line)
            if "_aws" not in said:
                continue
            [directive] = said["_aws"]["CloudWatchMetrics"]
            assert directive["Namespace"] == "Antiphon"
            assert isinstance(said["_aws"]["Timestamp"], int)
            dimensions = {name: said[name] for name in directive["Dimensions"][0]}
            assert directive["Dimensions"][1:] == ([[]] if dimensions else [])
            for one in directive["Metrics"]:
                known = getattr(metrics, _constant(one["Name"]))
                assert (known.name, known.unit) == (one["Name"], one["Unit"])
                assert dimensions.keys() == set(known.dimensions)
                told[one["Name"]].append((dimensions, said[one["Name"]]))
        return told

    def counts(self) -> dict[str, float]:
        """Return the sum of every count."""
        return {
            name: sum(sum(values) for _, values in lines)
            for name, lines in self.read().items()
            if getattr(metrics, _constant(name)).unit == "Count"
        }


def _constant(name: str) -> str:
    return "".join(f"_{c}" if c.isupper() else c.upper() for c in name).lstrip("_")


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Iterator[Log]:
    return Log(capsys)


def test_a_command_is_counted_by_its_outcome_and_timed_until_it_is_in_the_log(
    network: Network, log: Log
):
    network[US].post(ACTIVATION)
    told = log.read()

    assert told["CommandsDecided"] == [({"outcome": "accepted"}, [1.0])]
    [(_, [ms])] = told["CommitLatency"]
    assert 0 <= ms < MINUTE_MS
    assert told.keys() == {"CommandsDecided", "CommitLatency"}


def test_duplicates_refusals_and_what_cannot_be_decided_are_told_apart(network: Network, log: Log):
    network[US].post(ACTIVATION)
    log.read()

    network[US].post(ACTIVATION)
    assert log.counts() == {"CommandsDecided": 1, "DuplicateCommands": 1}
    network[US].post({**ACTIVATION, "command_id": "2", "expected_sequence": 7})
    network[US].post("{")
    told = log.read()
    assert told["CommandsRefused"] == [
        ({"code": "conflict"}, [1.0]),
        ({"code": "malformed"}, [1.0]),
    ]
    assert told.keys() == {"CommandsRefused"}


def test_an_append_that_meets_another_writers_is_a_conflict(network: Network, log: Log):
    network[US].post(ACTIVATION)
    network[EU].post(ACTIVATION)
    network[US].post({**ACTIVATION, "command_id": "2"})
    log.read()

    network[EU].post({**ACTIVATION, "command_id": "3"})

    assert log.counts()["Conflicts"] == 1


def test_a_command_that_the_store_does_not_take_is_ours_to_answer_for(network: Network, log: Log):
    def unavailable(_request: Any) -> None:
        raise StoreUnavailable("gone")

    network[US].deps.event_store.decide = unavailable  # type: ignore[method-assign, assignment]
    assert network[US].post(ACTIVATION)[0] == 503
    network[US].take_from_queue(record("m1", ACTIVATION))

    assert log.counts() == {"CommandsNotTaken": 2}


def test_a_queued_command_is_timed_from_when_it_was_sent(network: Network, log: Log):
    sent_ms = network[US].deps.edge.now_ms() - MINUTE_MS
    network[US].take_from_queue(record("m1", ACTIVATION, sent_ms=sent_ms))

    [(_, [ms])] = log.read()["CommitLatency"]
    assert MINUTE_MS <= ms < 2 * MINUTE_MS


def test_apply_lag_is_told_by_origin_and_projection(network: Network, log: Log):
    network.posted()
    log.read()

    network[EU].project(*network.take(EU, "lane"))

    told = log.read()
    assert {tuple(sorted(dimensions.items())) for dimensions, _ in told["ApplyLag"]} == {
        (("origin", US), ("projection", "activity")),
        (("origin", US), ("projection", "subscriber-view")),
    }
    assert all(0 <= ms < MINUTE_MS for _, values in told["ApplyLag"] for ms in values)
    # Applied already: nothing new is measured.
    network[EU].project(*network.messages[EU, "lane"])
    assert "ApplyLag" not in log.read()


def test_commits_read_from_the_log_at_a_gap_are_counted(network: Network, log: Log):
    network.posted()
    network.posted(command_id="2")
    last = network.posted(command_id="3")
    log.read()

    network[EU].stream(last)

    assert log.counts() == {"GapsFilled": 2}


def test_aggregates_to_come_again_are_counted(network: Network, log: Log):
    commit = network.posted()
    log.read()

    def away(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("gone")

    network[EU].deps.applier.views.write = away  # type: ignore[method-assign, assignment]

    network[EU].stream(commit)

    assert log.counts() == {"AppliesToRepeat": 1}


def test_a_change_of_the_log_and_every_dead_letter_are_counted(network: Network, log: Log):
    commit = network.posted()
    log.read()

    network[EU].stream(commit, event_name="MODIFY")

    told = log.read()
    assert told["LogChanges"] == [({}, [1.0])]
    assert told["DeadLetters"] == [({"source": "log"}, [1.0])]
    network[EU].bury("acks-dead", "junk")
    assert log.read()["DeadLetters"] == [({"source": "acks"}, [1.0])]


def test_acknowledgements_and_answers_are_timed_where_they_come_in(network: Network, log: Log):
    network.posted()
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    log.read()

    network[US].acknowledge(*network.take(US, "acks"))

    told = log.read()
    assert [dimensions["region"] for dimensions, _ in told["AcknowledgeLatency"]] == list(REGIONS)
    [(_, [ms])] = told["AnswerLatency"]
    assert 0 <= ms < MINUTE_MS


def test_an_acknowledgement_that_comes_again_is_not_timed(network: Network, log: Log):
    commit = network.posted()
    network.settle()
    network[EU].stream(commit)
    log.read()

    network[US].acknowledge(*network.take(US, "acks"))

    assert "AcknowledgeLatency" not in log.read()


def test_every_sweep_tells_what_is_pending_and_how_long_it_is_overdue(network: Network, log: Log):
    network[US].sweep()
    told = log.read()
    assert told["PendingAnswers"] == [({}, [0.0])]
    assert told["OldestOverdueAnswer"] == [({}, [0.0])]

    network.posted()
    network.take(AP, "lane")
    network.settle()
    network[US].later(ms=10 * MINUTE_MS)
    network[US].sweep()
    first = log.read()
    # Put off by the sweep: no younger for that.
    network[US].later(ms=MINUTE_MS)
    network[US].sweep()
    second = log.read()

    assert first["PendingAnswers"] == second["PendingAnswers"] == [({}, [1.0])]
    assert first["LaggingCommits"] == [({"region": AP}, [1.0])]
    [(_, [early])], [(_, [late])] = first["OldestOverdueAnswer"], second["OldestOverdueAnswer"]
    assert 9 * MINUTE_MS < early < 10 * MINUTE_MS
    assert early + MINUTE_MS <= late < early + 2 * MINUTE_MS


def test_an_answer_that_the_sweeper_gives_is_timed_too(network: Network, log: Log):
    network.posted()
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    network.take(US, "acks")
    network[US].later(ms=MINUTE_MS)
    log.read()

    network[US].sweep()

    [(_, [ms])] = log.read()["AnswerLatency"]
    assert MINUTE_MS <= ms < 2 * MINUTE_MS


def test_the_sweeper_tells_what_is_pending_though_it_cannot_sweep(network: Network, log: Log):
    network.without_states.add(US)
    network.states_grow_old()

    network[US].sweep()

    assert log.read()["PendingAnswers"] == [({}, [0.0])]


def test_a_rebuild_tells_how_far_it_is(network: Network, log: Log):
    network.posted()
    network.settle()
    rebuild = network[US].deps.rebuild
    rebuild.begin("activity")
    assert rebuild.state("activity").phase is Phase.FILLING
    while not rebuild.step("activity", segment=0, segments=1).done:
        pass
    network[US].deps._builds.clear()
    log.read()

    network[US].sweep()

    assert log.read()["RebuiltCommits"] == [({"projection": "activity"}, [1.0])]


def test_the_letters_that_wait_are_told_by_every_look_at_them(network: Network, log: Log):
    network[EU].settle_letters()
    assert log.read()["DeadLettersWaiting"] == [({}, [0.0])]
    network[EU].bury("acks-dead", "junk")

    network[EU].settle_letters()

    assert log.read()["DeadLettersWaiting"] == [({}, [1.0])]


def test_a_time_before_its_cause_is_told_as_a_clock_that_is_wrong():
    told = list(of_answers([(1_000, 400)]))

    assert told == [Measured(metrics.CLOCK_AHEAD, 600), Measured(metrics.ANSWER_LATENCY, 0.0)]


def test_a_region_whose_clock_is_behind_shows_it_in_its_metrics(network: Network, log: Log):
    commit = network.posted()
    network[EU].later(ms=-MINUTE_MS)
    log.read()

    network[EU].stream(replace(commit))

    told = log.read()
    [(_, ahead)] = told["ClockAhead"]
    assert all(MINUTE_MS / 2 < ms <= MINUTE_MS for ms in ahead)
    assert all(values == [0.0] for _, values in told["ApplyLag"])


def meter(lines: list[str]) -> Meter:
    return Meter(function="projector", write=lines.append, now_ms=lambda: 1_700_000_000_000)


def test_no_more_than_a_hundred_values_go_into_one_line():
    lines: list[str] = []
    lags = (elapsed(APPLY_LAG, n, origin=US, projection="activity") for n in range(250))

    meter(lines).tell([*(one for lag in lags for one in lag), *counted(CONFLICTS, 3)])

    by_line = [json.loads(line) for line in lines]
    assert [len(one.get("ApplyLag", [])) for one in by_line] == [100, 100, 50, 0]
    assert [value for one in by_line for value in one.get("ApplyLag", [])] == list(range(250))
    assert by_line[-1]["Conflicts"] == [3.0]
    assert by_line[0]["_aws"]["Timestamp"] == 1_700_000_000_000
    assert by_line[0]["function"] == "projector"


def test_measuring_never_fails_what_is_measured(network: Network):
    def broken(_line: str) -> None:
        raise OSError("no space left")

    def wrong() -> Iterator[Measured]:
        yield Measured(APPLY_LAG, 1)

    lines: list[str] = []
    meter(lines).tell(wrong())
    assert lines == []
    network[US].deps.__dict__["meter"] = Meter(function="x", write=broken, now_ms=lambda: 1)
    assert network[US].post(ACTIVATION)[0] == 202


def test_no_line_holds_personal_data(network: Network, capsys: pytest.CaptureFixture[str]):
    network.posted()
    network.settle()
    network[US].sweep()

    written = capsys.readouterr().out

    assert "ApplyLag" in written
    for personal in ("imsi", "msisdn", "iccid"):
        assert ACTIVATION["data"][personal].lstrip("+") not in written


def test_every_metric_is_documented_with_its_unit_and_dimensions():
    page = (Path(__file__).parents[2] / "docs" / "OPERATIONS.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    told = {row[1].strip(" `"): (row[2].strip(), row[3].strip()) for row in rows if len(row) > 5}

    for metric in METRICS:
        dimensions = ", ".join(f"`{name}`" for name in metric.dimensions) or "-"
        unit = "count" if metric.unit == "Count" else "ms"
        assert told.get(metric.name) == (unit, dimensions), metric.name
