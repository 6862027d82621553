"""An aggregate as it was: its state at any past sequence or time, from the log itself.

Reads consistently, across regions, from the aggregate's first commit. Time is that recorded
in the commits, by the clocks of the regions that decided them.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from domain.aggregate import Aggregate, Event
from eventstore.chain import chain_after
from eventstore.commits import EPOCH_SPAN, Commit
from eventstore.folding import domain_events
from eventstore.log import CommitLog
from eventstore.sealing import IN_CLEAR, Cipher


@dataclass(frozen=True, slots=True)
class Past:
    """One event that happened, with its sequence and the commit that holds it."""

    sequence: int
    event: Event
    commit: Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A state as of `sequence` (0: before anything), and the last events up to there.

    `earlier` counts the events before those in `events`.
    """

    state: BaseModel | None
    sequence: int
    recorded_at_ms: int | None
    events: tuple[Past, ...]
    earlier: int


def history(
    log: CommitLog,
    aggregate: Aggregate[Any],
    aggregate_id: str,
    *,
    at_sequence: int | None = None,
    at_ms: int | None = None,
    limit: int,
    branches: bool = False,
    cipher: Cipher = IN_CLEAR,
) -> History:
    """Return an aggregate as it was.

    Args:
        log: read consistently.
        aggregate: the kind of aggregate.
        aggregate_id: which one.
        at_sequence: up to this sequence, which may be inside a commit; None for no bound.
        at_ms: up to the first commit recorded after this time, ms since 1970; None for none.
        branches: whether commits may be superseded, in EVENTUAL mode: they are left out.
        limit: at most so many events are returned, the last ones; the state counts them all.
        cipher: opens what is personal.

    Raises:
        CorruptLog: an event cannot be read.

    """
    state: BaseModel | None = None
    sequence, recorded_at_ms, count = 0, None, 0
    last: deque[Past] = deque(maxlen=limit)
    commits: Iterable[Commit] = log.read(aggregate_id, consistent=True)
    if branches:
        commits = chain_after(0, list(commits)).run
    for commit in _until(commits, at_sequence=at_sequence, at_ms=at_ms):
        sequence, recorded_at_ms = commit.sequence, commit.recorded_at_ms
        first = commit.position % EPOCH_SPAN
        for offset, event in enumerate(domain_events(aggregate, commit, cipher)):
            if at_sequence is not None and first + offset > at_sequence:
                break
            state = aggregate.evolved(state, event)
            last.append(Past(first + offset, event, commit))
            count += 1
        if at_sequence is not None:
            sequence = min(sequence, at_sequence)
    return History(
        state=state,
        sequence=sequence,
        recorded_at_ms=recorded_at_ms,
        events=tuple(last),
        earlier=count - len(last),
    )


def _until(
    commits: Iterable[Commit], *, at_sequence: int | None, at_ms: int | None
) -> Iterator[Commit]:
    for commit in commits:
        if at_sequence is not None and commit.position % EPOCH_SPAN > at_sequence:
            return
        if at_ms is not None and commit.recorded_at_ms > at_ms:
            return
        yield commit
