"""Defects to plant in EVENTUAL mode: each takes one of the mode's own guarantees out.

As `defects` has those of the other mode; played in plans of this mode only.
"""

from collections.abc import Iterable
from typing import Any
from unittest.mock import patch

from eventstore.chain import epoch_of
from eventstore.commits import EPOCH_SPAN, Commit
from eventstore.decisions import EventStore
from eventstore.errors import NotHome, StoreUnavailable
from eventstore.loading import Loader
from eventstore.tenure import Tenure
from handlers import command_queue, commands
from projections.homes import Homes, KnownHomes
from tests.simulation.defects import Defect, Patches

EVENTUAL_DEFECTS: dict[str, Defect] = {}


def _defect(name: str, *found_by: str, patches: Patches, needs: str = "") -> None:
    EVENTUAL_DEFECTS[name] = Defect(
        name=name, found_by=frozenset(found_by), patches=patches, needs=frozenset(needs.split())
    )


def _no_lease() -> Iterable[Any]:
    def however_old(self: KnownHomes) -> Homes:
        known = self.last()
        if known is None:
            raise StoreUnavailable("nothing was ever read")
        return known

    return [patch.object(KnownHomes, "current", however_old)]


def _before_only() -> Iterable[Any]:
    def decide(self: EventStore, request: Any) -> Any:
        return self._decide(self._identify(request))

    return [patch.object(EventStore, "decide", decide)]


def _no_epoch() -> Iterable[Any]:
    def next_position(self: Tenure, last: int) -> int:
        return last % EPOCH_SPAN + 1

    return [patch.object(Tenure, "next_position", next_position)]


def _warm_for_ever() -> Iterable[Any]:
    load = Loader.load

    def whatever_is_warm(self: Loader, aggregate: Any, aggregate_id: str, **more: Any) -> Any:
        return self._warm.get(aggregate_id) or load(self, aggregate, aggregate_id, **more)

    return [patch.object(Loader, "load", whatever_is_warm)]


def _any_predecessor() -> Iterable[Any]:
    return [patch.object(Commit, "follows", lambda *_: True)]


def _sent_on_again() -> Iterable[Any]:
    decide = commands.decide

    def decided(deps: Any, request: Any, body: bytes) -> Any:
        try:
            return decide(deps, request, body)
        except NotHome as elsewhere:
            return deps.forwarding.decide(elsewhere.home, request, body)

    return [
        patch.object(commands, "decide", decided),
        patch.object(command_queue, "decide", decided),
    ]


def _blind_takeover() -> Iterable[Any]:
    take_over = Loader._take_over

    def taken_over(
        self: Loader, aggregate: Any, aggregate_id: str, start: Any, tenure: Tenure
    ) -> Any:
        if tenure.taken is not None and epoch_of(start.last_position) < tenure.epoch:
            return start
        return take_over(self, aggregate, aggregate_id, start, tenure)

    return [patch.object(Loader, "_take_over", taken_over)]


_defect("skip the lease", "decided-in-its-tenure", patches=_no_lease, needs="evict")
_defect(
    "check the lease only before the put",
    "decided-in-its-tenure",
    patches=_before_only,
    needs="evict move",
)
_defect(
    "ignore the epoch",
    "log-immutable",
    "one-home-an-epoch",
    patches=_no_epoch,
    needs="evict move drain",
)
_defect(
    "trust the warm fold across epochs",
    "answered-stays",
    "superseded-lawfully",
    patches=_warm_for_ever,
    needs="move evict drain",
)
_defect(
    "apply without the predecessor",
    "view-moves-over-the-log",
    "views-equal-fold",
    "event-b-state",
    patches=_any_predecessor,
)
_defect("forward twice", "forwarded-once", patches=_sent_on_again, needs="move evict drain")
_defect("supersede an answered commit", "answered-stays", patches=_blind_takeover, needs="evict")
