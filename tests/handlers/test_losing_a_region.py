"""A region is lost for good: the others go on without it, and one of them answers for it."""

import pytest

from projections.regions import RegionRefused, RegionState
from tests.handlers.network import ACTIVATION, REGIONS, Network
from tests.handlers.operator import Operator, activation

US, EU, AP = REGIONS
MINUTE_MS = 60_000


@pytest.fixture
def operator(network: Network) -> Operator:
    return Operator(network)


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
    with pytest.raises(RegionRefused, match="is drained already, and eu-west-1 answers for it"):
        operator.do(operator.moves.drain(AP))


def test_a_loss_does_not_end_well_if_the_region_was_brought_back_meanwhile(
    network: Network, operator: Operator
):
    network[AP].post(ACTIVATION)
    way = operator.moves.drain_lost(AP, adopter=EU)
    for step in way:
        network.elapsed_s += 1
        if step.phase == "adopted by eu-west-1":
            break

    network.move(AP, RegionState.JOINING, RegionState.ACTIVE)

    with pytest.raises(RegionRefused, match="ap-south-1 is active now"):
        operator.do(way)


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
