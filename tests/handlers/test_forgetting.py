"""Forgetting a subscriber: nothing at rest tells who it was, whatever else goes on or wrong."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from eventstore.commits import RecordedEvent
from projections.forgetting import ForgettingRefused
from projections.letters import Filing
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.forgetter import IMSI, drive, everything, forgetting
from tests.handlers.network import ACTIVATION, REGIONS, Crash, Network

US, EU, AP = REGIONS
PATH = f"/subscribers/{IMSI}"
OTHER_IMSI = "262011234567891"
NUMBERS = (IMSI, "4915112345678", "8949020000012345670", "4915112345679")
CALLS = 400


def numbers_in(found: Any) -> set[str]:
    """Return which of the subscriber's numbers can be read in what was found, in any spelling."""
    text = repr(found)
    return {number for number in NUMBERS if number in text}


def command(kind: str, imsi: str = IMSI, **data: str) -> dict[str, Any]:
    whole = {"imsi": imsi, **data}
    told = json.dumps(whole, sort_keys=True)
    return {**ACTIVATION, "type": kind, "command_id": f"{kind}-{hash(told)}", "data": whole}


def renumbered(imsi: str = IMSI) -> dict[str, Any]:
    return command("ChangeMsisdn", imsi, msisdn="+4915112345679")


def delivered(network: Network) -> None:
    """Deliver what waits, whatever comes of it: what fails is left to the sweepers."""
    for _ in range(4):
        for name in REGIONS:
            network[name].project(*network.take(name, "lane"))
            network[name].acknowledge(*network.take(name, "acks"))


def lived(network: Network) -> str:
    """Let a subscriber have a past in every region; return its id."""
    network[US].post(ACTIVATION)
    delivered(network)
    network[EU].post(renumbered())
    network[AP].post(command("ChangeMsisdn", msisdn="+4915112345678"))
    network[US].post(command("ResumeSubscriber"))
    network[US].post(command("SuspendSubscriber", reason="lost"))
    network[EU].post(renumbered())
    delivered(network)
    return network[US].deps.keys.aggregate_id("sub", IMSI)


def at_rest(network: Network) -> dict[str, Any]:
    """Return what is stored, once the producers have fetched their answers."""
    found = everything(network)
    return {place: kept for place, kept in found.items() if "mailbox" not in place}


def test_no_number_stands_anywhere_at_rest_while_the_subscriber_is_served(network: Network):
    lived(network)

    assert network[EU].get(PATH)[1]["msisdn"] == "+4915112345678"
    assert numbers_in(at_rest(network)) == set()


def test_a_subscriber_who_is_forgotten_is_gone_from_everywhere(network: Network):
    aggregate_id = lived(network)
    network[US].post({**ACTIVATION, "data": {**ACTIVATION["data"], "imsi": OTHER_IMSI}})
    network.settle()

    steps = drive(network, forgetting(network))

    found = everything(network)
    mailboxes = [body for region in REGIONS for body in found[f"{region} mailbox"]]
    assert not any(aggregate_id in body for body in mailboxes)
    del found[f"{US} mailbox"]  # holds the other's answer, with a number that both have had
    assert numbers_in(found) == set()
    for region in REGIONS:
        for item in (*found[f"{region} views"], *found[f"{region} responses"]):
            theirs = aggregate_id in (item.get("k") or item["c"])["S"]
            assert not (theirs and {"d", "x", "l1", "l2", "body"} & item.keys()), item
    assert network[US].get(f"/subscribers/{OTHER_IMSI}")[0] == 200
    assert aggregate_id in steps[-1].told
    assert "in clear" not in steps[-1].told


def test_whoever_asks_for_the_forgotten_is_told_that_they_are_gone(network: Network):
    lived(network)
    drive(network, forgetting(network))

    for region in REGIONS:
        for path in (PATH, f"{PATH}/timeline", f"{PATH}/history"):
            status, told = network[region].get(path)
            assert (status, told["code"]) == (410, "forgotten"), path
        assert network[region].get(PATH, consistency="strong")[0] == 410
        for by in ({"msisdn": "+4915112345678"}, {"status": "suspended"}):
            assert network[region].get("/subscribers", **by)[1]["items"] == []


