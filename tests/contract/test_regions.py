"""What the item of the regions' states promises, on every engine."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from eventstore.errors import StoreUnavailable
from projections.regions import ControlStore, RegionState, Topology
from tests.dynamodb import tables

Race = Callable[[Callable[[int], Any]], Sequence[Any]]
US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")


@pytest.fixture
def store(dynamodb: Any) -> ControlStore:
    return ControlStore(dynamodb, table=tables.create(dynamodb, "control"), regions=REGIONS)


def leaving(before: Topology, region: str) -> Topology:
    return before.moved(region, RegionState.LEAVING, at_ms=7)


def test_without_an_item_every_region_is_active(store: ControlStore):
    assert store.read() == Topology.all_active(REGIONS)


def test_what_was_changed_is_read_as_it_was_put(store: ControlStore):
    before = store.read()
    after = leaving(before, AP)

    assert store.change(before, after)

    assert store.read() == after
    assert store.change(after, after.moved(AP, RegionState.DRAINED, at_ms=8, adopter=EU))
    assert store.read().answering_region(AP) == EU


def test_whoever_has_read_older_states_changes_nothing(store: ControlStore):
    first = store.read()
    assert store.change(first, leaving(first, AP))
    second = store.read()

    assert not store.change(first, leaving(first, EU))
    assert store.read() == second

    assert store.change(second, second.moved(AP, RegionState.JOINING, at_ms=8))
    assert not store.change(second, leaving(second, EU))


def test_of_sixteen_racing_changes_one_is_made(store: ControlStore, race: Race):
    before = store.read()

    told = race(lambda n: store.change(before, leaving(before, REGIONS[n % 3])))

    assert sorted(told) == [False] * 15 + [True]


def test_a_region_configured_later_is_active_and_one_taken_out_is_forgotten(dynamodb: Any):
    table = tables.create(dynamodb, "control")
    store = ControlStore(dynamodb, table=table, regions=(US, AP))
    before = store.read()
    store.change(before, leaving(before, AP))

    told = ControlStore(dynamodb, table=table, regions=(US, EU)).read()

    assert (told.serving, told.version) == ((US, EU), 1)


def test_states_in_an_unknown_form_are_not_read_by_half(dynamodb: Any):
    table = tables.create(dynamodb, "control")
    form = '{"version": 9, "standings": {}, "quorum": 2}'
    dynamodb.put_item(
        TableName=table, Item={"k": {"S": "regions"}, "v": {"N": "9"}, "d": {"S": form}}
    )

    with pytest.raises(StoreUnavailable, match="a form unknown here"):
        ControlStore(dynamodb, table=table, regions=REGIONS).read()
