"""What functions do, played so that each permission of their roles is needed at least once.

The real handlers do it, in an installation whose every call is put to the templates.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from tests.privileges.installation import BUCKET, REGIONS, Installation, records_of
from tests.simulation.plan import Mode

US, EU, AP = REGIONS
Scene = Callable[[Installation], None]
DAY_MS = 86_400_000
# As many commits as the settings of these tests have before a snapshot, and more.
CHANGES = 12


def imsi_of(number: int) -> str:
    return f"26201123456{number:04}"


def activation(number: int = 0, **more: Any) -> dict[str, Any]:
    data = {
        "imsi": imsi_of(number),
        "msisdn": f"+49151123{number:05}",
        "iccid": "8949020000012345670",
        "service_profile": "consumer-5g",
    }
    return _command("ActivateSubscriber", f"a{number}", data) | more


def change(number: int, profile: str, **more: Any) -> dict[str, Any]:
    data = {"imsi": imsi_of(number), "service_profile": profile}
    return _command("ChangeServiceProfile", f"c{number}-{profile}", data) | more


def _command(kind: str, command_id: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": kind,
        "command_id": command_id,
        "producer": "crm",
        "occurred_at": "2026-11-23T10:00:00Z",
        "data": data,
    }


def commands_are_answered(here: Installation) -> None:
    """Take commands in everywhere, in cold functions too, and answer them with proof of all."""
    first = here.post(US, activation())
    here.deliver()
    for number in range(CHANGES):
        here.post(US, change(0, f"profile-{number}"))
        here.deliver()
    here.cool()
    here.post(EU, change(0, "by-eu"))
    here.send(AP, "antiphon-commands.fifo", json.dumps(change(0, "by-ap")))
    # On a commit of another aggregate than their own.
    after = {"depends_on": first["consistency_token"]}
    here.send(US, "antiphon-commands.fifo", json.dumps(activation(1, **after)))
    here.post(EU, activation(16, **after))
    here.deliver()


def a_duplicate_waits_elsewhere(here: Installation) -> None:
    """Answer a duplicate in another region by its own proof, as nobody else has."""
    here.post(US, activation(2))
    here.deliver(without=frozenset({"antiphon-acks"}))
    told = here.post(AP, activation(2), prefer="wait=1")
    assert told["duplicate"]
    assert told["answer"] is not None
    here.deliver()


def queued_commands_fail(here: Installation) -> None:
    """Bury what can never be decided, and have come again what cannot be now."""
    here.send(US, "antiphon-commands.fifo", "{")
    here.deliver()
    here.throttled.add("events")
    here.send(US, "antiphon-commands.fifo", json.dumps(change(1, "gold")))
    record = here.messages.pop((US, "antiphon-commands.fifo"))[0]
    told = here.invoke(US, "command_queue", {"Records": [record]})
    assert told["batchItemFailures"]
    here.throttled.clear()


def the_stream_skips_and_repeats(here: Installation) -> None:
    """Bring commits out of order and several subjects at once, to a region that nobody reaches."""
    for number in (3, 4):
        here.post(EU, activation(number))
        here.post(EU, change(number, "gold"))
    here.messages.clear()
    latest = [one for one in here.log if one["q"]["N"] == "2" and "ChangeService" in str(one)]
    here.unreachable.add(EU)
    queue = AP, "antiphon-lane"
    here.stream(AP, *latest)
    assert here.messages[queue], "what an origin has not heard is brought again"
    here.unreachable.clear()
    here.deliver()


def answers_are_overdue(here: Installation) -> None:
    """Let the sweeper prove what no acknowledgement has, and wake who lags."""
    here.post(US, activation(5))
    here.messages.pop((AP, "antiphon-lane"), None)
    here.deliver(without=frozenset({"antiphon-acks"}))
    here.messages.clear()
    here.ahead_ms += DAY_MS // 12
    assert here.invoke(US, "sweeper", {})["lagging"] == {AP: 1}
    here.deliver(without=frozenset({"antiphon-acks"}))
    here.messages.clear()
    here.ahead_ms += DAY_MS // 12
    assert here.invoke(US, "sweeper", {})["answered"] == 1


def an_answer_went_astray(here: Installation) -> None:
    """Acknowledge to a region that does not answer: its sweeper looks whether another has."""
    here.post(US, activation(17))
    here.deliver(without=frozenset({"antiphon-acks"}))
    here.invoke(EU, "responder", {"Records": here.messages[US, "antiphon-acks"]})
    here.deliver()
    here.ahead_ms += DAY_MS // 12
    assert here.invoke(EU, "sweeper", {})["answered"] == 1


def everything_is_read(here: Installation) -> None:
    """Ask every kind of query."""
    told = here.post(US, activation(6))
    here.deliver()
    path = f"/subscribers/{imsi_of(6)}"
    for query in (
        {},
        {"consistency": "strong"},
        {"consistency_token": told["consistency_token"]},
    ):
        here.get(AP, "queries", path, **query)
    here.get(AP, "queries", f"{path}/timeline")
    here.get(AP, "queries", f"{path}/history", at_sequence="1")
    here.get(AP, "queries", "/subscribers", msisdn="+4915112300006")
    assert len(here.get(AP, "queries", "/subscribers", status="active")["items"]) > 1
    here.get(AP, "queries", f"/commands/{told['commit']}")


def the_status_is_told(here: Installation) -> None:
    """Ask for the status of a region that owes an answer which another lacks."""
    here.post(US, activation(7))
    here.messages.pop((AP, "antiphon-lane"), None)
    here.deliver()
    told = here.get(US, "status", "/status")
    assert told["pending"] == 1
    here.stream(AP, here.commit(told["held"][0]["commit"]))
    here.deliver()


def letters_come_and_go(here: Installation) -> None:
    """Take dead letters in from every queue, replay, look at and drop them, and end the settled."""
    told = here.post(EU, activation(8))
    here.deliver()
    commit = here.commit(told["commit"])
    poisoned = {**commit, "e": {"L": [{"M": {"t": {"S": "Subscriber.Unheard"}}}]}, "q": {"N": "2"}}
    here.stream(EU, poisoned)
    here.send(EU, "antiphon-commands-dead.fifo", "{", Antiphon_Error="invalid: x")
    here.send(EU, "antiphon-lane-dead", "{")
    here.send(EU, "antiphon-acks-dead", "{")
    answer = {"detail-type": "CommandApplied", "detail": here.published[-1]}
    here.send(EU, "antiphon-answers-dead", json.dumps(answer), ERROR_CODE="NO_PERMISSIONS")
    # Too large for a letter: what is sent again is the stored body.
    large = {**answer, "padding": "x" * 360_000}
    other = here.published[-2]
    here.send(EU, "antiphon-answers-dead", json.dumps({**large, "detail": other}))
    _discarded(here, commit)
    here.deliver()
    # An answer of which the responder and the sweeper can make nothing.
    _unanswerable(here, 9)
    for letter in here.letters(EU):
        here.invoke(EU, "dead_letters", {"order": "look", "letter": letter})
        here.invoke(EU, "dead_letters", {"order": "replay", "letter": letter})
    here.cool()
    here.ahead_ms += DAY_MS
    here.invoke(EU, "dead_letters", {})
    here.send(EU, "antiphon-commands-dead.fifo", "[", Antiphon_Error="invalid: x")
    here.deliver(without=frozenset({"antiphon-commands.fifo", "antiphon-lane", "antiphon-acks"}))
    for letter in here.letters(EU):
        order = {"order": "drop", "letter": letter, "by": "eva", "reason": "no use"}
        here.invoke(EU, "dead_letters", order)


def the_first_letter_of_all_is_of_nobody(here: Installation) -> None:
    """Keep, in an installation that has no key yet, what names nobody that is known."""
    here.send(US, "antiphon-commands-dead.fifo", "{", Antiphon_Error="invalid: x")
    here.deliver()
    assert here.letters(US)


def homes_are_elsewhere(here: Installation) -> None:
    """In EVENTUAL mode have each region's commands decided by whichever is home."""
    for number in range(4):
        for region in REGIONS:
            here.post(region, activation(number))
            here.send(region, "antiphon-commands.fifo", json.dumps(change(number, region)))
            here.deliver()
            token = here.post(region, change(number, f"{region}-2"))["consistency_token"]
            here.deliver()
            path = f"/subscribers/{imsi_of(number)}"
            for query in ({"consistency": "strong"}, {"consistency_token": token}):
                here.get(region, "queries", path, **query)