@pytest.mark.parametrize("region", REGIONS)
def test_a_command_to_the_forgotten_is_refused_and_answered(network: Network, region: str):
    lived(network)
    drive(network, forgetting(network))

    status, told = network[region].post(renumbered() | {"command_id": "later"})
    network.settle()

    assert (status, told["reason"]) == (409, "subscriber_forgotten")
    [answer] = [a for a in network[region].answers if a["command"]["command_id"] == "later"]
    assert answer["state"] is None
    assert numbers_in(at_rest(network)) == set()


def test_a_command_decided_on_a_past_that_cannot_be_read_any_more_is_refused(network: Network):
    lived(network)
    # Europe knows it well, and has heard nothing since.
    drive(network, forgetting(network))

    status, told = network[EU].post(renumbered() | {"command_id": "late"})

    assert (status, told["reason"]) == (409, "subscriber_forgotten")


def test_an_answer_that_was_given_says_so_and_no_more(network: Network):
    lived(network)
    commit = network[US].answers[0]["command"]["commit"]
    drive(network, forgetting(network))

    status, told = network[EU].get(f"/commands/{commit}")
    assert (status, told["status"], told["answer"]) == (200, "answered", None)
    assert told["forgotten"] is True
    status, told = network[US].post(ACTIVATION, {"Prefer": "wait=5"})
    assert (status, told["duplicate"], told["answer"]) == (202, True, None)


def test_forgetting_twice_is_forgetting_once(network: Network):
    lived(network)
    drive(network, forgetting(network))
    before = everything(network)

    steps = drive(network, forgetting(network))

    assert everything(network) == before
    assert [step.told for step in steps if step.phase == "erased"] == [
        "0 items showed something of it"
    ]


def test_forgetting_whom_nobody_knows_is_refused_and_changes_nothing(network: Network):
    lived(network)
    before = everything(network)

    with pytest.raises(ForgettingRefused, match="nothing is known"):
        drive(network, forgetting(network, OTHER_IMSI))

    assert everything(network) == before


def test_without_the_keys_nothing_is_decided_and_nothing_set_aside(network: Network):
    network.kms.disabled = True

    status, told = network[US].post(ACTIVATION)

    assert (status, told["code"]) == (503, "unavailable")
    aggregate_id = network[US].deps.keys.aggregate_id("sub", IMSI)
    assert network.log.head(aggregate_id, consistent=True) is None
    network.kms.disabled = False
    assert network[US].post(ACTIVATION)[0] == 202


def test_a_projector_without_the_keys_waits_for_them(network: Network):
    commit = network.posted()
    network.take(EU, "lane")
    keys = network[EU].deps.subject_keys
    keys._known.clear()
    keys._roots.clear()
    network.kms.disabled = True

    assert network[EU].stream(commit) == ["0"]

    network.kms.disabled = False
    assert network[EU].stream(commit) == []
    assert network[EU].letters == {}
    assert network[EU].get(PATH)[0] == 200


def test_what_is_delivered_late_shows_nothing_of_the_forgotten(network: Network):
    aggregate_id = lived(network)
    drive(network, forgetting(network))
    before = at_rest(network)

    commits = list(network.log.read(aggregate_id, consistent=True))
    for region in REGIONS:
        assert network[region].stream(*commits) == []
    network.settle()

    assert at_rest(network) == before


def lose_the_views(network: Network) -> None:
    deps = network[AP].deps
    client, table = deps._clients.dynamodb(AP), deps.settings.views_table
    for item in client.scan(TableName=table)["Items"]:
        client.delete_item(TableName=table, Key={"k": item["k"], "s": item["s"]})


def test_a_region_that_never_applied_anything_folds_the_forgotten_to_nothing(network: Network):
    aggregate_id = lived(network)
    drive(network, forgetting(network))
    lose_the_views(network)

    commits = list(network.log.read(aggregate_id, consistent=True))
    for commit in commits:
        # One by one, so that every moment of its past is a view for a while.
        assert network[AP].stream(commit) == []

    assert network[AP].letters == {}
    assert network[AP].get(PATH)[0] == 410
    assert numbers_in(at_rest(network)) == set()


def test_a_function_that_still_has_the_key_leaves_nothing_behind(network: Network):
    """Its view is written after the key is destroyed, and before nobody goes by it any more."""
    aggregate_id = lived(network)
    way = forgetting(network)
    commits = list(network.log.read(aggregate_id, consistent=True))
    for step in way.forget():
        if step.phase == "key destroyed":
            lose_the_views(network)
            assert network[AP].stream(*commits[:3]) == []
        if step.waits:
            network.settle()
            network.elapsed_s += 1

    assert network[AP].get(PATH)[0] == 410
    assert numbers_in(everything(network)) == set()


