"""Draining a region, losing one, and bringing it back, with the real functions at work."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from eventstore.scanning import LogScan
from handlers import commands
from handlers.envelope import CommandReader
from projections.adoption import Adoption
from projections.catching_up import Comparison
from projections.draining import RegionMoves, Step
from projections.regions import RegionRefused, RegionState
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS
ACTIVE, LEAVING, DRAINED, JOINING = RegionState
IMSI = ACTIVATION["data"]["imsi"]
MINUTE_MS = 60_000
APPEND_S = 9.0


def one_after_another(tasks: Any) -> list[Any]:
    return [task() for task in tasks]


class Operator:
    """Drives the moves of regions; a second of the states' clock passes with every step."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.queued: dict[str, int] = {}
        deps = network[US].deps
        scan = LogScan(
            network.log._client,
            table=deps.settings.events_table,
            together=one_after_another,
            segments=3,
        )
        self.moves = RegionMoves(
            states=network.states,
            comparison=Comparison(
                scan=scan,
                log=network.log,
                projections=deps.projections,
                views_of=deps.views_of,
                ring=deps.queues.ring,
            ),
            responses_of=deps.responses_of,
            queued=lambda region: self.queued.get(region, 0),
            sweep=lambda region: network[region].sweep(),
            adoption=lambda lost, adopter: Adoption(
                scan=scan,
                adopter=deps.responses_of(adopter),
                lost=deps.responses_of(lost),
                together=one_after_another,
                now_ms=deps.edge.now_ms,
                window_ms=deps.settings.token_window_s * 1000,
            ),
            fresh_s=deps.settings.control_fresh_s,
            append_s=APPEND_S,
            elapsed_s=lambda: network.elapsed_s,
            now_ms=deps.edge.now_ms,
        )

    def state(self, region: str) -> RegionState:
        return self.network.states.read().state(region)

    def do(
        self,
        way: Iterator[Step],
        meanwhile: Callable[[Step], None] = lambda _step: None,
        *,
        most: int = 200,
    ) -> list[Step]:
        steps = []
        for step in way:
            steps.append(step)
            assert len(steps) < most, steps[-3:]
            meanwhile(step)
            self.network.elapsed_s += 1
        return steps


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
    commands.take(deps, deps.event_store.decide(request))


def activation(number: int) -> dict[str, Any]:
    imsi = f"26201123456{number:04}"
    return {**ACTIVATION, "command_id": f"c{number}", "data": {**ACTIVATION["data"], "imsi": imsi}}


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
        (lambda moves: moves.drain(AP), "ap-south-1 is drained already"),
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


def lose(network: Network, region: str) -> None:
    """A region is gone with all that it held: its functions, its queues, its tables."""
    network.unreachable = {region}
    network.without_states = {region}
    for queue in ("lane", "acks", "later"):
        network.take(region, queue)


def test_a_lost_region_is_left_out_and_a_survivor_answers_what_came_in_there(
    network: Network, operator: Operator
):
    for number in range(15):
        network[AP].post(activation(number))
    for name in (US, EU):
        network[name].project(*network.take(name, "lane"))
    lose(network, AP)
    network[US].post(activation(99))
    network.settle(without=[AP])
    assert network[US].answers == [], "the lost region is required still"

    steps = operator.do(
        operator.moves.drain_lost(AP, adopter=EU), lambda _step: network.settle(without=[AP])
    )

    assert len(network[EU].answers) == 15
    assert {answer["origin"] for answer in network[EU].answers} == {AP}
    assert all(answer["drained"] == [AP] for answer in network[EU].answers)
    assert "15 answers to give of 16 commits" in " ".join(step.told for step in steps)
    network[US].later(ms=MINUTE_MS)
    network[US].sweep()
    assert len(network[US].answers) == 1


def test_an_adoption_that_was_left_off_is_begun_again_and_answers_nothing_twice(
    network: Network, operator: Operator
):
    for number in range(15):
        network[AP].post(activation(number))
    for name in (US, EU):
        network[name].project(*network.take(name, "lane"))
    lose(network, AP)
    way = operator.moves.drain_lost(AP, adopter=EU)
    for step in way:
        network.elapsed_s += 1
        if step.phase == "adopted by eu-west-1":
            break
    way.close()

    operator.do(operator.moves.drain_lost(AP))

    given = [answer["answer_id"] for answer in network[EU].answers]
    assert (len(given), len(set(given))) == (15, 15)


def test_what_the_lost_region_had_published_is_not_published_again_if_it_can_be_asked(
    network: Network, operator: Operator
):
    network[AP].post(activation(1))
    network.settle()
    network[AP].bus.refusing = True
    network[AP].post(activation(2))
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    network[AP].acknowledge(*network.take(AP, "acks"))
    stored = network[AP].deps.responses_of(AP)
    assert len(network[AP].answers) == 1
    lose(network, AP)
    network[EU].later(ms=MINUTE_MS)

    operator.do(operator.moves.drain_lost(AP, adopter=EU))

    [answer] = network[EU].answers
    assert answer["command"]["command_id"] == "c2"
    kept = stored.get(answer["command"]["commit"])
    assert kept is not None
    assert network[EU].bus.published[0].body == kept.body, "the body that was built there"


def test_a_region_drained_in_order_and_lost_then_can_still_be_adopted(
    network: Network, operator: Operator
):
    operator.do(operator.moves.drain(AP))

    operator.do(operator.moves.drain_lost(AP, adopter=EU))

    assert network.states.read().answering_region(AP) == EU
    with pytest.raises(RegionRefused, match="eu-west-1 answers for ap-south-1 already"):
        operator.do(operator.moves.drain_lost(AP, adopter=US))


def test_a_lost_region_that_comes_back_answers_for_itself_again(
    network: Network, operator: Operator
):
    lose(network, AP)
    operator.do(operator.moves.drain_lost(AP, adopter=EU))
    network.unreachable, network.without_states = set(), set()

    operator.do(operator.moves.undrain(AP), lambda _step: network.settle())
    network.states_grow_old()
    network[AP].post(ACTIVATION)
    network.settle()

    assert network[EU].answers == []
    [answer] = network[AP].answers
    assert sorted(answer["regions"]) == sorted(REGIONS)