def commits_are_missing_here(here: Installation) -> None:
    """In EVENTUAL mode look for commits where they were appended, as they are not here yet."""
    homes = here.homes.read()
    for number in range(10, 16):
        told = here.post(US, activation(number))
        if homes.of(told["aggregate_id"]).home == US:
            continue
        here.deliver(without=frozenset({"antiphon-acks"}))
        here.messages.clear()
        here.hidden.add(US)
        here.get(US, "queries", f"/commands/{told['commit']}")
        here.ahead_ms += DAY_MS // 12
        here.invoke(US, "sweeper", {})
        here.hidden.clear()


def homes_are_taken_by_force(here: Installation) -> None:
    """In EVENTUAL mode go on from what a region has appended that is not there any more."""
    before = here.homes.read()
    taken = before.at(AP)
    moving = before.moving(dict.fromkeys(taken, US), by_force=True)
    assert here.homes.change(before, moving)
    assert here.homes.change(moving, moving.moved(taken, by_force=True))
    here.cool()
    for number in range(4):
        here.post(US, change(number, "after"))
        here.send(US, "antiphon-commands.fifo", json.dumps(activation(20 + number)))
        here.send(US, "antiphon-commands.fifo", json.dumps(change(10 + number, "after")))
        here.deliver()


def the_first_command_is_queued(here: Installation) -> None:
    """Make the installation's first key because of a command that came by queue."""
    here.send(US, "antiphon-commands.fifo", json.dumps(activation()))
    here.deliver()


