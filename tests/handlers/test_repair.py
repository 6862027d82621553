"""Each thing that can go wrong with what a region has made of the log: found, and mended.

The audit reads the regions as it reads running ones; the repair is made of the same parts.
"""

from typing import Any

import orjson
import pytest

from antiphon.verification import Verdict
from projections.repair import How, Mend, RepairRefused
from projections.subscriber_view import SUBSCRIBER_VIEW
from projections.views import opened_document
from tests.handlers.audited import audit, delete, items, put, repair_of
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS
MINUTE_MS = 60_000
PROFILE = {"type": "ChangeServiceProfile", "data": {"imsi": ACTIVATION["data"]["imsi"]}}


def mend(network: Network, verdict: Verdict) -> None:
    """Mend all that can be, and let the regions come to rest."""
    assert verdict.mends, verdict
    for one in verdict.mends:
        repair_of(network, one.region).mend(one)
    for region in REGIONS:
        repair_of(network, region).sweep()
    network.settle()
    for region in REGIONS:
        repair_of(network, region).sweep()


def head(network: Network, region: str, name: str) -> dict[str, Any]:
    return next(
        item
        for item in items(network, region, "views")
        if item["k"]["S"].startswith(f"{name}#") and item["s"]["S"] == "head"
    )


@pytest.fixture
def answered(network: Network) -> Network:
    """A network that has decided, applied and answered some commands."""
    network[US].post(ACTIVATION)
    for number, region in enumerate(REGIONS):
        command = {**ACTIVATION, **PROFILE, "command_id": f"p{number}"}
        command["data"] = {**PROFILE["data"], "service_profile": f"profile-{number}"}
        network[region].post(command)
    network.settle()
    assert audit(network).good
    return network


def log_of(network: Network) -> list[dict[str, Any]]:
    return items(network, US, "events")


def check_mended(network: Network, *, kind: str, text: str) -> None:
    """Expect exactly this to be found, to be mended, and the log to stay as it is."""
    before = log_of(network)
    verdict = audit(network)
    assert {one.kind for one in verdict.violations} == {kind}
    assert any(text in one.text for one in verdict.violations), verdict.violations
    mend(network, verdict)
    after = audit(network)
    assert after.good, after.violations
    assert log_of(network) == before


def test_a_view_that_is_missing_is_applied_again(answered: Network):
    delete(answered, EU, "views", "k", "s", item=head(answered, EU, SUBSCRIBER_VIEW.name))
    check_mended(answered, kind="view", text="the view is missing")


def test_a_view_that_is_behind_is_applied_again(network: Network):
    network[US].post(ACTIVATION)
    network.settle()
    network[US].post({**ACTIVATION, "command_id": "more"})
    network.take(AP, "lane")
    network.settle()
    network[US].later(ms=MINUTE_MS)
    verdict = audit(network)
    assert {one.text for one in verdict.violations if one.where == AP} == {
        "it has applied sequence 1, the log ends at 2"
    }
    mend(network, verdict)
    assert audit(network).good
    assert [answer["sequence"] for answer in network[US].answers] == [1, 2]


def tamper_with(network: Network, **fields: str) -> None:
    """Have a region's view show something else."""
    item = head(network, AP, SUBSCRIBER_VIEW.name)
    document = opened_document(item, network[AP].deps.cipher)
    del item["x"]
    shown = orjson.dumps((document or {}) | fields).decode()
    put(network, AP, "views", item | {"d": {"S": shown}})


def test_a_view_that_shows_something_else_is_folded_again(answered: Network):
    tamper_with(answered, service_profile="never")
    check_mended(answered, kind="view", text="its service_profile is not that of the log")


def test_a_list_key_that_is_missing_is_written_again(answered: Network):
    item = head(answered, EU, SUBSCRIBER_VIEW.name)
    del item["l1"]
    put(answered, EU, "views", item)
    found = answered[EU].get("/subscribers", msisdn=ACTIVATION["data"]["msisdn"])
    assert found[1]["items"] == []
    check_mended(answered, kind="view", text="its list key l1 is not that of its document")
    found = answered[EU].get("/subscribers", msisdn=ACTIVATION["data"]["msisdn"])
    assert len(found[1]["items"]) == 1


def test_a_row_that_is_missing_is_written_again(answered: Network):
    row = next(item for item in items(answered, US, "views") if item["s"]["S"] == f"{2:020d}")
    delete(answered, US, "views", "k", "s", item=row)
    check_mended(answered, kind="view", text="is missing")


def test_rows_of_a_long_history_are_written_in_slices(network: Network):
    for number in range(120):
        network[US].post({**ACTIVATION, "command_id": f"c{number}"})
    network.settle()
    rows = [item for item in items(network, US, "views") if item["s"]["S"].isdigit()]
    for row in rows:
        delete(network, US, "views", "k", "s", item=row)
    check_mended(network, kind="view", text="is missing")


