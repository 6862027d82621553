"""Moves of regions in EVENTUAL mode: what they compare and adopt is what any region has."""

import pytest

from antiphon.region_moves import moves_of
from eventstore.errors import StoreUnavailable
from eventstore.scanning import LogScan
from projections.draining import RegionMoves
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.bodies import at_home_in, change
from tests.handlers.eventual import EventualNetwork, commit_of
from tests.handlers.network import REGIONS
from tests.handlers.operator import one_after_another

US, EU, AP = REGIONS


@pytest.fixture
def regions() -> EventualNetwork:
    return EventualNetwork(InProcessRegions())


def moves_via(regions: EventualNetwork, via: str) -> RegionMoves:
    """Return the moves of regions as the command line wires them, seen from one region."""
    deps = regions[via].deps

    def scan_of(region: str) -> LogScan:
        client = deps._clients.dynamodb(region)
        return LogScan(client, table=regions.events, together=one_after_another)

    return moves_of(
        deps,
        states=regions.states,
        scan_of=scan_of,
        together=one_after_another,
        queued=lambda _region: 0,
        letters_of=lambda region: regions[region].deps.letters,
        sweep=lambda region: regions[region].sweep(),
    )


def test_a_region_serves_again_only_with_what_any_other_has_though_it_is_seen_from_one_without(
    regions: EventualNetwork,
):
    """Whoever has its region seen through a drained one must not go by what that one lacks."""
    body = at_home_in(regions, EU)
    regions[EU].post(body)
    regions.come_to_rest()
    regions.cut(EU, US)
    regions.cut(EU, AP)
    _, told = regions[EU].post(change(body, "gold"))
    commit = commit_of(regions, told)
    regions.heal()
    assert regions.log_at(US).get(commit.aggregate_id, commit.position, consistent=True) is None

    going = moves_via(regions, US).comparison.catch_up(AP)

    assert next(one.behind for one in going if one.behind) == (commit.aggregate_id,)
    regions.come_to_rest()
    assert all(not one.behind for one in moves_via(regions, US).comparison.catch_up(AP))


def test_what_takes_part_in_answers_must_be_reached_to_move_a_region(regions: EventualNetwork):
    regions.isolate(EU)

    with pytest.raises(StoreUnavailable):
        list(moves_via(regions, US).comparison.catch_up(AP))
