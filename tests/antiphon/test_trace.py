"""The way of one command, as the command line puts it together and draws it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from antiphon.problems import Problem
from antiphon.trace import Regions
from antiphon.trace_display import print_trace
from antiphon.tracing import Look, Trace, trace_of
from eventstore.commits import CommandStamp, Commit
from projections.regions import RegionState, Topology
from projections.response_items import Response
from projections.ways import Way
from tests.commits import a_commit
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS
T0 = 1_700_000_000_000
STAMP = CommandStamp(
    type="X", command_id="1", producer="crm", occurred_at=None, received_at_ms=T0 - 5
)


BODY = '{"outcome": "accepted"}'


class Connected:
    """A connection to the regions of a test's network; a region in `silent` does not answer."""

    def __init__(self, engine: InProcessRegions) -> None:
        self.regions = REGIONS
        self.silent: set[str] = set()
        self._engine = engine

    def dynamodb(self, region: str) -> Any:
        return _Routed(self, region, self._engine)


class _Routed:
    """The client of a region; the global tables are in one place for all."""

    def __init__(self, connected: Connected, region: str, engine: InProcessRegions) -> None:
        self._connected = connected
        self._region = region
        self._engine = engine

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            if self._region in self._connected.silent:
                raise EndpointConnectionError(endpoint_url="http://region")
            shared = str(request.get("TableName", "")).startswith(("events-", "control-"))
            client = self._engine.client("dynamodb", US if shared else self._region)
            return getattr(client, operation)(**request)

        return call


@pytest.fixture
def engine() -> InProcessRegions:
    return InProcessRegions()


@pytest.fixture
def network(engine: InProcessRegions) -> Network:
    return Network(engine)


@pytest.fixture
def connected(engine: InProcessRegions) -> Connected:
    return Connected(engine)


def regions(network: Network, connected: Connected, there: Any = REGIONS) -> Regions:
    deps = network[US].deps
    deps._clients = connected  # type: ignore[assignment]
    return Regions(connected, deps, there=there)  # type: ignore[arg-type]


def told(network: Network, connected: Connected, commit: Commit, there: Any = REGIONS) -> Trace:
    looking = regions(network, connected, there)
    return looking.trace(looking.commit(commit.commit_id))


def steps(trace: Trace, region: str) -> list[str]:
    return [
        f"{one.step} {one.projection}" if one.projection else one.step
        for one in trace.stages
        if one.region == region
    ]


def test_an_answered_command_shows_every_step_in_every_region_and_nothing_is_missing(
    network: Network, connected: Connected
):
    commit = network.posted()
    network.settle()

    trace = told(network, connected, commit)

    in_each = ["arrived", "applied activity", "applied subscriber-view", "acknowledged"]
    first, last = ["came in", "decided", "committed"], ["answer built", "published"]
    assert sorted(steps(trace, US)) == sorted([*first, *in_each, *last])
    assert steps(trace, US)[:3] == first
    assert steps(trace, US)[-2:] == last
    for region in (EU, AP):
        assert sorted(steps(trace, region)) == sorted(in_each)
        assert steps(trace, region)[0] == "arrived"
    assert trace.missing == []
    assert (trace.origin, trace.answering, trace.outcome) == (US, US, "accepted")
    assert trace.published_at_ms is not None
    assert all(0 <= one.after_ms < 60_000 for one in trace.stages)
    assert not any(one.clock_wrong for one in trace.stages)


def test_what_a_region_has_not_done_is_said(network: Network, connected: Connected):
    commit = network.posted()
    network.take(AP, "lane")
    network.settle()

    trace = told(network, connected, commit)

    assert trace.missing == [
        "not yet applied in ap-south-1: subscriber-view and activity",
        "no answer yet, it waits for ap-south-1",
    ]
    assert steps(trace, AP) == []
    assert trace.published_at_ms is None


def test_an_acknowledgement_that_got_lost_is_told_from_not_having_applied(
    network: Network, connected: Connected
):
    commit = network.posted()
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
        if name == EU:
            network.take(US, "acks")
    network.settle()

    assert told(network, connected, commit).missing == [
        "applied in us-east-1, and not yet acknowledged to us-east-1",
        "applied in eu-west-1, and not yet acknowledged to us-east-1",
        "no answer yet, it waits for eu-west-1 and us-east-1",
    ]


