"""The way of one Event A through three regions, with every message in the test's hands."""

import itertools
import json
from typing import Any

import pytest

from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS
IMSI = ACTIVATION["data"]["imsi"]


def change_profile(command_id: str, profile: str) -> dict[str, Any]:
    return {
        "type": "ChangeServiceProfile",
        "command_id": command_id,
        "producer": "crm-emea",
        "data": {"imsi": IMSI, "service_profile": profile},
    }


def test_a_command_is_accepted_with_its_place_and_a_token(network: Network):
    status, told = network[US].post(ACTIVATION)

    assert status == 202
    assert told["status"] == "accepted"
    assert (told["sequence"], told["region"], told["duplicate"]) == (1, US, False)
    assert told["answer"] is None
    assert IMSI not in json.dumps(told)


def test_no_answer_before_the_last_region_has_applied_then_one(network: Network):
    network[US].post(ACTIVATION)
    network.settle(without=[AP])
    assert network[US].answers == []

    network.settle()

    [answer] = network[US].answers
    assert sorted(answer["regions"]) == sorted(REGIONS)
    assert answer["state"]["msisdn"] == "+4915112345678"
    assert answer["as_of_sequence"] >= answer["sequence"] == 1
    assert answer["command"]["command_id"] == "prov-0001"
    assert answer["events"][0]["type"] == "SubscriberActivated"
    assert network[EU].answers == network[AP].answers == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_commits_arriving_in_any_order_are_applied_in_sequence(
    network: Network, order: tuple[int, ...]
):
    network[US].post(ACTIVATION)
    network[EU].post(change_profile("2", "gold"))
    network[AP].post(change_profile("3", "silver"))
    lane = network.take(EU, "lane")
    assert len(lane) == 3

    for index in order:
        assert network[EU].project(lane[index]) == []

    _, view = network[EU].get(f"/subscribers/{IMSI}")
    assert (view["service_profile"], view["applied_sequence"]) == ("silver", 3)
    _, timeline = network[EU].get(f"/subscribers/{IMSI}/timeline")
    assert [row["sequence"] for row in timeline["items"]] == [3, 2, 1]


def test_the_last_commit_alone_is_enough_since_gaps_are_read_from_the_log(network: Network):
    network[US].post(ACTIVATION)
    network[US].post(change_profile("2", "gold"))
    *_, last = network.take(EU, "lane")

    network[EU].project(last)

    _, view = network[EU].get(f"/subscribers/{IMSI}")
    assert view["applied_sequence"] == 2
    [ack] = network.take(US, "acks")
    assert len(json.loads(ack)["acks"]) == 2


def test_every_message_repeated_gives_one_answer_with_one_body(network: Network):
    network[US].post(ACTIVATION)
    for name in REGIONS:
        lane = network.take(name, "lane")
        network[name].project(*lane, *lane)
        network[name].project(*lane)
    acks = network.take(US, "acks")
    network[US].acknowledge(*acks, *reversed(acks))
    network[US].acknowledge(*acks)

    assert len(network[US].answers) == 1


def test_the_stream_alone_brings_the_answer(network: Network):
    _, told = network[US].post(ACTIVATION)
    for name in REGIONS:
        network.take(name, "lane")
    commit = network.log.get(told["aggregate_id"], 1, consistent=True)
    assert commit is not None

    for name in REGIONS:
        assert network[name].stream(commit) == []
    network.settle()

    assert len(network[US].answers) == 1


def test_a_refusal_is_recorded_answered_and_shown_in_the_timeline(network: Network):
    status, told = network[EU].post(
        {
            "type": "SuspendSubscriber",
            "command_id": "s1",
            "producer": "crm-emea",
            "data": {"imsi": IMSI, "reason": "fraud"},
        }
    )
    network.settle()

    assert (status, told["status"], told["reason"]) == (409, "rejected", "unknown_subscriber")
    [answer] = network[EU].answers
    assert (answer["outcome"], answer["reason"]) == ("rejected", "unknown_subscriber")
    assert answer["state"] is None
    assert network[EU].bus.published[0].detail_type == "CommandRejected"
    _, timeline = network[AP].get(f"/subscribers/{IMSI}/timeline")
    assert timeline["items"][0]["reason"] == "unknown_subscriber"
    assert network[AP].get(f"/subscribers/{IMSI}")[0] == 404


