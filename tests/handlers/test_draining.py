"""Draining a region and bringing it back, with the real functions at work."""

import json
from typing import Any

import pytest

from handlers import commands
from handlers.envelope import CommandReader
from projections.draining import Step
from projections.regions import RegionRefused, RegionState
from tests.handlers.bodies import activation
from tests.handlers.network import ACTIVATION, REGIONS, Network
from tests.handlers.operator import Operator

US, EU, AP = REGIONS
ACTIVE, LEAVING, DRAINED, JOINING = RegionState
IMSI = ACTIVATION["data"]["imsi"]


@pytest.fixture
def operator(network: Network) -> Operator:
    return Operator(network)


def take_by_old_states(network: Network, region: str) -> None:
    """Have a command decided by a function that goes by states as old as its last read."""
    deps = network[region].deps
    reader = CommandReader(deps.registry, max_bytes=deps.settings.body_bytes)
    request = reader.read(
        json.dumps(ACTIVATION).encode(),
        idempotency_key=None,
        correlation_id=None,
        traceparent=None,
    )
    commands.decide(deps, request, b"")


def test_a_drained_region_has_answered_all_it_took_and_the_others_go_on_without_it(
    network: Network, operator: Operator
):
    for number in range(20):
        network[AP].post(activation(number))

    operator.do(operator.moves.drain(AP), lambda _step: network.settle())

    assert operator.state(AP) is DRAINED
    assert len(network[AP].answers) == 20
    assert all(sorted(answer["regions"]) == sorted(REGIONS) for answer in network[AP].answers)
    network[US].post(activation(20))
    network.settle(without=[AP])
    [answer] = network[US].answers
    assert answer["drained"] == [AP]


def test_a_region_leaves_only_when_every_function_has_stopped_to_serve_by_old_states(
    network: Network, operator: Operator
):
    served: list[tuple[RegionState, float]] = []
    left: list[float] = []
    network[AP].post(ACTIVATION)
    network[US].deps.control.current()

    def meanwhile(_step: Step) -> None:
        network.settle()
        if network[AP].get(f"/subscribers/{IMSI}")[0] == 200:
            served.append((operator.state(AP), network.elapsed_s))
        if AP not in network[US].deps.control.current().required(US):
            left.append(network.elapsed_s)

    operator.do(operator.moves.drain(AP), meanwhile)

    assert served
    assert {state for state, _ in served} == {LEAVING}
    assert left
    assert max(at for _, at in served) < min(left)


def test_a_region_is_not_drained_while_commands_wait_in_its_queue_or_answers_are_owed(
    network: Network, operator: Operator
):
    network[AP].post(ACTIVATION)
    network[AP].project(*network.take(AP, "lane"))
    operator.queued[AP] = 2
    way = operator.moves.drain(AP)

    for _ in range(30):
        told = next(way).told
        network.elapsed_s += 1
    assert told == "2 commands in its queue, 1 answers to give"
    assert operator.state(AP) is LEAVING

    operator.queued.clear()
    network.settle()
    operator.do(way)
    assert operator.state(AP) is DRAINED


def test_what_was_still_taken_by_old_states_is_answered_before_it_is_safe(
    network: Network, operator: Operator
):
    way = operator.moves.drain(AP)
    posted = False
    for step in way:
        if operator.state(AP) is DRAINED and not posted:
            # Decided by a function that has not heard of it yet, and not applied there so far.
            take_by_old_states(network, AP)
            posted = True
        if step.phase == "its last commands":
            break
        network.elapsed_s += 1
    assert posted
    assert "1 behind" in step.told

    steps = operator.do(way, lambda _step: network.settle())

    assert len(network[AP].answers) == 1
    assert steps[-1].told == "0 commands in its queue, 0 answers to give"


def test_a_drain_that_was_left_off_goes_on_and_holds_again(network: Network, operator: Operator):
    way = operator.moves.drain(AP)
    next(way)
    way.close()
    assert operator.state(AP) is LEAVING
    begun_s = network.elapsed_s

    operator.do(operator.moves.drain(AP), lambda _step: network.settle())

    assert operator.state(AP) is DRAINED
    assert network.elapsed_s - begun_s > 2 * network[US].deps.settings.control_fresh_s


def test_a_drain_that_was_left_off_in_a_drained_region_waits_for_the_last_answers(
    network: Network, operator: Operator
):
    way = operator.moves.drain(AP)
    for _step in way:
        if operator.state(AP) is DRAINED:
            break
        network.elapsed_s += 1
    take_by_old_states(network, AP)
    way.close()
    # The message to its own projector is lost, so only the comparison can find the command.
    network.take(AP, "lane")

    operator.do(operator.moves.drain(AP), lambda _step: network.settle())

    assert operator.state(AP) is DRAINED
    assert len(network[AP].answers) == 1


def test_a_drain_that_has_ended_may_be_begun_again_and_changes_nothing(
    network: Network, operator: Operator
):
    operator.do(operator.moves.drain(AP))
    before = network.states.read()

    steps = operator.do(operator.moves.drain(AP))

    assert network.states.read() == before
    assert {step.phase for step in steps} == {"drained", "its last commands", "its last answers"}