def test_a_region_that_does_not_answer_or_is_dead_is_shown_as_such(
    network: Network, connected: Connected
):
    commit = network.posted()
    network.settle()
    connected.silent = {AP}

    trace = told(network, connected, commit, there=(US, AP))

    assert trace.missing == [
        "eu-west-1 is killed: what it has applied is not known",
        (
            "ap-south-1 does not answer (could not read the log: EndpointConnectionError): "
            "what it has applied is not known"
        ),
    ]
    # What was stored of it with the answer is told all the same.
    assert "acknowledged" in steps(trace, AP)


def test_without_the_region_that_answers_nothing_is_said_of_the_answer(
    network: Network, connected: Connected
):
    commit = network.posted()
    network.settle()
    connected.silent = {US}

    trace = told(network, connected, commit)

    assert (trace.answer_kept, trace.published_at_ms) == (False, None)
    assert trace.missing[-1].startswith(
        "what became of the answer is not known: us-east-1 does not answer"
    )


def test_an_answer_before_anything_was_applied_is_not_owed_yet(
    network: Network, connected: Connected
):
    commit = network.posted()

    trace = told(network, connected, commit)

    assert steps(trace, US) == ["came in", "decided"]
    assert trace.missing[-1] == "us-east-1 does not know yet that it has to answer this"


def test_a_dead_letter_that_holds_a_command_up_is_shown_with_it(
    network: Network, connected: Connected
):
    commit = network.posted()
    network[EU].stream(replace(commit), spoil={0: {"e": {"L": []}}})

    looking = regions(network, connected)

    assert [(one.region, one.letter.source) for one in looking.letters_about(commit)] == [
        (EU, "projector")
    ]
    other = network.posted(command_id="2", data={**ACTIVATION["data"], "imsi": "262019999999999"})
    assert looking.letters_about(other) == []


@pytest.mark.parametrize(
    ("identifier", "why"),
    [
        ("prov-0001", "antiphon trace prov-0001 --search"),
        ("sub.aaaaaaaaaaaaaaaaaaaaaaaaaa.7", "there is no commit sub.aaaaaaaaaaaaaaaaaaaaaaaaaa.7"),
    ],
)
def test_what_is_no_commit_is_a_clear_error(
    network: Network, connected: Connected, identifier: str, why: str
):
    with pytest.raises(Problem, match=why):
        regions(network, connected).commit(identifier)


def test_a_commit_that_has_come_to_one_region_only_is_found_there(
    network: Network, connected: Connected
):
    commit = network.posted()
    looking = regions(network, connected)
    log = looking._log

    class Elsewhere:
        def get(self, *_: Any, **__: Any) -> None:
            return None

    looking._log = lambda region: log(region) if region == AP else Elsewhere()  # type: ignore

    assert looking.commit(commit.commit_id) == commit


def test_a_log_that_nobody_can_read_is_not_said_to_lack_the_commit(
    network: Network, connected: Connected
):
    commit = network.posted()
    connected.silent = set(REGIONS)

    with pytest.raises(Problem, match="the log cannot be read now"):
        regions(network, connected).commit(commit.commit_id)


# What is put together from what is stored, however odd that is.


def put_together(
    ways: Mapping[str, Way], *, acks: Mapping[str, int], drained: str | None = None, **more: Any
) -> Trace:
    response = Response(
        commit_id="c",
        applied_at_ms=acks,
        body=more.get("body"),
        stored_at_ms=more.get("stored_at_ms"),
        published_at_ms=more.get("published_at_ms"),
        ways=ways,
    )
    topology = Topology.all_active(REGIONS)
    if drained:
        for state in (RegionState.LEAVING, RegionState.DRAINED):
            topology = topology.moved(drained, state, at_ms=0)
    looks = {r: Look(region=r, replicated=True, applied={"activity": r in acks}) for r in REGIONS}
    commit = a_commit(command=STAMP, recorded_at_ms=T0)
    return trace_of(commit, response, looks, topology=topology, answer_may_be_gone=False)


