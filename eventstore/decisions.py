"""Decide a command and append the decision: every guarantee of the write side is here.

- No lost update: a decision is appended at (last position folded) + 1, only if nothing is
  there. Who decided from an older state finds the newer commit in its place, folds it and
  decides again.
- No hole, no overlap: commits are whole items, so the tail that was folded is the end of a
  commit; "tail folded = n" and "nothing at n + 1 at the put" together keep sequences contiguous.
- Once only: the token of a command is looked for in the fold; when the fold was stale, the
  append fails on a newer commit, and the search goes on there before anything is decided.

Loading is optimistic (a warm fold, or the region's own replica): the append verifies it.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.aggregate import Aggregate, Command, CommandRefused
from eventstore.commits import (
    MAX_EVENT_BYTES,
    MAX_EVENTS,
    CommandStamp,
    Commit,
    RecordedEvent,
    size_of,
)
from eventstore.consistency import read_token
from eventstore.errors import (
    Conflict,
    CorruptLog,
    DependencyNotReached,
    ExpectationNotMet,
    KeyReused,
    StoreUnavailable,
    TooLarge,
)
from eventstore.folding import (
    Fold,
    fold_commit,
    fold_commits,
    record,
    record_refusal,
    record_unchanged,
)
from eventstore.identity import Keys
from eventstore.log import CommitLog


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRequest:
    """A valid command with all that its envelope said of it."""

    aggregate: Aggregate[Any]
    command: Command
    command_id: str
    producer: str
    correlation_id: str
    occurred_at: str | None = None
    idempotency_key: str | None = None
    expected_sequence: int | None = None
    depends_on: str | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The commit that decided a command, and how it was come by."""

    commit: Commit
    duplicate: bool
    attempts: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long and how often an append is tried, and how many aggregates stay warm."""

    max_tries: int = 32
    total_s: float = 8.0
    pause_s: float = 0.05
    warm_aggregates: int = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Time as an argument: `now` in UTC, `elapsed_s` monotonic, `pause` waits seconds."""

    now: Callable[[], datetime]
    elapsed_s: Callable[[], float]
    pause: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class _Attempted:
    """One command under decision, with the hashes that identify it."""

    request: CommandRequest
    aggregate_id: str
    token: bytes
    content_hash: bytes