def test_a_lost_acknowledgement_is_proved_and_the_answer_given(network: Network):
    network[US].post(ACTIVATION)
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    [_lost, *others] = network.take(US, "acks")
    network[US].acknowledge(*others)
    assert network[US].answers == []
    check_mended(network, kind="answer", text="it is not answered; it waits for")
    assert len(network[US].answers) == 1


def test_an_answer_that_is_missing_is_opened_and_given_under_the_same_id(answered: Network):
    first = answered[EU].answers[0]
    [item] = [
        i for i in items(answered, EU, "responses") if i["c"]["S"] == first["command"]["commit"]
    ]
    delete(answered, EU, "responses", "c", item=item)
    check_mended(answered, kind="answer", text="it has no answer")
    again = answered[EU].answers[-1]
    assert again["answer_id"] == first["answer_id"]
    assert again["as_of_sequence"] >= first["as_of_sequence"]


def test_an_answer_that_still_stands_among_the_pending_is_taken_out(answered: Network):
    item = items(answered, US, "responses")[0]
    put(answered, US, "responses", item | {"pending": {"S": "1"}, "due": {"N": "1"}})
    given = len(answered[US].answers)
    check_mended(answered, kind="answer", text="still stands among the pending")
    assert len(answered[US].answers) == given


def test_an_answer_that_was_given_is_not_given_again(answered: Network):
    """Whoever repairs twice, or too late, answers nothing a second time."""
    given = {region: len(answered[region].answers) for region in REGIONS}
    commit = answered[US].answers[0]["command"]["commit"]
    repair = repair_of(answered, US)
    repair.mend(Mend(how=How.ANSWER, region=US, subject=commit))
    repair.sweep()
    answered.settle()
    assert {region: len(answered[region].answers) for region in REGIONS} == given


@pytest.mark.parametrize("wrong", ["hole", "twice"])
def test_a_log_that_is_wrong_is_reported_and_never_touched(answered: Network, wrong: str):
    commits = sorted(log_of(answered), key=lambda item: int(item["q"]["N"]))
    if wrong == "hole":
        delete(answered, US, "events", "a", "q", item=commits[1])
        text = "the commit after position 1 stands at 3, not 2"
    else:
        put(answered, US, "events", commits[-1] | {"q": {"N": "5"}})
        text = "its predecessor is 3, the commit before it ends at 4"
    before = log_of(answered)
    verdict = audit(answered)
    assert text in [one.text for one in verdict.violations if one.kind == "log"]
    for one in verdict.mends:
        try:
            repair_of(answered, one.region).mend(one)
        except RepairRefused:
            continue
    answered[US].sweep()
    answered.settle()
    assert log_of(answered) == before
    assert text in [one.text for one in audit(answered).violations]


def test_a_view_that_is_ahead_of_the_log_is_not_lowered(answered: Network):
    """As after a restore to an earlier time: whoever lowered it would hide what was lost."""
    last = max(log_of(answered), key=lambda item: int(item["q"]["N"]))
    delete(answered, US, "events", "a", "q", item=last)
    verdict = audit(answered)
    assert verdict.mends == []
    refold = Mend(how=How.REFOLD, region=EU, subject=last["a"]["S"], build=SUBSCRIBER_VIEW.build)
    with pytest.raises(RepairRefused, match="where the log has no end"):
        repair_of(answered, EU).mend(refold)


def test_a_view_that_moves_while_it_is_folded_again_is_folded_once_more(answered: Network):
    tamper_with(answered, service_profile="never")
    [wrong] = audit(answered).mends
    repair = repair_of(answered, AP)
    read, moved = repair.log.read, []

    class Moving:
        """A log beside which a commit is applied, once, between its reading and the write."""

        def __getattr__(self, name: str) -> Any:
            return getattr(answered.log, name)

        def read(self, *args: Any, **more: Any) -> Any:
            found = list(read(*args, **more))
            if not moved:
                moved.append(answered[US].post({**ACTIVATION, "command_id": "between"}))
                answered.settle()
            return iter(found)

    object.__setattr__(repair, "log", Moving())
    repair.mend(wrong)
    assert moved
    assert audit(answered).good


def test_what_is_not_known_cannot_be_mended(answered: Network):
    repair = repair_of(answered, US)
    nobody = "sub." + "a" * 26
    with pytest.raises(RepairRefused, match="no commit"):
        repair.mend(Mend(how=How.APPLY, region=US, subject=nobody))
    with pytest.raises(RepairRefused, match="not in use"):
        repair.mend(Mend(how=How.REFOLD, region=US, subject=nobody, build="subscriber-view#9"))
