"""A drain waits for dead letters that hold what would be taken away with the region."""

import json

import pytest

from projections.draining import Step
from projections.failures import (
    ACKS,
    BUS,
    COMMANDS,
    LANE,
    LOG,
    PROJECTOR,
    RESPONDER,
    STREAM,
    SWEEPER,
)
from projections.letters import Filing
from projections.regions import RegionState
from tests.handlers.network import ACTIVATION, REGIONS, Network
from tests.handlers.operator import Operator

US, EU, AP = REGIONS


@pytest.fixture
def operator(network: Network) -> Operator:
    return Operator(network)


def test_a_region_is_not_drained_while_a_command_is_only_a_letter_there(
    network: Network, operator: Operator
):
    assert not network[AP].bury("dead", json.dumps(ACTIVATION), messageAttributes={})
    [letter] = network[AP].letters.values()
    told: list[str] = []

    def meanwhile(step: Step) -> None:
        network.settle()
        if operator.state(AP) is RegionState.LEAVING:
            told.append(step.told)
        if len(told) == 30:
            assert network[AP].deps.letters.drop(letter, by="op", reason="known", at_ms=1)

    operator.do(operator.moves.drain(AP), meanwhile)

    assert told[29] == "0 commands in its queue, 0 answers to give, 1 dead letters to deal with"
    assert operator.state(AP) is RegionState.DRAINED


@pytest.mark.parametrize("source", [COMMANDS, RESPONDER, SWEEPER, BUS])
def test_a_drain_does_not_end_while_what_only_a_letter_holds_is_in_the_region(
    network: Network, operator: Operator, source: str
):
    network[AP].deps.letters.file(Filing(letter_id="x", source=source, error="e"), at_ms=1)
    network[US].deps.letters.file(Filing(letter_id="y", source=source, error="e"), at_ms=1)
    way = operator.moves.drain(AP)

    for _ in range(50):
        next(way)
        network.elapsed_s += 1

    assert operator.state(AP) is RegionState.LEAVING


@pytest.mark.parametrize("source", [PROJECTOR, STREAM, LOG, LANE, ACKS])
def test_a_drain_does_not_wait_for_letters_of_what_is_in_the_log(
    network: Network, operator: Operator, source: str
):
    network[AP].deps.letters.file(Filing(letter_id="x", source=source, error="e"), at_ms=1)

    operator.do(operator.moves.drain(AP))

    assert operator.state(AP) is RegionState.DRAINED