class EventStore:
    """Decides commands of one region. Safe to share between threads."""

    def __init__(
        self, log: CommitLog, *, keys: Keys, region: str, clock: Clock, bounds: Bounds | None = None
    ) -> None:
        self._log = log
        self._keys = keys
        self._region = region
        self._clock = clock
        self._bounds = bounds or Bounds()
        self._warm = _WarmFolds(self._bounds.warm_aggregates)

    def decide(self, request: CommandRequest) -> Decision:
        """Return the one decision of a command: a new commit, or the first one it ever got.

        Raises:
            KeyReused: the token is known with other content.
            ExpectationNotMet: the last change is not at `expected_sequence`.
            Conflict: others were first until the bounded tries were used up.
            InvalidToken, DependencyNotReached: what `depends_on` names is not in the log.
            TooLarge: the decision does not fit one commit.
            StoreUnavailable: the outcome is unknown; the same command is safe to send again.
            CorruptLog: the aggregate's log cannot be folded.

        """
        attempted = self._identify(request)
        deadline_s = self._clock.elapsed_s() + self._bounds.total_s
        fold = self._load(attempted)
        now = self._clock.now()
        for attempt in range(1, self._bounds.max_tries + 1):
            if attempted.token in fold.tokens:
                return self._first_decision(attempted, fold, attempt)
            fold = self._meet_preconditions(attempted, fold)
            if attempted.token in fold.tokens:
                return self._first_decision(attempted, fold, attempt)
            commit = self._commit_of(attempted, fold, now)
            try:
                there = self._log.put(commit)
            except StoreUnavailable:
                # Not ambiguous for long: putting again shows whether it was stored.
                if attempt == self._bounds.max_tries or self._clock.elapsed_s() >= deadline_s:
                    raise
                self._clock.pause(self._bounds.pause_s * min(attempt, 10))
                continue
            if there is None or there == commit:
                # Equal in every field: an earlier try of ours whose answer was lost.
                self._keep(attempted, fold_commit(request.aggregate, fold, commit))
                return Decision(commit, duplicate=False, attempts=attempt)
            fold = self._fold_in(attempted, fold, there=there, again=attempt > 1)
            now = self._clock.now()
            if self._clock.elapsed_s() >= deadline_s:
                break
        raise Conflict(f"others were first {attempt} times; send the command again")

    def _identify(self, request: CommandRequest) -> _Attempted:
        command_type = type(request.command).__name__
        natural_key = request.aggregate.natural_key(request.command)
        aggregate_id = self._keys.aggregate_id(request.aggregate.tag, natural_key)
        data = request.command.model_dump(mode="json")
        if request.idempotency_key is not None:
            token = self._keys.client_key_token(
                producer=request.producer, aggregate_id=aggregate_id, key=request.idempotency_key
            )
        else:
            token = self._keys.content_token(
                producer=request.producer,
                aggregate_id=aggregate_id,
                command_id=request.command_id,
                command_type=command_type,
                data=data,
            )
        preconditions = [request.expected_sequence, request.depends_on]
        content_hash = self._keys.content_hash(command_type, data, preconditions)
        return _Attempted(request, aggregate_id, token, content_hash)

    def _load(self, attempted: _Attempted) -> Fold:
        """Return a fold that may be behind the log, but never beside it."""
        warm = self._warm.get(attempted.aggregate_id)
        if warm is not None:
            return warm
        aggregate = attempted.request.aggregate
        try:
            near = self._log.read(attempted.aggregate_id, consistent=False)
            fold = fold_commits(aggregate, Fold(), near)
        except CorruptLog:
            # A replica may show a hole that the log does not have; the log itself decides.
            far = self._log.read(attempted.aggregate_id, consistent=True)
            fold = fold_commits(aggregate, Fold(), far)
        self._keep(attempted, fold)
        return fold

    def _read_on(self, attempted: _Attempted, fold: Fold) -> Fold:
        """Return the fold as of the log's tail, by a consistent read of what it lacks."""
        rest = self._log.read(attempted.aggregate_id, after=fold.last_position, consistent=True)
        fold = fold_commits(attempted.request.aggregate, fold, rest)
        self._keep(attempted, fold)
        return fold

    def _fold_in(self, attempted: _Attempted, fold: Fold, *, there: Commit, again: bool) -> Fold:
        """Return the fold after the commit that was first, and after all if it was not alone."""
        fold = fold_commit(attempted.request.aggregate, fold, there)
        self._keep(attempted, fold)
        return self._read_on(attempted, fold) if again else fold

    def _first_decision(self, attempted: _Attempted, fold: Fold, attempt: int) -> Decision:
        seen = fold.tokens[attempted.token]
        if seen.content_hash != attempted.content_hash:
            raise KeyReused("this idempotency key was used before for a command of other content")
        first = self._log.get(
            attempted.aggregate_id, seen.position, consistent=False
        ) or self._log.get(attempted.aggregate_id, seen.position, consistent=True)
        if first is None:
            raise CorruptLog(f"{attempted.aggregate_id} lost its commit at {seen.position}")
        return Decision(first, duplicate=True, attempts=attempt)

    def _meet_preconditions(self, attempted: _Attempted, fold: Fold) -> Fold:
        """Return a fold on which the preconditions hold; a stale fold is read on before a no."""
        request = attempted.request
        expected = request.expected_sequence
        if expected is not None and expected != fold.changed_at:
            fold = self._read_on(attempted, fold)
            # A duplicate gets its first decision before any precondition is asked.
            if expected != fold.changed_at and attempted.token not in fold.tokens:
                raise ExpectationNotMet(
                    f"expected_sequence is {expected}; the last change is at {fold.changed_at}"
                )
        if request.depends_on is not None:
            token = read_token(self._keys, request.depends_on)
            here = token.aggregate_id == attempted.aggregate_id
            known = here and token.last_position <= fold.last_position
            if not known and not self._log.get(token.aggregate_id, token.position, consistent=True):
                raise DependencyNotReached("the commit named by depends_on is not in the log yet")
        return fold

    def _commit_of(self, attempted: _Attempted, fold: Fold, now: datetime) -> Commit:
        request = attempted.request
        return Commit(
            aggregate_id=attempted.aggregate_id,
            position=fold.last_position + 1,
            predecessor=fold.last_position,
            events=self._decided(request, fold, now),
            token=attempted.token,
            content_hash=attempted.content_hash,
            command=CommandStamp(
                type=type(request.command).__name__,
                command_id=request.command_id,
                producer=request.producer,
                occurred_at=request.occurred_at,
            ),
            origin=self._region,
            recorded_at_ms=int(now.timestamp() * 1000),
            correlation_id=request.correlation_id,
            traceparent=request.traceparent,
        )

    @staticmethod
    def _decided(request: CommandRequest, fold: Fold, now: datetime) -> tuple[RecordedEvent, ...]:
        """Return the decision as events: a refusal and a no-op are decisions too."""
        try:
            decided = request.aggregate.decide(fold.state, request.command, now=now)
        except CommandRefused as refused:
            return (record_refusal(refused.reason, refused.message),)
        events = tuple(record(request.aggregate, event) for event in decided)
        if len(events) > MAX_EVENTS or size_of(events) > MAX_EVENT_BYTES:
            raise TooLarge(f"{len(events)} events of {size_of(events)} bytes are too many for one")
        return events or (record_unchanged(),)

    def _keep(self, attempted: _Attempted, fold: Fold) -> None:
        self._warm.put(attempted.aggregate_id, fold)


class _WarmFolds:
    """The folds of the aggregates used last: a bounded cache that never goes back."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._folds: OrderedDict[str, Fold] = OrderedDict()

    def get(self, aggregate_id: str) -> Fold | None:
        with self._lock:
            fold = self._folds.get(aggregate_id)
            if fold is not None:
                self._folds.move_to_end(aggregate_id)
            return fold

    def put(self, aggregate_id: str, fold: Fold) -> None:
        with self._lock:
            kept = self._folds.get(aggregate_id)
            if kept is None or kept.last_position <= fold.last_position:
                self._folds[aggregate_id] = fold
            self._folds.move_to_end(aggregate_id)
            while len(self._folds) > self._capacity:
                self._folds.popitem(last=False)
