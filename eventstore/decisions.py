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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.aggregate import Aggregate, CommandRefused, Event
from eventstore.bounds import Bounds
from eventstore.chain import epoch_of
from eventstore.clock import Clock
from eventstore.commits import (
    MAX_EVENT_BYTES,
    MAX_EVENTS,
    CommandStamp,
    Commit,
    RecordedEvent,
    size_of,
)
from eventstore.consistency import is_reached, read_token
from eventstore.errors import (
    Conflict,
    CorruptLog,
    DependencyNotReached,
    ExpectationNotMet,
    KeyReused,
    StoreUnavailable,
    SubjectForgotten,
    TooLarge,
)
from eventstore.folding import Fold, record, record_refusal, record_unchanged
from eventstore.identity import Keys
from eventstore.loading import Loader
from eventstore.log import CommitLog, find
from eventstore.requests import CommandRequest, Decision
from eventstore.sealing import IN_CLEAR, Cipher
from eventstore.snapshots import Snapshots
from eventstore.tenure import Everywhere, Tenure, Tenures


@dataclass(frozen=True, slots=True)
class _Attempted:
    """One command under decision, with the hashes that identify it."""

    request: CommandRequest
    aggregate_id: str
    token: bytes
    content_hash: bytes
    tenure: Tenure