@pytest.mark.parametrize("phase", ["its last commands", "its last answers"])
def test_a_drain_does_not_end_as_safe_if_the_region_was_brought_back_meanwhile(
    network: Network, operator: Operator, phase: str
):
    network[AP].post(ACTIVATION)
    network.settle()
    way = operator.moves.drain(AP)
    for step in way:
        if step.phase == phase:
            break
        network.elapsed_s += 1

    network.move(AP, JOINING, ACTIVE)

    with pytest.raises(RegionRefused, match="ap-south-1 is active now"):
        operator.do(way)


def test_a_hold_that_was_for_an_earlier_state_counts_for_nothing(
    network: Network, operator: Operator
):
    way = operator.moves.drain(AP)
    next(way)
    # Another operator brings it back meanwhile, and a third has just begun to drain it.
    network.move(AP, JOINING, ACTIVE, LEAVING)

    with pytest.raises(RegionRefused, match="somebody else has moved it"):
        operator.do(way, lambda _step: network.settle())

    assert operator.state(AP) is LEAVING


@pytest.mark.parametrize(
    ("way", "told"),
    [
        (lambda moves: moves.drain("mars"), "no region mars here; there are us-east-1"),
        (lambda moves: moves.undrain("mars"), "no region mars here"),
        (lambda moves: moves.drain_lost("mars"), "no region mars here"),
        (lambda moves: moves.undrain(US), "us-east-1 serves already"),
        (lambda moves: moves.drain_lost(US, adopter=AP), "ap-south-1 cannot answer for us-east-1"),
        (lambda moves: moves.drain_lost(US, adopter=US), "us-east-1 cannot answer for us-east-1"),
        (lambda moves: moves.drain_lost(US, adopter="mars"), "no region mars here"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name_and_changes_nothing(
    network: Network, operator: Operator, way: Any, told: str
):
    network.move(AP, LEAVING, DRAINED)
    before = network.states.read()

    with pytest.raises(RegionRefused, match=told):
        operator.do(way(operator.moves))

    assert network.states.read() == before


@pytest.mark.parametrize(
    "way", [lambda moves: moves.drain(US), lambda moves: moves.drain_lost(US)], ids=["here", "lost"]
)
def test_the_last_region_that_serves_is_not_drained(network: Network, operator: Operator, way: Any):
    network.move(AP, LEAVING, DRAINED)
    network.move(EU, LEAVING)

    with pytest.raises(RegionRefused, match="us-east-1"):
        operator.do(way(operator.moves))

    assert operator.state(US) is ACTIVE


def test_a_region_that_comes_back_serves_only_what_was_answered_without_it_and_more(
    network: Network, operator: Operator
):
    operator.do(operator.moves.drain(AP))
    for number in range(12):
        network[US].post(activation(number))
    network.settle(without=[AP])
    assert {tuple(answer["drained"]) for answer in network[US].answers} == {(AP,)}
    # Everything that was on its way to it is gone, as after days.
    network.take(AP, "lane")
    seen: list[int] = []

    def meanwhile(step: Step) -> None:
        seen.append(network[AP].get("/subscribers/262011234560000")[0])
        if "behind" in step.told:
            network.settle()

    steps = operator.do(operator.moves.undrain(AP), meanwhile)

    assert operator.state(AP) is ACTIVE
    assert set(seen) == {503}, "it serves nothing before"
    assert any("behind (sub." in step.told for step in steps)
    network.states_grow_old()
    for number in range(12):
        imsi = f"26201123456{number:04}"
        assert network[AP].get(f"/subscribers/{imsi}")[1]["applied_sequence"] == 1


def test_the_log_is_compared_only_once_every_publisher_requires_the_region_again(
    network: Network, operator: Operator
):
    operator.do(operator.moves.drain(AP))
    network[US].deps.control.current()
    posted: list[float] = []

    def meanwhile(step: Step) -> None:
        # America answers by states as old as they may be, as long as it can without Asia.
        if AP not in network[US].deps.control.current().required(US):
            network[US].post(activation(len(posted)))
            network.settle(without=[AP])
            network.take(AP, "lane")
            posted.append(network.elapsed_s)
        if "behind" in step.told:
            network.settle()

    operator.do(operator.moves.undrain(AP), meanwhile)
    network.states_grow_old()

    assert posted
    assert len(network[US].answers) == len(posted)
    for number in range(len(posted)):
        imsi = f"26201123456{number:04}"
        assert network[AP].get(f"/subscribers/{imsi}")[1]["applied_sequence"] == 1


def test_a_drain_that_was_begun_is_taken_back_by_bringing_the_region_back(
    network: Network, operator: Operator
):
    next(operator.moves.drain(AP))

    operator.do(operator.moves.undrain(AP), lambda _step: network.settle())

    assert operator.state(AP) is ACTIVE
