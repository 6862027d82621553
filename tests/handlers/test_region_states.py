"""What the functions of a region do by the regions' states, and while they cannot know them."""

import json
from typing import Any

import pytest

from eventstore.commits import Commit
from projections.regions import RegionState
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS
ACTIVE, LEAVING, DRAINED, JOINING = RegionState
IMSI = ACTIVATION["data"]["imsi"]
WAYS = [(LEAVING,), (LEAVING, DRAINED), (LEAVING, DRAINED, JOINING)]
MINUTE_MS = 60_000


@pytest.fixture
def queued() -> dict[str, object]:
    return {
        "messageId": "m1",
        "body": json.dumps(ACTIVATION),
        "attributes": {"SentTimestamp": "1700000000000", "MessageGroupId": "g"},
        "messageAttributes": {},
    }


@pytest.mark.parametrize("way", WAYS)
def test_a_region_that_is_not_active_refuses_commands_and_queries_and_names_those_that_do_not(
    network: Network, way: tuple[RegionState, ...]
):
    network[AP].get(f"/subscribers/{IMSI}")
    network.move(AP, *way)
    network.states_grow_old()

    for status, told in (network[AP].post(ACTIVATION), network[AP].get(f"/subscribers/{IMSI}")):
        assert (status, told["code"]) == (503, "unavailable")
        assert told["detail"] == f"{AP} is {way[-1]} and serves nothing now; ask {US} or {EU}"
    assert network[US].post(ACTIVATION)[0] == 202


@pytest.mark.parametrize("way", WAYS)
def test_health_tells_the_state_and_balancers_by_its_status(
    network: Network, way: tuple[RegionState, ...]
):
    network.move(AP, *way)

    status, told = network[AP].get("/health")

    assert (status, told["status"], told["state"]) == (503, "not serving", way[-1])
    assert told["serving"] == [US, EU]


def test_by_states_that_are_in_time_a_region_goes_on_serving_and_by_older_ones_it_does_not(
    network: Network,
):
    assert network[AP].post(ACTIVATION)[0] == 202
    network.move(AP, LEAVING)
    assert network[AP].post(ACTIVATION)[0] == 202, "it does not know yet, and is required"

    network.states_grow_old()

    assert network[AP].post(ACTIVATION)[0] == 503


def test_a_region_that_cannot_read_the_states_takes_no_command(network: Network):
    network.without_states = {AP}

    status, told = network[AP].post(ACTIVATION)

    assert (status, told["code"]) == (503, "unavailable")
    assert network.log.head(told_aggregate(network), consistent=True) is None


def told_aggregate(network: Network) -> str:
    return network[US].deps.keys.aggregate_id("sub", IMSI)


def test_a_region_that_cannot_read_the_states_answers_queries_as_it_last_knew_itself(
    network: Network,
):
    network[US].post(ACTIVATION)
    network.settle()
    network.without_states = {EU, AP}
    assert network[EU].get(f"/subscribers/{IMSI}")[0] == 200, "it never knew"

    network.without_states = set()
    network.move(AP, LEAVING)
    assert network[AP].get(f"/subscribers/{IMSI}")[0] == 200, "what it last knew"
    network.states_grow_old()
    assert network[AP].get(f"/subscribers/{IMSI}")[0] == 503

    network.without_states = {AP}
    network.states_grow_old()
    assert network[AP].get(f"/subscribers/{IMSI}")[0] == 503, "what it last knew"


def test_a_leaving_region_empties_its_queue_of_commands(network: Network, queued):
    network.move(AP, LEAVING)

    assert network[AP].take_from_queue(queued) == []

    network.move(AP, DRAINED)
    network.states_grow_old()
    assert network[AP].take_from_queue(queued) == ["m1"]


@pytest.mark.parametrize("way", [(LEAVING,), (LEAVING, DRAINED, JOINING)])
def test_no_answer_without_a_region_that_is_on_its_way(
    network: Network, way: tuple[RegionState, ...]
):
    network.move(AP, *way)
    network[US].post(ACTIVATION)
    held = network.take(AP, "lane")

    network.settle()

    assert network[US].answers == []
    network[AP].project(*held)
    network.settle()
    [answer] = network[US].answers
    assert (sorted(answer["regions"]), answer["drained"]) == (sorted(REGIONS), [])


def test_a_drained_region_is_not_waited_for_and_the_answer_says_so(network: Network):
    network.move(AP, LEAVING, DRAINED)
    network[US].post(ACTIVATION)

    network.settle(without=[AP])

    [answer] = network[US].answers
    assert (sorted(answer["regions"]), answer["drained"]) == ([EU, US], [AP])


def test_a_drained_region_answers_what_came_in_there_before_and_itself_has_applied_it(
    network: Network,
):
    network[AP].post(ACTIVATION)
    network.move(AP, LEAVING, DRAINED)
    network.settle(without=[AP])
    network[AP].acknowledge(*network.take(AP, "acks"))
    assert network[AP].answers == []

    network.settle()

    [answer] = network[AP].answers
    assert (sorted(answer["regions"]), answer["drained"]) == (sorted(REGIONS), [])


