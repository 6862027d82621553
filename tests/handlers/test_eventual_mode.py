"""EVENTUAL mode: homes, chains and takeovers on a table where the last writer wins."""

from collections.abc import Callable
from typing import Any

import pytest

from eventstore.commits import Commit
from projections.homes import slot_of
from projections.regions import RegionState
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.bodies import at_home_in, change
from tests.handlers.eventual import EventualNetwork, commit_of
from tests.handlers.network import REGIONS

US, EU, AP = REGIONS


@pytest.fixture
def regions() -> EventualNetwork:
    return EventualNetwork(InProcessRegions())


def suspension(activated: dict[str, Any], reason: str) -> dict[str, Any]:
    return {
        "type": "SuspendSubscriber",
        "command_id": f"suspend-{reason}",
        "producer": "crm-emea",
        "data": {"imsi": activated["data"]["imsi"], "reason": reason},
    }


def change_that_only_its_home_has(
    regions: EventualNetwork,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cut Europe off, the home of a subscriber, and have it accept a change that nobody gets.

    Returns the activation, which is known everywhere, and what was told of the change.
    """
    body = at_home_in(regions, EU)
    regions[EU].post(body)
    regions.come_to_rest()
    regions.isolate(EU)
    _, told_of_it = regions[EU].post(change(body, "gold"))
    return body, told_of_it


def everywhere(regions: EventualNetwork, body: dict[str, Any]) -> list[dict[str, Any]]:
    path = f"/subscribers/{body['data']['imsi']}"
    return [regions[name].get(path)[1] for name in REGIONS]


def told(regions: EventualNetwork) -> list[tuple[str, str]]:
    """Return what was told of commands by all regions: the command's id and its outcome."""
    answers = [answer for name in REGIONS for answer in regions[name].answers]
    return [(answer["command"]["command_id"], answer["outcome"]) for answer in answers]


def test_a_command_is_appended_in_its_home_and_answered_where_it_came_in(regions: EventualNetwork):
    body = at_home_in(regions, EU)

    status, accepted = regions[US].post(body)

    assert status == 202
    commit = commit_of(regions, accepted)
    assert commit.origin == US
    assert regions.log_at(EU).head(commit.aggregate_id, consistent=True) == commit
    assert regions.log_at(US).head(commit.aggregate_id, consistent=True) is None
    regions.come_to_rest()
    assert [answer["regions"].keys() == set(REGIONS) for answer in regions[US].answers] == [True]
    assert {view["status"] for view in everywhere(regions, body)} == {"active"}


def test_nothing_is_answered_while_a_region_has_not_received_it(regions: EventualNetwork):
    body = at_home_in(regions, EU)
    regions.cut(EU, AP)
    regions[EU].post(body)
    regions.come_to_rest()
    assert told(regions) == []

    regions.heal()
    regions.come_to_rest()

    assert told(regions) == [(body["command_id"], "accepted")]


def test_a_duplicate_gets_the_first_decision_in_whichever_region(regions: EventualNetwork):
    body = at_home_in(regions, EU)
    _, first = regions[US].post(body)

    again = [regions[name].post(body)[1] for name in REGIONS]

    assert [(one["commit"], one["duplicate"]) for one in again] == [(first["commit"], True)] * 3


def test_what_the_home_refuses_is_refused_by_its_own_code(regions: EventualNetwork):
    body = at_home_in(regions, EU)
    regions[US].post(body, {"Idempotency-Key": "one"})

    status, problem = regions[AP].post(change(body, "iot"), {"Idempotency-Key": "one"})

    assert (status, problem["code"]) == (422, "key_reused")


def test_a_command_whose_home_is_out_of_reach_is_unavailable_and_others_are_not(
    regions: EventualNetwork,
):
    regions.cut(US, EU)

    status, problem = regions[US].post(at_home_in(regions, EU))

    assert (status, problem["code"]) == (503, "unavailable")
    assert regions[US].post(at_home_in(regions, AP))[0] == 202


def test_a_command_goes_one_hop_and_no_more(regions: EventualNetwork):
    body = at_home_in(regions, EU)
    regions[US].post(at_home_in(regions, US))
    regions.homes.change(regions.homes.read(), _moved(regions, body, AP))

    status, _ = regions[US].post(body)

    assert status == 503
    regions.elapsed_s += 10
    assert regions[US].post(body)[0] == 202


def _moved(regions: EventualNetwork, body: dict[str, Any], to: str) -> Any:
    homes = regions.homes.read()
    aggregate_id = regions[US].deps.keys.aggregate_id("sub", body["data"]["imsi"])
    number = slot_of(aggregate_id)
    return homes.moving({number: to}, by_force=False).moved([number], by_force=False)


def test_a_region_that_does_not_know_the_homes_of_now_appends_nothing(regions: EventualNetwork):
    body = at_home_in(regions, EU)
    assert regions[EU].post(body)[0] == 202
    regions.without_states.add(EU)
    assert regions[EU].post(change(body, "gold"))[0] == 202, "the homes are good for a while"
    regions.elapsed_s += regions[EU].deps.settings.homes_fresh_s + 0.1

    assert regions[EU].post(change(body, "iot"))[0] == 503


def test_nothing_is_told_as_decided_that_came_into_the_log_too_late(regions: EventualNetwork):
    """The homes are asked after the put, too: its home may have lost the aggregate meanwhile."""
    body = at_home_in(regions, EU)
    before_put(regions, EU, lambda: _let_grow_old(regions, EU))

    status, _ = regions[EU].post(body)

    assert status == 503
    aggregate_id = regions[US].deps.keys.aggregate_id("sub", body["data"]["imsi"])
    assert regions.log_at(EU).head(aggregate_id, consistent=True) is not None


def _let_grow_old(regions: EventualNetwork, region: str) -> None:
    regions.without_states.add(region)
    regions.elapsed_s += 10


def before_put(regions: EventualNetwork, region: str, act: Callable[[], None]) -> None:
    """Have something happen right before the next commit is put in a region."""
    log = regions[region].deps.log
    put = log.put

    def acting(commit: Commit, *, unless: int | None = None) -> Commit | None:
        log.put = put  # type: ignore[method-assign]
        act()
        return put(commit, unless=unless)

    log.put = acting  # type: ignore[method-assign]


def test_a_commit_that_overtakes_another_waits_for_it(regions: EventualNetwork):
    body = at_home_in(regions, EU)
    first = commit_of(regions, regions[EU].post(body)[1])
    second = commit_of(regions, regions[EU].post(change(body, "iot"))[1])
    ahead = regions.log_at(US)

    ahead.put(second)
    regions.deliver(US)
    assert everywhere(regions, body)[0]["status"] == 404

    ahead.put(first)
    regions.deliver(US)
    assert everywhere(regions, body)[0]["service_profile"] == "iot"
    regions.come_to_rest()
    assert (
        sorted(told(regions))
        == [(body["command_id"], "accepted"), ("change-iot", "accepted")][
            :: 1 if body["command_id"] < "change-iot" else -1
        ]
    )


def test_a_takeover_supersedes_what_it_did_not_receive_and_tells_its_producer_once(
    regions: EventualNetwork,
):
    body, lost = change_that_only_its_home_has(regions)
    regions.take_by_force(commit_of(regions, lost).aggregate_id, US)
    assert regions[AP].post(suspension(body, "fraud"))[0] == 202

    regions.heal()
    regions.come_to_rest()
    regions.come_to_rest()

    assert told(regions).count(("change-gold", "superseded")) == 1
    assert ("change-gold", "accepted") not in told(regions)
    assert ("suspend-fraud", "accepted") in told(regions)
    shown = everywhere(regions, body)
    assert {(v["status"], v["service_profile"]) for v in shown} == {("suspended", "consumer-5g")}
    assert regions[EU].get(f"/commands/{lost['commit']}")[1]["status"] == "superseded"
    [letter] = [one for one in regions[EU].letters.values() if one.source == "superseded"]
    assert "gold" in str(letter.payload) or letter.payload


def test_a_superseded_command_that_is_sent_again_is_decided_anew(regions: EventualNetwork):
    body, lost = change_that_only_its_home_has(regions)
    regions.take_by_force(commit_of(regions, lost).aggregate_id, US)
    regions[AP].post(suspension(body, "fraud"))
    regions.heal()
    regions.come_to_rest()

    _, again = regions[EU].post(change(body, "gold"))
    regions.come_to_rest()

    assert not again["duplicate"]
    assert again["commit"] != lost["commit"]
    assert ("change-gold", "superseded") in told(regions)


def test_a_read_with_the_token_of_a_superseded_commit_is_told_so(regions: EventualNetwork):
    body, lost = change_that_only_its_home_has(regions)
    regions.deliver(EU)
    path = f"/subscribers/{body['data']['imsi']}"
    token = {"Consistency-Token": lost["consistency_token"]}
    assert regions[EU].get(path, token)[1]["service_profile"] == "gold"
    regions.take_by_force(commit_of(regions, lost).aggregate_id, US)
    regions[AP].post(suspension(body, "fraud"))
    regions.heal()
    regions.come_to_rest()

    for name in REGIONS:
        status, problem = regions[name].get(path, token, wait_ms="0")
        assert (status, problem["code"]) == (409, "superseded")
    past = regions[EU].get(f"{path}/history")[1]
    assert past["state"]["service_profile"] == "consumer-5g"
    assert [event["sequence"] for event in past["events"]] == [1, 2]
    items = regions[EU].get(f"{path}/timeline")[1]["items"]
    marked = [one["command"]["command_id"] for one in items if one.get("superseded")]
    assert marked == ["change-gold"], "what was shown stays, and says that it counts no more"


def test_what_arrives_late_after_a_takeover_counts_if_nothing_was_put_in_its_place(
    regions: EventualNetwork,
):
    body, late = change_that_only_its_home_has(regions)
    regions.take_by_force(commit_of(regions, late).aggregate_id, US)
    regions.come_to_rest(without=(EU,))

    regions.heal()
    regions.come_to_rest()

    assert ("change-gold", "accepted") in told(regions)
    assert {view["service_profile"] for view in everywhere(regions, body)} == {"gold"}
    assert regions[US].post(change(body, "iot"))[0] == 202
    regions.come_to_rest()
    assert {view["service_profile"] for view in everywhere(regions, body)} == {"iot"}


def test_what_arrives_at_the_very_moment_of_the_first_commit_is_not_left_aside(
    regions: EventualNetwork,
):
    """The region that takes over may have acknowledged it already: then it is answered."""
    body, told_of_it = change_that_only_its_home_has(regions)
    late = commit_of(regions, told_of_it)
    regions.take_by_force(late.aggregate_id, US)

    def arrives() -> None:
        regions.log_at(US).put(late)
        regions.deliver(US)

    before_put(regions, US, arrives)
    _, suspended = regions[US].post(suspension(body, "fraud"))

    assert commit_of(regions, suspended).predecessor == late.last_position
    regions.heal()
    regions.come_to_rest()
    assert ("change-gold", "accepted") in told(regions)


def test_whoever_takes_over_takes_what_other_regions_have(regions: EventualNetwork):
    body = at_home_in(regions, EU)
    regions[EU].post(body)
    regions.come_to_rest()
    regions.cut(EU, US)
    late = commit_of(regions, regions[EU].post(change(body, "gold"))[1])
    regions.pass_ms(1_000)
    assert regions.log_at(AP).head(late.aggregate_id, consistent=True) == late
    regions.isolate(EU)
    regions.take_by_force(late.aggregate_id, US)

    _, suspended = regions[US].post(suspension(body, "fraud"))

    assert commit_of(regions, suspended).predecessor == late.last_position
    regions.heal()
    regions.come_to_rest()
    assert ("change-gold", "accepted") in told(regions)
    assert all("superseded" not in outcome for _, outcome in told(regions))


def test_a_planned_move_supersedes_nothing(regions: EventualNetwork):
    body = at_home_in(regions, EU)
    accepted = [regions[EU].post(body)[1], regions[EU].post(change(body, "gold"))[1]]
    commit = commit_of(regions, accepted[-1])

    regions.move_as_planned(commit.aggregate_id, US)
    _, moved = regions[EU].post(suspension(body, "fraud"))
    regions.come_to_rest()

    assert commit_of(regions, moved).predecessor == commit.last_position
    assert commit_of(regions, moved).epoch == 1
    assert {outcome for _, outcome in told(regions)} == {"accepted"}
    assert {view["status"] for view in everywhere(regions, body)} == {"suspended"}


def test_a_duplicate_is_known_after_every_kind_of_move(regions: EventualNetwork):
    body = at_home_in(regions, EU)
    _, first = regions[EU].post(body)
    aggregate_id = commit_of(regions, first).aggregate_id
    regions.move_as_planned(aggregate_id, US)
    _, second = regions[US].post(change(body, "gold"))
    regions.come_to_rest()
    regions.take_by_force(aggregate_id, AP)
    regions.heal()

    again = [regions[name].post(one)[1] for name in REGIONS for one in (body, change(body, "gold"))]

    assert {one["commit"] for one in again} == {first["commit"], second["commit"]}
    assert all(one["duplicate"] for one in again)


def test_a_strong_read_is_of_the_home_however_far_behind_the_reader_is(regions: EventualNetwork):
    body = at_home_in(regions, EU)
    regions[EU].post(body)
    regions.come_to_rest()
    regions.cut(EU, AP)
    regions[EU].post(change(body, "gold"))

    path = f"/subscribers/{body['data']['imsi']}"

    assert regions[US].get(path, consistency="strong")[1]["service_profile"] == "gold"
    assert regions[US].get(path)[1]["service_profile"] == "consumer-5g"
    assert regions[AP].get(path, consistency="strong")[0] == 503


def test_a_lost_acknowledgement_is_looked_up_and_a_missing_commit_waited_for(
    regions: EventualNetwork,
):
    body = at_home_in(regions, EU)
    regions.cut(EU, US)
    _, accepted = regions[AP].post(body)
    commit = commit_of(regions, accepted)
    regions.come_to_rest()
    assert told(regions) == []
    assert not any(one.source == "sweeper" for one in regions[AP].letters.values())

    regions.heal()
    regions.pass_ms(1_000)
    for name in REGIONS:
        regions.stream(name)
        regions.take(AP, "acks")
    regions.pass_ms(20_000)
    regions[AP].sweep()

    assert told(regions) == [(body["command_id"], "accepted")]
    assert regions[AP].answers[0]["command"]["commit"] == commit.commit_id


def test_what_a_region_remembers_of_an_older_epoch_is_not_gone_by(regions: EventualNetwork):
    body, told_of_it = change_that_only_its_home_has(regions)
    lost = commit_of(regions, told_of_it)
    regions.take_by_force(lost.aggregate_id, US)
    kept = commit_of(regions, regions[US].post(suspension(body, "fraud"))[1])
    regions.heal()
    regions.come_to_rest()
    regions.set_homes(lambda before: before.settled([slot_of(lost.aggregate_id)]))
    regions.move_as_planned(lost.aggregate_id, EU)

    _, after = regions[EU].post(change(body, "iot"))

    assert commit_of(regions, after).predecessor == kept.last_position


def test_a_home_is_required_though_it_is_drained(regions: EventualNetwork):
    """It goes on appending, and could leave aside what is answered without it."""
    body = at_home_in(regions, EU)
    regions[US].post(body)
    regions.pass_ms(1_000)
    regions.move(EU, RegionState.LEAVING, RegionState.DRAINED)
    regions.states_grow_old()
    for _ in range(2):
        regions.deliver(US)
        regions.deliver(AP)
    regions.pass_ms(20_000)
    regions[US].sweep()
    assert told(regions) == []

    regions.deliver(EU)
    regions.deliver(US)

    assert told(regions) == [(body["command_id"], "accepted")]


def test_nothing_is_told_as_superseded_that_a_region_still_has(regions: EventualNetwork):
    body, told_of_it = change_that_only_its_home_has(regions)
    lost = commit_of(regions, told_of_it)
    regions.take_by_force(lost.aggregate_id, US)
    regions[US].post(suspension(body, "fraud"))
    regions.heal()
    regions.cut(US, AP)
    regions.come_to_rest()
    assert "superseded" not in {outcome for _, outcome in told(regions)}

    regions.heal()
    regions.pass_ms(20_000)
    regions.come_to_rest()

    assert ("change-gold", "superseded") in told(regions)
