"""What cannot be done to homes is refused by name, before anything is changed."""

from collections.abc import Callable

import pytest

from eventstore.errors import NotHome, StoreUnavailable
from projections.homes import HomesStore, KnownHomes
from projections.regions import ControlStore, RegionRefused, RegionState
from projections.rehoming import HomeMoves
from tests.dynamodb import tables
from tests.dynamodb.in_process import InProcessDynamoDB

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")


@pytest.fixture
def client() -> InProcessDynamoDB:
    made = InProcessDynamoDB()
    tables.create(made, "control", name="control")
    return made


@pytest.fixture
def homes(client: InProcessDynamoDB) -> HomesStore:
    store = HomesStore(client, table="control")  # type: ignore[arg-type]
    assert store.spread(REGIONS)
    return store


@pytest.fixture
def states(client: InProcessDynamoDB) -> ControlStore:
    return ControlStore(client, table="control", regions=REGIONS)  # type: ignore[arg-type]


def _never(_region: str) -> None:
    raise AssertionError("nothing is compared for what is refused")


@pytest.fixture
def moves(homes: HomesStore, states: ControlStore) -> HomeMoves:
    return HomeMoves(
        homes=homes,
        states=states,
        comparison_of=_never,  # type: ignore[arg-type]
        fresh_s=3,
        put_s=10,
        elapsed_s=lambda: 0.0,
    )


def drained(states: ControlStore, region: str) -> None:
    for state in (RegionState.LEAVING, RegionState.DRAINED):
        before = states.read()
        assert states.change(before, before.moved(region, state, at_ms=0))


def _to_an_unknown_region(moves: HomeMoves) -> None:
    list(moves.move({0: EU, 1: "mars"}))


def _from_the_last_region(moves: HomeMoves) -> None:
    drained(moves.states, EU)
    drained(moves.states, AP)
    list(moves.take(US))


def _to_a_region_that_serves_nothing(moves: HomeMoves) -> None:
    drained(moves.states, AP)
    list(moves.move({0: AP}))


def _to_where_it_is(moves: HomeMoves) -> None:
    homes = moves.homes.read()
    moves.homes.read().moving({0: homes.slots[0].home}, by_force=False)


@pytest.mark.parametrize(
    ("way", "told"),
    [
        (_to_an_unknown_region, "no region mars here; there are us-east-1, eu-west-1, ap-south-1"),
        (_from_the_last_region, "no other region than us-east-1 serves, so none can take"),
        (_to_a_region_that_serves_nothing, "ap-south-1 is drained; only a region that serves"),
        (_to_where_it_is, "us-east-1 is the home of slot 0 already"),
    ],
)
def test_what_cannot_be_moved_is_refused_and_nothing_changes(
    moves: HomeMoves, way: Callable[[HomeMoves], None], told: str
):
    before = moves.homes.read()
    with pytest.raises(RegionRefused, match=told):
        way(moves)
    assert moves.homes.read() == before


def test_a_slot_that_is_moving_is_not_moved_elsewhere_until_that_has_ended(moves: HomeMoves):
    slot = 0
    before = moves.homes.read()
    assert moves.homes.change(before, before.moving({slot: EU}, by_force=False))
    moving = moves.homes.read()

    with pytest.raises(
        RegionRefused, match=r"slot 0 is being moved to eu-west-1 already; .* antiphon homes stay"
    ):
        moving.moving({slot: AP}, by_force=False)

    assert moves.homes.read() == moving
    # What the refusal says ends it, and then it can be moved anywhere.
    assert moves.stay() == 1
    moves.homes.read().moving({slot: AP}, by_force=False)


def known(homes: HomesStore, region: str, *, regions: tuple[str, ...] = REGIONS) -> KnownHomes:
    return KnownHomes(homes, region=region, regions=regions, elapsed_s=lambda: 0.0, fresh_s=3)


def aggregate_at(homes: HomesStore, home: str) -> str:
    names = (f"aggregate-{number}" for number in range(1000))
    return next(name for name in names if homes.read().of(name).home == home)


def test_a_slot_that_is_at_home_nowhere_is_refused_by_name_and_the_others_are_not(
    homes: HomesStore,
):
    mine = known(homes, US, regions=(US, EU))

    told = r"is at home in ap-south-1, which is no region here \(eu-west-1, us-east-1\); deploy"
    with pytest.raises(StoreUnavailable, match=told):
        mine.held(aggregate_at(homes, AP))

    assert mine.held(aggregate_at(homes, US)).epoch == 0
    with pytest.raises(NotHome):
        mine.held(aggregate_at(homes, EU))