def test_a_responder_whose_states_are_too_old_answers_late_and_by_the_new_ones(network: Network):
    network.move(AP, LEAVING, DRAINED)
    network[US].post(ACTIVATION)
    network[EU].project(*network.take(EU, "lane"))
    network[US].project(*network.take(US, "lane"))
    # It has read that Asia is drained; then Asia joins, and the states cannot be read again.
    assert network[US].deps.control.current().required(US) == {US, EU}
    network.move(AP, JOINING)
    network.without_states = {US}
    network.states_grow_old()
    network.elapsed_s += 0.1

    assert network[US].acknowledge(*network.take(US, "acks")) == [], "the sweeper has it"
    assert network[US].answers == []
    network[US].later(ms=MINUTE_MS)
    assert network[US].sweep()["looked_at"] == 0
    assert network[US].answers == []

    network.without_states = set()
    network.elapsed_s += 1
    assert network[US].sweep() == {"looked_at": 1, "answered": 0, "lagging": {AP: 1}}
    network.settle()
    [answer] = network[US].answers
    assert (sorted(answer["regions"]), answer["drained"]) == (sorted(REGIONS), [])


def test_the_proof_made_elsewhere_needs_the_same_regions_by_states_as_fresh(network: Network):
    network.move(AP, LEAVING, DRAINED)
    network[US].post(ACTIVATION)
    for name in (US, EU):
        network[name].project(*network.take(name, "lane"))
    network.take(US, "acks")
    duplicate = {"Prefer": "wait=1"}
    network[EU].deps.control.current()
    network.move(AP, JOINING)
    network.states_grow_old()

    _, told = network[EU].post(ACTIVATION, duplicate)
    assert told["status"] == "accepted", "Asia has not"

    network[AP].stream(commit_of(network, told))
    status, told = network[EU].post(ACTIVATION, duplicate)
    assert (status, told["status"]) == (200, "answered")
    assert sorted(told["answer"]["regions"]) == sorted(REGIONS)


def test_the_proof_made_elsewhere_leaves_a_drained_region_out(network: Network):
    network.move(AP, LEAVING, DRAINED)
    network[US].post(ACTIVATION)
    for name in (US, EU):
        network[name].project(*network.take(name, "lane"))
    network.take(US, "acks")

    status, told = network[EU].post(ACTIVATION, {"Prefer": "wait=5"})

    assert (status, told["status"]) == (200, "answered")
    assert (sorted(told["answer"]["regions"]), told["answer"]["drained"]) == ([EU, US], [AP])


def commit_of(network: Network, told: dict[str, Any]) -> Commit:
    aggregate_id, _, position = told["commit"].rpartition(".")
    commit = network.log.get(aggregate_id, int(position), consistent=True)
    assert commit is not None
    return commit


def test_a_reply_does_not_wait_for_the_lane_of_a_region_that_is_drained(network: Network):
    network.move(AP, LEAVING)
    network[US].post(ACTIVATION)
    assert network.take(AP, "lane"), "it is required still"

    network.move(AP, DRAINED)
    network.states_grow_old()
    network[US].post({**ACTIVATION, "command_id": "more"})

    assert not network.take(AP, "lane")
    assert network.take(EU, "lane")


def test_commands_of_a_lost_region_are_answered_by_who_adopted_it(network: Network):
    network[AP].post(ACTIVATION)
    network.unreachable = {AP}
    network.move(AP, LEAVING)
    network.move(AP, DRAINED, DRAINED, adopter=EU)

    network.settle(without=[AP])

    assert network[AP].answers == []
    [answer] = network[EU].answers
    assert (answer["origin"], sorted(answer["regions"]), answer["drained"]) == (AP, [EU, US], [AP])
    _, told = network[US].post(ACTIVATION, {"Prefer": "wait=2"})
    assert (told["duplicate"], told["answer"]) == (True, answer)
    assert network[US].get(f"/commands/{told['commit']}")[1]["status"] == "answered"


def test_what_a_drained_region_has_not_heard_comes_back_to_nobody_and_its_sweeper_answers(
    network: Network,
):
    network[AP].post(ACTIVATION)
    network.move(AP, LEAVING, DRAINED)
    network.states_grow_old()
    network.unreachable = {AP}
    lane = {name: network.take(name, "lane") for name in REGIONS}

    for name in (US, EU):
        assert network[name].project(*lane[name]) == []

    assert network.take(US, "later") == network.take(EU, "later") == []
    network.unreachable = set()
    network[AP].project(*lane[AP])
    network.take(AP, "acks")
    network[AP].later(ms=MINUTE_MS)
    network[AP].sweep()
    assert len(network[AP].answers) == 1


def test_an_acknowledgement_that_nobody_listens_to_any_more_does_not_come_back(network: Network):
    network[AP].post(ACTIVATION)
    network.unreachable = {AP}
    network[EU].project(*network.take(EU, "lane"))
    kept_ms = network[EU].deps.settings.answer_kept_s * 1000
    later = network.take(EU, "later")

    network[EU].later(ms=kept_ms - MINUTE_MS)
    network[EU].project(*later)
    assert network.take(EU, "later") == later
    network[EU].later(ms=2 * MINUTE_MS)
    network[EU].project(*later)

    assert network.take(EU, "later") == []


def test_an_acknowledgement_to_a_lost_region_comes_back_and_goes_to_who_adopted_it(
    network: Network,
):
    network[AP].post(ACTIVATION)
    network.unreachable = {AP}
    network.settle(without=[AP])
    later = network.take(EU, "later") + network.take(US, "later")
    assert later

    network.move(AP, LEAVING)
    network.move(AP, DRAINED, DRAINED, adopter=EU)
    network.states_grow_old()
    network[EU].project(*later[:1])
    network[US].project(*later[1:])
    network.settle(without=[AP])

    [answer] = network[EU].answers
    assert answer["origin"] == AP
