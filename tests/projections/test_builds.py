"""Which builds are live, as a function instance knows them: never by what it read too long ago."""

from dataclasses import replace

import pytest

from eventstore.errors import StoreUnavailable
from projections.builds import (
    Builds,
    BuildState,
    BuildStore,
    BuildUnknown,
    Phase,
    Registered,
)
from projections.known_builds import KnownBuilds
from projections.projection import Projection
from tests.dynamodb import tables
from tests.dynamodb.in_process import InProcessDynamoDB

SHOWN = Projection(name="shown", version=1, tags=None, apply=lambda document, _: document)
CHANGED = replace(SHOWN, version=2)


class Store:
    """A store that can be cut off, and takes its time."""

    def __init__(self) -> None:
        self.states: dict[str, BuildState] = {}
        self.reads = 0
        self.cut_off = False
        self.takes_s = 0.0
        self.now_s = 0.0

    def read(self) -> dict[str, BuildState]:
        self.reads += 1
        self.now_s += self.takes_s
        if self.cut_off:
            raise StoreUnavailable("cut off")
        return dict(self.states)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def known(store: Store) -> KnownBuilds:
    return KnownBuilds(
        store,  # type: ignore[arg-type]
        Registered([SHOWN]),
        elapsed_s=lambda: store.now_s,
        fresh_s=2.0,
    )


def test_what_was_read_is_gone_by_for_its_time_and_read_again_at_half_of_it(
    store: Store, known: KnownBuilds
):
    for store.now_s in (0.0, 0.9, 1.0, 1.9):
        known.current()
    assert store.reads == 2


def test_too_old_a_state_is_gone_by_by_nobody(store: Store, known: KnownBuilds):
    known.current()
    store.cut_off = True
    store.now_s = 2.0
    known.current()
    store.now_s = 2.1
    with pytest.raises(StoreUnavailable, match="which builds are live"):
        known.current()


def test_the_age_counts_from_before_the_read_was_sent(store: Store, known: KnownBuilds):
    store.takes_s = 2.5
    with pytest.raises(StoreUnavailable):
        known.current()


def test_without_a_rebuild_the_lowest_version_is_live_and_alone():
    builds = Builds(Registered([CHANGED, SHOWN]), {})
    assert builds.live(CHANGED) == SHOWN
    assert builds.written() == (SHOWN,)


@pytest.mark.parametrize(
    ("phase", "live", "other", "written"),
    [
        (Phase.FILLING, "1", "2", [1]),
        (Phase.BOTH, "1", "2", [2, 1]),
        (Phase.SWITCHED, "2", "1", [2, 1]),
        (None, "2", None, [2]),
    ],
)
def test_what_is_written_in_each_phase_the_new_build_first(phase, live, other, written):
    state = BuildState(version=1, live=live, other=other, phase=phase)
    builds = Builds(Registered([SHOWN, CHANGED]), {"shown": state})
    assert [build.version for build in builds.written()] == written
    assert builds.live(SHOWN).label == live


def test_a_build_whose_code_is_gone_is_told():
    builds = Builds(Registered([CHANGED]), {"shown": BuildState(version=1, live="1")})
    with pytest.raises(BuildUnknown, match="version 1 of shown"):
        builds.live(CHANGED)


def test_no_projection_takes_the_place_of_the_states():
    with pytest.raises(ValueError, match="rebuild"):
        Registered([replace(SHOWN, name="rebuild")])


def test_of_two_who_change_a_state_one_is_told_that_it_has_changed():
    engine = InProcessDynamoDB()
    store = BuildStore(engine, table=tables.create(engine, "views"))  # type: ignore[arg-type]
    first = BuildState(live="1")

    assert store.change("shown", first, BuildState(live="1", other="1.1", phase=Phase.FILLING))
    assert not store.change("shown", first, BuildState(live="1", other="1.2"))

    stored = store.read()["shown"]
    assert (stored.version, stored.other) == (1, "1.1")
    assert store.change("shown", stored, BuildState(live="1.1"))
    assert not store.change("shown", stored, BuildState(live="1"))