def test_nothing_is_erased_before_no_function_goes_by_the_key(network: Network):
    lived(network)
    at_s: dict[str, float] = {}
    for step in forgetting(network).forget():
        at_s.setdefault(step.phase, network.elapsed_s)
        if step.waits:
            network.settle()
            network.elapsed_s += 1

    fresh_s = network[US].deps.settings.keys_fresh_s
    assert at_s["erased"] >= at_s["key destroyed"] + fresh_s


def test_an_answer_whose_body_cannot_be_read_any_more_is_given_without_it(network: Network):
    network[US].bus.refusing = True
    aggregate_id = lived(network)
    # As by an operator who does not wait for what is owed.
    network[US].post(command("ForgetSubscriber"))
    delivered(network)
    network[US].deps.subject_keys.destroy(aggregate_id, at_ms=1)
    network.elapsed_s += network[US].deps.settings.keys_fresh_s

    network[US].bus.refusing = False
    network[US].later(ms=60_000)
    network[US].sweep()

    answers = {one["command"]["type"]: one for one in network[US].answers}
    assert {"ActivateSubscriber", "SuspendSubscriber", "ForgetSubscriber"} <= answers.keys()
    assert all(one["state"] is None for one in answers.values())
    assert numbers_in((at_rest(network), network[US].answers)) == set()
    assert network[US].deps.responses_of(US).count_pending() == 0


def test_forgetting_waits_until_every_answer_was_given(network: Network):
    network[EU].bus.refusing = True
    lived(network)
    steps = []
    for step in forgetting(network).forget():
        steps.append(step)
        if len(steps) == 5:
            network[EU].bus.refusing = False
            network[EU].later(ms=60_000)
            network[EU].sweep()
        if step.waits:
            delivered(network)
            network.elapsed_s += 1
            assert len(steps) < 60

    waited = [step for step in steps if step.phase == "its answers"]
    assert len(waited) >= 3
    assert [step.phase for step in steps].index("key destroyed") > len(waited)


def test_the_messages_of_dead_letters_go_with_their_subject(network: Network):
    lived(network)
    theirs = json.dumps({**renumbered(), "expected_sequence": 1})
    garbled = json.dumps({**ACTIVATION, "type": "Activate"})
    others = json.dumps(renumbered(OTHER_IMSI) | {"expected_sequence": 9})
    for body in (theirs, garbled, others):
        assert not network[AP].bury("dead", body)
    assert len([one for one in network[AP].letters.values() if one.payload]) == 3
    assert numbers_in(at_rest(network)) == set()

    drive(network, forgetting(network))

    kept = [one.payload for one in network[AP].letters.values()]
    assert sorted(kept, key=str) == sorted([None, None, others], key=str)
    assert all(letter.state == "open" for letter in network[AP].letters.values())


def test_a_letter_about_the_forgotten_keeps_no_message(network: Network):
    aggregate_id = lived(network)
    drive(network, forgetting(network))

    filing = Filing(
        letter_id="commands.late",
        source="commands",
        error="conflict",
        aggregate_id=aggregate_id,
        payload=json.dumps(renumbered()),
        attributes={"Antiphon-Group": IMSI},
    )
    network[AP].deps.letters.file(filing, at_ms=1)

    assert network[AP].letters["commands.late"].payload is None
    assert numbers_in(everything(network)) == set()


def test_run_once_more_it_erases_what_nobody_could_read_and_came_later(network: Network):
    lived(network)
    drive(network, forgetting(network))
    cut_off = json.dumps(renumbered(IMSI))[:-1]
    assert not network[AP].bury("dead", cut_off)
    assert [one.payload for one in network[AP].letters.values()] == [cut_off]

    drive(network, forgetting(network))

    assert [one.payload for one in network[AP].letters.values()] == [None]
    assert numbers_in(everything(network)) == set()


