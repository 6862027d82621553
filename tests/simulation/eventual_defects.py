"""Defects to plant in EVENTUAL mode: each takes one of the mode's own guarantees out.

As `defects` has those of the other mode; played in plans of this mode only.
"""

from collections.abc import Iterable
from typing import Any
from unittest.mock import patch

from eventstore.commits import EPOCH_SPAN, Commit
from eventstore.tenure import Tenure
from tests.simulation.defects import Defect


def _no_epoch() -> Iterable[Any]:
    def next_position(self: Tenure, last: int) -> int:
        return last % EPOCH_SPAN + 1

    return [patch.object(Tenure, "next_position", next_position)]


def _any_predecessor() -> Iterable[Any]:
    return [patch.object(Commit, "follows", lambda *_: True)]


# Each with the seed that shows it.
EVENTUAL_DEFECTS = {
    3: Defect(
        name="ignore the epoch",
        found_by=frozenset({"log-immutable", "one-home-an-epoch"}),
        patches=_no_epoch,
    ),
    1: Defect(
        name="apply without the predecessor",
        found_by=frozenset({"event-b-state", "view-moves-over-the-log", "views-equal-fold"}),
        patches=_any_predecessor,
    ),
}