def two_do_the_same_at_once(here: Installation) -> None:
    """Apply a commit, and store an answer, while another process of the function does."""
    here.post(US, activation(30))
    lane, acks = (EU, "antiphon-lane"), (US, "antiphon-acks")
    records = here.messages.pop(lane)
    again = {"Records": records}
    for write in ("put_item", "transact_write_items"):
        here.meanwhile["views", write] = lambda: here.invoke(EU, "projector", again)
    here.invoke(EU, "projector", again)
    here.meanwhile.clear()
    here.deliver(without=frozenset({"antiphon-acks"}))
    heard = {"Records": here.messages.pop(acks)}
    here.meanwhile["views", "get_item"] = lambda: here.invoke(US, "responder", heard)
    here.invoke(US, "responder", heard)
    assert not here.meanwhile


def _unanswerable(here: Installation, number: int) -> None:
    """Have an answer that nobody can make: its commit was damaged, as nothing of ours does."""
    told = here.post(EU, activation(number))
    here.deliver(without=frozenset({"antiphon-acks"}))
    commit = here.commit(told["commit"])
    here.shared.put_item(
        TableName="antiphon-events", Item={**commit, "e": {"L": [{"M": {"t": {"S": "Unheard"}}}]}}
    )
    here.deliver()
    here.ahead_ms += DAY_MS // 12
    here.invoke(EU, "sweeper", {})
    here.shared.put_item(TableName="antiphon-events", Item=commit)


def _discarded(here: Installation, *commits: dict[str, Any]) -> None:
    """Have the stream's mapping give records up, one of them a change; and name an object more."""
    changed = records_of(commits[0], event_name="MODIFY")
    context = {"condition": "MaxRecordAgeExceeded", "approximateInvokeCount": 40}
    payload = json.dumps({"Records": records_of(*commits) + changed})
    here.objects["one"] = json.dumps({"requestContext": context, "payload": payload}).encode()
    for key in ("one", "gone"):
        told = {"bucket": {"name": BUCKET}, "object": {"key": key}}
        here.send(EU, "antiphon-discarded", json.dumps({"Records": [{"s3": told}]}))


# Each in an installation of its own, by its mode.
PLAYS: tuple[tuple[Mode, Sequence[Scene]], ...] = (
    ("STRONG", (the_first_command_is_queued, two_do_the_same_at_once)),
    (
        "STRONG",
        (
            the_first_letter_of_all_is_of_nobody,
            commands_are_answered,
            a_duplicate_waits_elsewhere,
            queued_commands_fail,
            the_stream_skips_and_repeats,
            answers_are_overdue,
            an_answer_went_astray,
            everything_is_read,
            the_status_is_told,
            letters_come_and_go,
        ),
    ),
    (
        "EVENTUAL",
        (
            commands_are_answered,
            homes_are_elsewhere,
            commits_are_missing_here,
            homes_are_taken_by_force,
        ),
    ),
)


def play_all() -> None:
    """Play every scene."""
    for mode, scenes in PLAYS:
        here = Installation(mode)
        for scene in scenes:
            scene(here)