class EventStore:
    """Decides commands of one region. Safe to share between threads."""

    def __init__(
        self,
        log: CommitLog,
        *,
        keys: Keys,
        region: str,
        clock: Clock,
        bounds: Bounds | None = None,
        snapshots: Snapshots | None = None,
        tenures: Tenures | None = None,
        elsewhere: Callable[[], Sequence[CommitLog]] = tuple,
        cipher: Cipher = IN_CLEAR,
    ) -> None:
        self._log = log
        self._keys = keys
        self._region = region
        self._clock = clock
        self._bounds = bounds or Bounds()
        self._tenures: Tenures = tenures or Everywhere()
        self._has_branches = tenures is not None
        self._cipher = cipher
        self._loader = Loader(log, snapshots, self._bounds, elsewhere, cipher=cipher)

    def decide(self, request: CommandRequest) -> Decision:
        """Return the one decision of a command: a new commit, or the first one it ever got.

        Raises:
            KeyReused: the token is known with other content.
            ExpectationNotMet: the last change is not at `expected_sequence`.
            Conflict: others were first until the bounded tries were used up.
            InvalidToken, DependencyNotReached: what `depends_on` names is not in the log.
            Superseded: it is, but on a branch that does not count.
            TooLarge: the decision does not fit one commit, or its state one aggregate.
            NotHome: another region appends to the aggregate.
            SubjectForgotten: the subject's key is destroyed, and the log does not say so.
            StoreUnavailable: the outcome is unknown; the same command is safe to send again.
            CorruptLog: the aggregate's log cannot be folded.

        """
        attempted = self._identify(request)
        decision = self._decide(attempted)
        # What is told as decided was in the log here before anybody else could take it over.
        self._check_tenure(attempted)
        return decision

    def _check_tenure(self, attempted: _Attempted) -> None:
        """Raise StoreUnavailable unless this region appends still: tries may have taken long."""
        if self._tenures.held(attempted.aggregate_id).epoch != attempted.tenure.epoch:
            raise StoreUnavailable("the aggregate has moved to another region meanwhile")

    def _decide(self, attempted: _Attempted) -> Decision:
        deadline_s = self._clock.elapsed_s() + self._bounds.append_s
        now = self._clock.now()
        fold = self._load(attempted, now)
        first = self._decided_long_ago(attempted, fold, now)
        for attempt in range(1, self._bounds.append_tries + 1):
            first = first or self._first(attempted, fold)
            if first is None:
                fold = self._meet_preconditions(attempted, fold)
                first = self._first(attempted, fold)
            if first is not None:
                return Decision(first, duplicate=True, attempts=attempt)
            commit, fold = self._commit_of(attempted, fold, now)
            if commit is None:
                continue
            self._check_tenure(attempted)
            try:
                there = self._log.put(commit, unless=attempted.tenure.unless(fold.last_position))
            except StoreUnavailable:
                # Not ambiguous for long: putting again shows whether it was stored.
                if attempt == self._bounds.append_tries or self._clock.elapsed_s() >= deadline_s:
                    raise
                self._clock.pause(self._bounds.append_pause_s * min(attempt, 10))
                continue
            if there is None or there == commit:
                # Equal in every field: an earlier try of ours whose answer was lost. (Or that of a
                # copy equal to the last header, taken here in the same millisecond: the result is
                # the same one, and both are told that they were first.)
                return self._appended(attempted, fold, commit, attempt)
            if there.token == attempted.token and there.position == commit.position:
                first = self._same_content(attempted, there)
                return Decision(first, duplicate=True, attempts=attempt)
            fold = self._behind(attempted, fold, there, attempt)
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
        tenure = self._tenures.held(aggregate_id)
        return _Attempted(request, aggregate_id, token, content_hash, tenure)

    def _behind(self, attempted: _Attempted, fold: Fold, there: Commit, attempt: int) -> Fold:
        """Return the fold after the commit that was first."""
        if epoch_of(fold.last_position) < attempted.tenure.epoch:
            # Another was first in this epoch, or a commit of an older one has just arrived.
            return self._load(attempted, self._clock.now())
        fold = self._loader.advance(attempted.request.aggregate, fold, there)
        # Not alone a second time: catch up with all of them instead of meeting each in turn.
        return self._read_on(attempted, fold) if attempt > 1 else fold

    def _load(self, attempted: _Attempted, now: datetime) -> Fold:
        fold = self._loader.load(
            attempted.request.aggregate,
            attempted.aggregate_id,
            now_ms=int(now.timestamp() * 1000),
            tenure=attempted.tenure,
        )
        if epoch_of(fold.last_position) > attempted.tenure.epoch:
            raise StoreUnavailable("the aggregate has moved to another region already")
        return fold

    def _first(self, attempted: _Attempted, fold: Fold) -> Commit | None:
        """Return the commit that decided this command before, if the fold knows of one."""
        for position in fold.tokens.positions(attempted.token):
            commit = self._commit_at(attempted.aggregate_id, position)
            if commit.token == attempted.token:
                return self._same_content(attempted, commit)
        return None

    def _commit_at(self, aggregate_id: str, position: int) -> Commit:
        commit = find(self._log, aggregate_id, position)
        if commit is None:
            raise CorruptLog(f"{aggregate_id} lost its commit at {position}")
        return commit

    @staticmethod
    def _same_content(attempted: _Attempted, first: Commit) -> Commit:
        if first.content_hash != attempted.content_hash:
            raise KeyReused("this idempotency key was used before for a command of other content")
        return first

    def _decided_long_ago(self, attempted: _Attempted, fold: Fold, now: datetime) -> Commit | None:
        """Look through the log for a command that was first received before the window.

        Known tokens cover the window, which is enough for what arrives when it was sent. Work
        redelivered or replayed later says when it was first received, and everything since
        then is looked at, newest first.
        """
        received_ms = attempted.request.first_received_ms
        window_ms = self._bounds.token_window_s * 1000
        if received_ms is None or received_ms > int(now.timestamp() * 1000) - window_ms // 2:
            return None
        oldest_ms = received_ms - self._bounds.clock_skew_s * 1000
        at = fold.last_position
        for commit in self._log.read(
            attempted.aggregate_id, upto=at, consistent=True, newest_first=True
        ):
            if commit.last_position != at:
                # Superseded: what it decided was never so.
                continue
            at = commit.predecessor
            if commit.token == attempted.token:
                return self._same_content(attempted, commit)
            if commit.recorded_at_ms < oldest_ms:
                return None
        return None

    def _appended(
        self, attempted: _Attempted, fold: Fold, commit: Commit, attempts: int
    ) -> Decision:
        aggregate = attempted.request.aggregate
        fold = self._loader.advance(aggregate, fold, commit)
        self._loader.save_if_due(aggregate, attempted.aggregate_id, fold)
        return Decision(commit, duplicate=False, attempts=attempts)

    def _meet_preconditions(self, attempted: _Attempted, fold: Fold) -> Fold:
        """Return a fold on which the preconditions hold; a stale fold is read on before a no."""
        request = attempted.request
        expected = request.expected_sequence
        if expected is not None and expected != fold.changed_at:
            fold = self._read_on(attempted, fold)
            # A duplicate gets its first decision before any precondition is asked.
            if expected != fold.changed_at and self._first(attempted, fold) is None:
                raise ExpectationNotMet(
                    f"expected_sequence is {expected}; the last change is at {fold.changed_at}"
                )
        if request.depends_on is not None:
            token = read_token(self._keys, request.depends_on)
            here = token.aggregate_id == attempted.aggregate_id
            same = here and epoch_of(token.position) == epoch_of(fold.last_position)
            known = same and token.last_position <= fold.last_position
            if not known and not is_reached(token, self._log, branches=self._has_branches):
                raise DependencyNotReached("the commit named by depends_on is not in the log yet")
        return fold

    def _read_on(self, attempted: _Attempted, fold: Fold) -> Fold:
        return self._loader.read_on(attempted.request.aggregate, attempted.aggregate_id, fold)

    def _commit_of(
        self, attempted: _Attempted, fold: Fold, now: datetime
    ) -> tuple[Commit | None, Fold]:
        """Return the decision on a fold; None, and the log's own fold, if it is too old for one.

        What would be sealed with a destroyed key was decided on a fold from before that: the log
        says that the subject is to be forgotten, and must be asked for first decisions again.
        """
        try:
            events = self._decided(attempted, fold, now)
        except SubjectForgotten:
            fold = self._read_on(attempted, fold)
            if not fold.forgotten:
                raise
            return None, fold
        except TooLarge:
            # No append verifies this decision: it is made only as of the log's tail.
            tail = self._read_on(attempted, fold)
            if tail.last_position == fold.last_position:
                raise
            return None, tail
        request = attempted.request
        commit = Commit(
            aggregate_id=attempted.aggregate_id,
            position=attempted.tenure.next_position(fold.last_position),
            predecessor=fold.last_position,
            events=events,
            token=attempted.token,
            content_hash=attempted.content_hash,
            command=CommandStamp(
                type=type(request.command).__name__,
                command_id=request.command_id,
                producer=request.producer,
                occurred_at=request.occurred_at,
                received_at_ms=request.first_received_ms,
            ),
            origin=request.origin or self._region,
            recorded_at_ms=int(now.timestamp() * 1000),
            correlation_id=request.correlation_id,
            traceparent=request.traceparent,
        )
        return commit, fold

    def _decided(
        self, attempted: _Attempted, fold: Fold, now: datetime
    ) -> tuple[RecordedEvent, ...]:
        """Return the decision as events: a refusal and a no-op are decisions too."""
        request = attempted.request
        try:
            decided = request.aggregate.decide(fold.state, request.command, now=now)
        except CommandRefused as refused:
            return (record_refusal(refused.reason, refused.message),)
        events = tuple(
            record(
                request.aggregate,
                event,
                aggregate_id=attempted.aggregate_id,
                position=attempted.tenure.next_position(fold.last_position) + offset,
                cipher=self._cipher,
            )
            for offset, event in enumerate(decided)
        )
        size = size_of(events)
        if len(events) > MAX_EVENTS or size > MAX_EVENT_BYTES:
            raise TooLarge(f"{len(events)} events of {size} bytes are too many for one commit")
        if fold.size_bound + size > self._bounds.state_bytes:
            self._require_room(request.aggregate, fold, decided)
        return events or (record_unchanged(),)

    def _require_room(self, aggregate: Aggregate[Any], fold: Fold, events: Sequence[Event]) -> None:
        """Measure the state that events would make, once its bound says it might be too large."""
        state = fold.state
        for event in events:
            state = aggregate.evolved(state, event)
        size = len(state.model_dump_json().encode()) if state is not None else 0
        if size > self._bounds.state_bytes:
            raise TooLarge(
                f"the aggregate would have {size} bytes; it may have {self._bounds.state_bytes}"
            )
