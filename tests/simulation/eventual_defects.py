"""Defects to plant in EVENTUAL mode: each takes one of the mode's own guarantees out.

As `defects` has those of the other mode; played in plans of this mode only.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from unittest.mock import patch

from eventstore.commits import EPOCH_SPAN, Commit
from eventstore.decisions import EventStore
from eventstore.errors import NotHome
from eventstore.loading import Loader
from eventstore.requests import CommandRequest, Decision
from eventstore.tenure import Tenure
from handlers import commands
from handlers.dependencies import Dependencies
from projections.homes import Homes, KnownHomes
from projections.rehoming import HomeMoves
from projections.views import View
from tests.simulation.defects import Defect, Patches

EVENTUAL_DEFECTS: dict[str, Defect] = {}


def _defect(name: str, *found_by: str) -> Callable[[Patches], Patches]:
    def add(patches: Patches) -> Patches:
        EVENTUAL_DEFECTS[name] = Defect(name=name, found_by=frozenset(found_by), patches=patches)
        return patches

    return add


@_defect("ignore the epoch", "log-immutable", "one-home-an-epoch")
def _no_epoch() -> Iterable[Any]:
    def next_position(self: Tenure, last: int) -> int:
        return last % EPOCH_SPAN + 1

    return [patch.object(Tenure, "next_position", next_position)]


@_defect(
    "apply whatever comes, without its predecessor",
    "event-b-state",
    "view-moves-over-the-log",
    "views-equal-fold",
)
def _any_predecessor() -> Iterable[Any]:
    return [patch.object(Commit, "follows", lambda *_: True)]


@_defect("append by homes however old", "decided-in-its-tenure")
def _no_lease() -> Iterable[Any]:
    current = KnownHomes.current

    def however_old(self: KnownHomes) -> Homes:
        return self._read.value if self._read is not None else current(self)

    return [patch.object(KnownHomes, "current", however_old)]


@_defect("ask who is home before the put only", "decided-in-its-tenure")
def _no_second_look() -> Iterable[Any]:
    def decide(self: EventStore, request: CommandRequest) -> Decision:
        return self._decide(self._identify(request))

    return [patch.object(EventStore, "decide", decide)]


@_defect("go by what is warm of an older epoch", "superseded-lawfully", "answered-stays")
def _whatever_is_warm() -> Iterable[Any]:
    load = Loader.load

    def loaded(self: Loader, aggregate: Any, aggregate_id: str, **more: Any) -> Any:
        return self._warm.get(aggregate_id) or load(self, aggregate, aggregate_id, **more)

    return [patch.object(Loader, "load", loaded)]


@_defect("send on what was sent on", "forwarded-once")
def _two_hops() -> Iterable[Any]:
    decide = commands.decide

    def decided(deps: Dependencies, request: CommandRequest, body: bytes) -> Decision:
        try:
            return decide(deps, request, body)
        except NotHome as elsewhere:
            return deps.forwarding.decide(elsewhere.home, request, body)

    return [patch.object(commands, "decide", decided)]


@_defect("leave aside what arrives at the moment of taking over", "answered-stays")
def _unseen_arrival() -> Iterable[Any]:
    return [patch.object(Tenure, "unless", lambda *_: None)]


@_defect("begin before the home has stopped", "decided-in-its-tenure")
def _no_hold() -> Iterable[Any]:
    return [patch.object(HomeMoves, "_hold", _nothing)]


@_defect("move before everything is known", "superseded-lawfully", "answered-stays")
def _no_comparison() -> Iterable[Any]:
    return [patch.object(HomeMoves, "_all_known", _nothing)]


@_defect("take a later position for a later state", "answered-stays")
def _any_later() -> Iterable[Any]:
    return [patch.object(View, "has", lambda view, position: position <= view.applied)]


def _nothing(*_: Any) -> Iterator[Any]:
    return iter(())