def test_a_duplicate_of_a_refusal_never_takes_effect_later(network: Network):
    suspend = {
        "type": "SuspendSubscriber",
        "command_id": "s1",
        "producer": "crm-emea",
        "data": {"imsi": IMSI, "reason": "fraud"},
    }
    _, first = network[EU].post(suspend)
    network[US].post(ACTIVATION)

    status, again = network[AP].post(suspend)

    assert (status, again["status"], again["duplicate"]) == (409, "rejected", True)
    assert again["commit"] == first["commit"]


def test_nothing_to_do_is_recorded_and_answered(network: Network):
    network[US].post(ACTIVATION)
    status, told = network[EU].post({**ACTIVATION, "command_id": "prov-0002"})
    network.settle()

    assert (status, told["status"], told["sequence"]) == (200, "unchanged", 2)
    assert network[EU].bus.published[0].detail_type == "CommandUnchanged"
    assert network[EU].answers[0]["as_of_sequence"] == 2


def test_a_duplicate_in_another_region_gets_the_first_result(network: Network):
    _, first = network[US].post(ACTIVATION)
    status, again = network[AP].post(ACTIVATION)

    assert status == 202
    assert again == {**first, "region": AP, "duplicate": True}
    network.settle()
    assert [len(network[name].answers) for name in REGIONS] == [1, 0, 0]


def test_concurrent_updates_from_two_regions_are_both_kept(network: Network):
    network[US].post(ACTIVATION)
    # Europe knows the aggregate as of sequence 1; America goes on without it.
    network[EU].post({**ACTIVATION, "command_id": "warm"})
    network[US].post(change_profile("2", "gold"))
    number = {"imsi": IMSI, "msisdn": "+4915112345679"}
    status, told = network[EU].post(
        {"type": "ChangeMsisdn", "command_id": "3", "producer": "crm-emea", "data": number}
    )
    network.settle()

    assert (status, told["sequence"]) == (202, 4)
    for name in REGIONS:
        _, view = network[name].get(f"/subscribers/{IMSI}")
        assert (view["service_profile"], view["msisdn"]) == ("gold", "+4915112345679")


def test_an_acknowledgement_that_cannot_be_sent_comes_back_later(network: Network):
    network[US].post(ACTIVATION)
    lane = network.take(AP, "lane")
    network.unreachable.add(US)

    assert network[AP].project(*lane) == []
    assert network[US].answers == []

    network.unreachable.clear()
    network[AP].project(*network.take(AP, "later"))
    network.settle()
    assert len(network[US].answers) == 1


def test_the_bus_refusing_leaves_the_stored_body_to_be_published(network: Network):
    network[US].post(ACTIVATION)
    network[US].bus.refusing = True
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    acks = network.take(US, "acks")
    assert network[US].acknowledge(*acks) != []
    _, told = network[US].post(ACTIVATION)
    stored = network[US].get(f"/commands/{told['commit']}")[1]["answer"]

    network[US].bus.refusing = False
    # The queue delivers again after its visibility time-out, not at once.
    network[US].later(ms=60_000)
    network[US].acknowledge(*acks)

    assert network[US].answers == [stored]


def test_acknowledgements_that_repeat_while_an_answer_is_published_publish_it_once(
    network: Network,
):
    network[US].post(ACTIVATION)
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    acks = network.take(US, "acks")

    class Meanwhile:
        """A bus during whose call the same acknowledgements reach another responder."""

        def __call__(self, answers: Any) -> Any:
            network[US].bus.published += answers
            network[US].acknowledge(*acks)
            return frozenset(answer.commit_id for answer in answers)

    object.__setattr__(network[US].deps.responder, "publish", Meanwhile())
    network[US].acknowledge(*acks)

    assert len(network[US].answers) == 1


def test_acknowledgements_alone_are_no_proof_for_the_own_view(network: Network):
    _, told = network[US].post(ACTIVATION)
    for name in (EU, AP):
        network[name].project(*network.take(name, "lane"))
    [ack, *_] = network.take(US, "acks")
    # America says that it has applied the commit, which it has not.
    early = json.loads(ack) | {"region": US}
    acks = [json.dumps(json.loads(ack) | {"region": name}) for name in (EU, AP)]

    assert network[US].acknowledge(json.dumps(early), *acks) != []

    assert network[US].answers == []
    assert network[US].get(f"/commands/{told['commit']}")[1]["answer"] is None
