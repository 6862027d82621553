"""The library's aggregate and application recorders: one `insert_events`, one commit.

- No lost update, no hole, no overlap: a commit is put at (end of the last one) + 1, only if
  nothing is there; whoever has not seen the end has it read, consistently.
- A time-out is never ambiguous: the same commit, with the token of its call, is put again, and
  what stands there tells whether it is ours.

There is no order over originators: the methods that need one raise `NotSupportedError`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    IntegrityError,
    NotSupportedError,
    StoredEvent,
)

from eventstore.commits import Commit
from eventstore.errors import CorruptLog
from eventstore.log import LAST_POSITION, CommitLog
from eventstore.recorders.library_errors import library_errors
from eventstore.recorders.patience import Patience
from eventstore.recorders.ranges import CommitRanges, Range
from eventstore.recorders.stored_form import StoredForm, refuse_unfit, stored_events
from eventstore.recorders.tails import KnownTails, Tail

# The versions that the library's own aggregates and examples begin with.
_USUAL_OPENINGS = (0, 1)

NO_TOTAL_ORDER = (
    "there is no application sequence: regions append at the same time, and no number can be "
    "given to an event that tells its place among the events of all aggregates without one "
    "writer for all of them; follow the stream of the event table instead"
)
NO_TRANSACTIONS = (
    "a tracking object cannot be stored together with events: it is another item, and a strongly "
    "consistent global table has no transactions; keep such an application in one region"
)


class DynamoDBAggregateRecorder(AggregateRecorder):
    """Keeps an application's events in an event table. Safe to share between threads.

    Args:
        log: puts commits and reads the head of the log, consistently.
        ranges: reads the same table by ranges of positions.
        form: the application's stored form.
        patience: how long a put of unknown outcome is repeated.
        known_tails: of how many originators the end is remembered.
        strong_reads: whether `select_events` sees every region's writes (one inter-region
            round trip) or the region's own replica, which may lag; inserts are safe either way.

    """

    def __init__(
        self,
        *,
        log: CommitLog,
        ranges: CommitRanges,
        form: StoredForm,
        patience: Patience,
        known_tails: int = 10_000,
        strong_reads: bool = True,
    ) -> None:
        self._log = log
        self._ranges = ranges
        self._form = form
        self._patience = patience
        self._tails = KnownTails(known_tails)
        self._strong_reads = strong_reads

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        """Store the events of one originator, all or none.

        Raises:
            IntegrityError: an event with one of the versions is stored, or a version in
                between is not: load the aggregate again.
            NotSupportedError: events of several originators, or a tracking object with them.
            DataError: more than 25 events or 128 KB.
            ProgrammingError: the versions do not ascend one by one.
            OperationalError: the outcome is unknown after all tries: load the aggregate again.

        """
        if kwargs.get("tracking") is not None:
            raise NotSupportedError(NO_TRANSACTIONS)
        if not stored_events:
            return
        refuse_unfit(stored_events)
        with library_errors("insert events"):
            self._append(stored_events)

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return the events of an originator with gt < version <= lte, in order or descending.

        Raises:
            OperationalError: DynamoDB could not be reached.
            InternalError: the log has a hole, or an item that is no commit of this library.

        """
        if limit is not None and limit < 1:
            return []
        with library_errors("select events"):
            aggregate_id = self._form.aggregate_id(originator_id)
            versions = _Versions(gt=gt, lte=lte)
            within = self._range(aggregate_id, versions)
            if within is None:
                return []
            wanted = replace(within, descending=desc, at_most=limit)
            try:
                return self._read(aggregate_id, wanted, originator_id)
            except CorruptLog:
                if wanted.consistent:
                    raise
                # A replica may show a hole that the log does not have; the log itself decides.
                return self._read(aggregate_id, replace(wanted, consistent=True), originator_id)

    def _append(self, events: Sequence[StoredEvent]) -> None:
        aggregate_id = self._form.aggregate_id(events[0].originator_id)
        version = events[0].originator_version
        tail = self._tails.get(aggregate_id)
        if tail is None and version in _USUAL_OPENINGS:
            # No read is needed: nothing at position 1 means that the whole log is empty.
            tail = self._open(events)
            if tail is None:
                return
        if tail is None or version > tail.last_version + 1:
            head = self._log.head(aggregate_id, consistent=True)
            tail = self._tails.see(head) if head is not None else self._open(events)
            if tail is None:
                return
        if version != tail.last_version + 1:
            raise _not_next(events, tail)
        # "This commit was the last" and "nothing is behind it at the put" together mean that
        # the new one begins where the log ends.
        there = self._put(self._form.commit(events, position=tail.last_position + 1))
        if there is not None:
            raise _not_next(events, self._tails.see(there))

    def _open(self, events: Sequence[StoredEvent]) -> Tail | None:
        """Put the events as an originator's first; return None, or the tail if others were first.

        Every opening goes to position 1, whatever its version, so of several one is stored.
        """
        there = self._put(self._form.commit(events, position=1))
        return None if there is None else self._tails.see(there)

    def _put(self, commit: Commit) -> Commit | None:
        """Store the commit and return None, or return the other one that is at its position."""
        there = self._patience.until_known(lambda: self._log.put(commit))
        if there is not None and there != commit:
            return there
        # Equal in every field, token included: an earlier try of ours whose answer was lost.
        self._tails.see(commit)
        return None

    def _range(self, aggregate_id: str, versions: "_Versions") -> Range | None:
        """Return the positions of a range of versions, None if there can be none."""
        everything = Range(consistent=self._strong_reads)
        if versions.gt is None and versions.lte is None:
            return everything
        tail = self._tails.get(aggregate_id) or self._opened(aggregate_id)
        if tail is None:
            return None
        first = 1 if versions.gt is None else max(1, tail.position(versions.gt + 1))
        last = LAST_POSITION if versions.lte is None else tail.position(versions.lte)
        # Who asks for what is new since the last event seen pays for no second request.
        begins_commit = first in (1, tail.last_position + 1)
        if last < first:
            return None
        return replace(everything, first=first, last=last, begins_commit=begins_commit)

    def _opened(self, aggregate_id: str) -> Tail | None:
        """Return the tail after the first commit. It never changes, so any replica may tell it."""
        first = self._log.get(aggregate_id, 1, consistent=False) or self._log.get(
            aggregate_id, 1, consistent=True
        )
        return self._tails.see(first) if first is not None else None

    def _read(
        self, aggregate_id: str, wanted: Range, originator_id: UUID | str
    ) -> list[StoredEvent]:
        events: list[StoredEvent] = []
        for commit in self._ranges.read(aggregate_id, wanted):
            self._tails.see(commit)
            held = stored_events(commit, originator_id)[
                max(0, wanted.first - commit.position) : wanted.last - commit.position + 1
            ]
            events.extend(reversed(held) if wanted.descending else held)
            if wanted.at_most is not None and len(events) >= wanted.at_most:
                return events[: wanted.at_most]
        return events


class DynamoDBApplicationRecorder(DynamoDBAggregateRecorder, ApplicationRecorder):
    """What an `Application` is built on: an aggregate recorder without an application sequence."""

    def select_notifications(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Raise NotSupportedError: there is no order over aggregates to select from."""
        raise NotSupportedError(NO_TOTAL_ORDER)

    def max_notification_id(self) -> NoReturn:
        """Raise NotSupportedError: no event has a place among those of all aggregates."""
        raise NotSupportedError(NO_TOTAL_ORDER)

    def subscribe(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Raise NotSupportedError: there is no order over aggregates to follow."""
        raise NotSupportedError(NO_TOTAL_ORDER)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Versions:
    """A range of the library's versions: gt < version <= lte."""

    gt: int | None
    lte: int | None


def _not_next(events: Sequence[StoredEvent], tail: Tail) -> IntegrityError:
    first = events[0]
    return IntegrityError(
        f"version {first.originator_version} of {first.originator_id} cannot be stored: "
        f"the last one known to be stored is {tail.last_version}"
    )