def test_commits_from_before_there_were_keys_are_told_of_and_read_as_they_are(network: Network):
    aggregate_id = lived(network)
    log, cipher = network.log, network[US].deps.cipher
    first = log.get(aggregate_id, 1, consistent=True)
    assert first is not None
    clear = json.dumps(ACTIVATION["data"]).encode()
    old = replace(
        first,
        aggregate_id=network[US].deps.keys.aggregate_id("sub", OTHER_IMSI),
        events=(RecordedEvent("Subscriber.SubscriberActivated", 1, clear),),
    )
    assert log.put(old) is None
    for region in REGIONS:
        network[region].stream(old)
    network.settle()
    assert network[EU].get(f"/subscribers/{OTHER_IMSI}")[1]["imsi"] == IMSI

    steps = drive(network, forgetting(network, OTHER_IMSI))

    assert "1 commits are from before there were keys" in steps[-1].told
    assert network[EU].get(f"/subscribers/{OTHER_IMSI}")[0] == 410
    assert cipher.covers(aggregate_id)


def test_snapshots_are_sealed_and_go_with_their_subject(network: Network):
    for region in REGIONS:
        deps = network[region].deps
        deps.__dict__.pop("event_store", None)
        deps.settings = deps.settings.model_copy(update={"snapshot_every": 10})
    network[US].post(ACTIVATION)
    for number in range(12):
        network[US].post(command("ChangeServiceProfile", service_profile=f"p-{number}"))
        network.settle()
    assert any("x" in item for item in everything(network)[f"{US} snapshots"])
    assert numbers_in(at_rest(network)) == set()

    drive(network, forgetting(network))
    for number in range(12):
        network[US].post(command("ChangeServiceProfile", service_profile=f"q-{number}"))
        network.settle()

    states = [i for i in everything(network)[f"{US} snapshots"] if i["s"] == {"S": "state"}]
    assert [set("dx") & state.keys() for state in states] == [{"d"}]
    assert network[EU].post(command("ResumeSubscriber"))[1]["reason"] == "subscriber_forgotten"


def until_it_ends(network: Network, step: Callable[[], Any]) -> int:
    """Do it again after every crash; return how many there were."""
    crashes = 0
    while True:
        try:
            step()
        except Crash:
            crashes += 1
            come_again(network)
            continue
        return crashes


def come_again(network: Network) -> None:
    """Deliver what a crash has lost, as the stream and the sweeper do."""
    aggregate_id = network[US].deps.keys.aggregate_id("sub", IMSI)
    commits = list(network.log.read(aggregate_id, consistent=True))
    for region in REGIONS:
        network[region].stream(*commits)
    delivered(network)
    network[US].later(ms=60_000)
    network[US].sweep()


def test_whoever_is_stopped_anywhere_begins_again():
    """A crash at every fifth call to the outside, before it and after it in turn."""
    for call in range(0, CALLS, 5):
        network, when = Network(InProcessRegions()), ("before", "after")[call % 2]
        network[US].post(ACTIVATION)
        network.settle()
        network.crashes.plan(call=call, when=when)

        crashes = until_it_ends(
            network, lambda network=network: drive(network, forgetting(network))
        )

        network.crashes.plan(call=-1, when=when)
        assert network[EU].get(PATH)[0] == 410
        assert numbers_in(everything(network)) == set()
        if not crashes:
            assert call > 40
            return


STORY = st.lists(
    st.sampled_from(["renumber", "suspend", "resume", "settle", "refused", "letter"]), max_size=8
)


@hypothesis_settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(before=STORY, after=STORY, via=st.sampled_from(REGIONS))
def test_after_any_past_no_number_can_be_read(before: list[str], after: list[str], via: str):
    network = Network(InProcessRegions())
    network[US].post(ACTIVATION)
    _play(network, before)
    network.settle()
    drive(network, forgetting(network, via=via))
    _play(network, after)
    network.settle()

    assert numbers_in(everything(network)) == set()
    assert network[EU].get(PATH)[0] == 410


def _play(network: Network, story: list[str]) -> None:
    for number, what in enumerate(story):
        region = network[REGIONS[number % 3]]
        match what:
            case "renumber":
                msisdn = f"+491511234567{8 + number % 2}"
                region.post(command("ChangeMsisdn", msisdn=msisdn) | {"command_id": f"m{number}"})
            case "suspend":
                region.post(command("SuspendSubscriber", reason="lost"))
            case "resume":
                region.post(command("ResumeSubscriber"))
            case "refused":
                region.post(renumbered() | {"command_id": f"r{number}", "expected_sequence": 0})
            case "letter":
                region.bury("dead", json.dumps(renumbered() | {"expected_sequence": 0}))
            case "settle":
                network.settle()
