"""Clocks that are wrong make answers late at the most, never for as long as they are wrong."""

import pytest

from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, _ = REGIONS
MINUTE_MS = 60_000


@pytest.mark.parametrize("ahead_ms", [60 * MINUTE_MS, -60 * MINUTE_MS])
def test_a_body_stored_by_a_wrong_clock_is_published_by_the_next_sweep(
    network: Network, ahead_ms: int
):
    network[US].post(ACTIVATION)
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    network.take(US, "acks")
    network[EU].later(ms=ahead_ms)
    network[EU].post(ACTIVATION, {"Prefer": "wait=5"})
    stored = network[US].get(f"/commands/{network[US].post(ACTIVATION)[1]['commit']}")[1]["answer"]
    assert stored is not None, "the region whose clock is wrong has proved it"
    assert network[US].answers == []

    network[US].later(ms=MINUTE_MS)
    network[US].sweep()

    assert network[US].answers == [stored]


@pytest.mark.parametrize("ahead_ms", [60 * MINUTE_MS, -60 * MINUTE_MS])
def test_a_region_whose_clock_is_wrong_answers_what_comes_in_there_at_once(
    network: Network, ahead_ms: int
):
    network[US].later(ms=ahead_ms)

    network[US].post(ACTIVATION)
    network.settle()

    [answer] = network[US].answers
    assert answer["sequence"] == answer["as_of_sequence"] == 1


@pytest.mark.parametrize("ahead_ms", [60 * MINUTE_MS, -60 * MINUTE_MS])
def test_a_duplicate_is_known_by_a_region_whose_clock_is_wrong(network: Network, ahead_ms: int):
    _, first = network[US].post(ACTIVATION)
    network[EU].later(ms=ahead_ms)

    _, again = network[EU].post(ACTIVATION)

    assert (again["commit"], again["duplicate"]) == (first["commit"], True)
