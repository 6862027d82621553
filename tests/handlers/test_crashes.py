"""Crash before and after every single call on the way of one Event A, and start again.

A crash ends an invocation where it is. The queues and streams deliver again, the producer
sends again, the sweeper looks: in the end there is one commit, one state and one Event B.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from eventstore.commits import Commit
from tests.handlers.network import ACTIVATION, REGIONS, Crash, Network

US, EU, AP = REGIONS
IMSI = ACTIVATION["data"]["imsi"]
MINUTE_MS = 60_000
CALLS = 40


def survive(step: Callable[[], Any]) -> bool:
    """Run a step; say whether it came to its end."""
    try:
        step()
    except Crash:
        return False
    return True


def deliver_what_waits(network: Network) -> None:
    """Deliver each region's messages; those of an invocation that crashed come again."""
    for name in REGIONS:
        for queue, handle in (
            ("lane", network[name].project),
            ("acks", network[name].acknowledge),
        ):
            bodies = network.take(name, queue)
            if bodies and not survive(lambda handle=handle, bodies=bodies: handle(*bodies)):
                network.messages[name, queue] = bodies + network.messages[name, queue]


def play(network: Network) -> None:
    """Send one command and let everything go its way, with all that repeats in reality."""
    while not survive(lambda: network[US].post(ACTIVATION)):
        pass
    for _ in range(4):
        deliver_what_waits(network)
    aggregate_id = network[US].deps.keys.aggregate_id("sub", IMSI)
    commits: list[Commit] = []
    while not survive(lambda: commits.extend(network.log.read(aggregate_id, consistent=True))):
        pass
    for name in REGIONS:
        # The stream brings it anyway.
        while not survive(lambda name=name: network[name].stream(*commits)):
            pass
    for _ in range(4):
        deliver_what_waits(network)
    for _ in range(2):
        network[US].later(ms=MINUTE_MS)
        while not survive(network[US].sweep):
            pass
        deliver_what_waits(network)


CRASH_POINTS = [
    pytest.param(call, when, id=f"{when} call {call}")
    for call in range(CALLS)
    for when in ("before", "after")
]


@pytest.mark.parametrize(("call", "when"), CRASH_POINTS)
def test_whatever_crashes_there_is_one_commit_one_state_and_one_answer(
    network: Network, call: int, when: str
):
    network.crashes.plan(call=call, when=when)

    play(network)

    bodies = {answer.body for answer in network[US].bus.published}
    assert len(bodies) == 1
    [body] = bodies
    answer = json.loads(body)
    assert sorted(answer["regions"]) == sorted(REGIONS)
    assert (answer["sequence"], answer["as_of_sequence"]) == (1, 1)
    for name in REGIONS:
        _, view = network[name].get(f"/subscribers/{IMSI}")
        assert view["applied_sequence"] == 1
        _, timeline = network[name].get(f"/subscribers/{IMSI}/timeline")
        assert len(timeline["items"]) == 1
    response = network[US].deps.responses_of(US).get(answer["command"]["commit"])
    assert response is not None
    assert response.published_at_ms is not None


def test_the_crash_points_reach_from_the_first_call_to_the_last(network: Network):
    play(network)

    # Two sweeps and the repeated stream come after the answer: the points go well beyond it.
    assert network.crashes.calls >= CALLS
