"""Seeded runs of EVENTUAL mode, and of what it would be with a guarantee taken out.

Any seeds can be played by themselves: `python -m tests.handlers.eventual_run FIRST LAST`.
"""

from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest

from eventstore.errors import StoreUnavailable
from eventstore.loading import Loader
from projections.homes import Homes, KnownHomes
from projections.rehoming import HomeMoves
from projections.views import View
from tests.handlers.eventual_run import Broken, EventualRun

# In the last one an operator whose clock is ahead waits for the sweeper of a region behind it.
SEEDS = (*range(12), 21)
# Where one seed does not show a defect any more, since the code asks for more or less by now.
OTHER_SEEDS = range(150)


def test_seeded_runs_of_eventual_mode_keep_every_promise():
    happened = EventualRun(SEEDS[0]).play()
    for seed in SEEDS[1:]:
        happened += EventualRun(seed).play()

    # A run in which nothing goes wrong proves nothing.
    for what in ("accepted", "unavailable", "evicted", "moved", "brought back"):
        assert happened[what] > 0, what
    assert happened["superseded in the end"] > 0


def _however_old(self: KnownHomes) -> Homes:
    known = self.last()
    if known is None:
        raise StoreUnavailable("nothing was ever read")
    return known


def _whatever_is_warm(self: Loader, aggregate: Any, aggregate_id: str, **more: Any) -> Any:
    return self._warm.get(aggregate_id) or _load(self, aggregate, aggregate_id, **more)


def _nothing(*_: Any) -> Iterator[Any]:
    return iter(())


_load = Loader.load
DEFECTS = {
    "append by homes however old": (57, KnownHomes, "current", _however_old),
    "begin before the home has stopped": (47, HomeMoves, "_hold", _nothing),
    "move before everything is known": (0, HomeMoves, "_all_known", _nothing),
    "go by what is remembered of an older epoch": (9, Loader, "load", _whatever_is_warm),
    "take a later position for a later state": (9, View, "has", lambda view, p: p <= view.applied),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_run_shows_what_is_wrong(defect: str):
    seed, owner, name, instead = DEFECTS[defect]
    with patch.object(owner, name, instead):
        for one in (seed, *OTHER_SEEDS):
            try:
                EventualRun(one).play()
            except Broken:
                return
    raise AssertionError(f"no run shows it: {defect}")