def test_a_time_before_its_cause_is_marked_and_never_shown_as_a_fact():
    way = Way(committed=80, arrived=-400, applied={"activity": -390}, heard=200)
    trace = put_together({EU: way}, acks={EU: T0 - 390})

    marked = {one.step: one.clock_wrong for one in trace.stages}
    assert marked == {
        "came in": False,
        "decided": False,
        "committed": False,
        "arrived": True,
        # By the same clock as its cause, right beside it.
        "applied": False,
        "acknowledged": False,
    }


def test_what_was_only_known_to_be_applied_is_told_so():
    trace = put_together({EU: Way(heard=900)}, acks={EU: T0 + 700})

    assert steps(trace, EU) == ["applied", "acknowledged"]
    assert [one.after_ms for one in trace.stages if one.region == EU] == [705, 905]


def test_a_drained_region_is_told_to_be_not_waited_for():
    trace = put_together({}, acks={US: T0, EU: T0}, drained=AP)

    assert trace.missing == [
        "not yet applied in ap-south-1, which is drained and not waited for: activity",
        "no answer yet",
    ]


def test_a_command_that_a_later_branch_left_aside_is_told_as_superseded():
    response = Response(
        commit_id="c", applied_at_ms={}, body='{"outcome": "superseded"}', stored_at_ms=T0 + 9,
        published_at_ms=T0 + 10,
    )  # fmt: skip
    looks = {US: Look(region=US, replicated=True, applied={"activity": False}, left_aside=True)}
    trace = trace_of(
        a_commit(command=STAMP, recorded_at_ms=T0),
        response,
        looks,
        topology=Topology.all_active(REGIONS),
        answer_may_be_gone=False,
    )

    assert trace.outcome == "superseded"
    assert trace.missing == ["left aside in us-east-1: a later branch goes on without it"]


def test_an_answer_that_is_built_and_not_published_is_told():
    trace = put_together({}, acks=dict.fromkeys(REGIONS, T0), body=BODY, stored_at_ms=T0 + 9)

    assert trace.missing == ["the answer is not yet published in us-east-1"]


def test_a_commit_of_an_older_version_is_drawn_from_its_decision_on():
    response = Response(
        commit_id="c", applied_at_ms={US: T0 + 50}, body=None, stored_at_ms=None,
        published_at_ms=None,
    )  # fmt: skip
    looks = {US: Look(region=US, replicated=True, applied={"activity": True})}
    trace = trace_of(
        a_commit(recorded_at_ms=T0),
        response,
        looks,
        topology=Topology.all_active(REGIONS),
        answer_may_be_gone=False,
    )

    assert [(one.step, one.after_ms) for one in trace.stages] == [("decided", 0), ("applied", 50)]


def test_an_answer_that_has_expired_is_told_as_that():
    trace = trace_of(
        a_commit(command=STAMP, recorded_at_ms=T0),
        None,
        {r: Look(region=r, replicated=True, applied={"activity": True}) for r in REGIONS},
        topology=Topology.all_active(REGIONS),
        answer_may_be_gone=True,
    )

    assert trace.missing == [
        "the answer is not kept any more in us-east-1: published answers expire"
    ]


def test_the_drawing_has_a_line_for_each_step_and_says_whose_clocks_these_are(
    capsys: pytest.CaptureFixture[str],
):
    ways = {
        US: Way(committed=95, arrived=100, applied={"activity": 110}, heard=120),
        EU: Way(committed=95, arrived=-300, applied={"activity": 150}, heard=230),
    }
    print_trace(put_together(ways, acks={US: T0 + 110, EU: T0 + 150}), ())

    drawn = capsys.readouterr().out.splitlines()
    steps_drawn = [line for line in drawn if "━" in line or "╸" in line]
    assert len(steps_drawn) == 3 + 3 + 3
    assert any("applied activity" in line and "155 ms" in line for line in steps_drawn)
    assert any("395 ms before its cause: a clock is wrong" in line for line in steps_drawn)
    assert any("not yet applied in ap-south-1: activity" in line for line in drawn)
    assert "clock" in drawn[-1]
    print_trace(put_together({EU: Way(heard=900)}, acks={EU: T0 + 700}), ())
    assert "had applied it" in capsys.readouterr().out
