"""Crash before and after every call of taking a letter in and of replaying it, and go on."""

import json
from typing import Any

import pytest

from tests.handlers.network import ACTIVATION, REGIONS, Crash, Network

US, EU, AP = REGIONS
IMSI = ACTIVATION["data"]["imsi"]
BURIED = {
    "messageId": "m1",
    "attributes": {"MessageGroupId": IMSI, "SentTimestamp": "1700000000000"},
    "messageAttributes": {"Antiphon-Error": {"stringValue": "ExpectationNotMet: not yet"}},
}
# Taking in is one call, replaying three: read, send, end.
CALLS = 4
CRASH_POINTS = [
    pytest.param(call, when, id=f"{when} call {call}")
    for call in range(CALLS)
    for when in ("before", "after")
]


def until_it_ends(step: Any) -> Any:
    """Run a step again for as long as it crashes: queues deliver again, operators ask again."""
    while True:
        try:
            return step()
        except Crash:
            continue


def decide_what_was_sent(network: Network) -> int:
    """Deliver the command queue's messages, as SQS does; return how many differ by their id."""
    sent = {
        more["MessageDeduplicationId"]: (body, more)
        for body, more in zip(
            network.take(AP, "commands"), network.extras.pop((AP, "commands")), strict=True
        )
    }
    for name, (body, more) in sent.items():
        told = {name: one["StringValue"] for name, one in more["MessageAttributes"].items()}
        record = {
            "messageId": name,
            "body": body,
            "attributes": {"MessageGroupId": IMSI, "SentTimestamp": "1800000000000"},
            "messageAttributes": {name: {"stringValue": text} for name, text in told.items()},
        }
        assert network[AP].take_from_queue(record) == []
    return len(sent)


@pytest.mark.parametrize(("call", "when"), CRASH_POINTS)
def test_whatever_crashes_a_command_is_kept_replayed_and_decided_once(
    network: Network, call: int, when: str
):
    network.crashes.plan(call=call, when=when)

    until_it_ends(lambda: network[AP].bury("dead", json.dumps(ACTIVATION), **BURIED))
    [letter] = until_it_ends(lambda: list(network[AP].letters.values()))
    assert (letter.attempts, letter.payload) == (1, json.dumps(ACTIVATION))
    until_it_ends(lambda: network[AP].order("replay", letter.letter_id))
    assert network[AP].order("replay", letter.letter_id)[0] == "done"

    assert decide_what_was_sent(network) == 1
    aggregate_id = network[AP].deps.keys.aggregate_id("sub", IMSI)
    assert len(list(network.log.read(aggregate_id, consistent=True))) == 1
    [ended] = network[AP].letters.values()
    assert (ended.state, ended.attempts) == ("done", 1)
