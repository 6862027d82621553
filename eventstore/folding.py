"""What one aggregate is, folded from its commits: state, tail, tokens seen.

A fold is a value: folding a commit gives a new one. Only the set of tokens is shared and
grows, which is safe, since a token that is in the log stays in the log. Personal fields of
events are sealed in `record` and opened in `domain_events`, and nowhere else.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from pydantic import BaseModel

from domain.aggregate import FORGOTTEN, Aggregate, Event, personal_fields
from eventstore.commits import REFUSED, UNCHANGED, Commit, RecordedEvent, size_of
from eventstore.errors import CorruptLog
from eventstore.sealing import IN_CLEAR, Cipher
from eventstore.tokens import TokenIndex


@dataclass(frozen=True, slots=True)
class Fold:
    """An aggregate as of `last_position`.

    Attributes:
        state: None if it never existed.
        changed_at: the sequence of the commit that last changed the state.
        tokens: where each known token was decided.
        newest_ms: the latest time recorded in a commit, ms since 1970.
        tail: the position and the token of the last commit; (0, b"") before the first.
        saved_at: the position of the snapshot that it came from, 0 for none.
        tried_at: the position at which a snapshot was last tried in vain.
        saved_ms: the latest time recorded in a commit up to there.
        size_bound: bytes that the state surely does not exceed as JSON, in round terms.
        forgotten: the subject is to be forgotten; the state holds nothing of before.

    """

    state: BaseModel | None = None
    last_position: int = 0
    changed_at: int = 0
    tokens: TokenIndex = field(default_factory=TokenIndex)
    newest_ms: int = 0
    tail: tuple[int, bytes] = (0, b"")
    saved_at: int = 0
    tried_at: int = 0
    saved_ms: int = 0
    size_bound: int = 0
    forgotten: bool = False

    def not_saved(self) -> "Fold":
        """Return this fold as one whose snapshot could not be taken: the next is a while off."""
        return replace(self, tried_at=self.last_position)

    def ends_with(self, commit: Commit) -> bool:
        """Say whether this is the last commit that was folded, and not another in its place."""
        ends = commit.last_position == self.last_position
        return ends and self.tail == (commit.position, commit.token)

    def saved(self) -> "Fold":
        """Return this fold as one that a snapshot was taken of."""
        return replace(self, saved_at=self.last_position, saved_ms=self.newest_ms)


def record(
    aggregate: Aggregate[Any], event: Event, *, aggregate_id: str, position: int, cipher: Cipher
) -> RecordedEvent:
    """Return the stored form of a domain event at its position, its personal fields sealed.

    Raises:
        SubjectForgotten: it has some, and the subject's key is destroyed.
        StoreUnavailable: the key cannot be had now.

    """
    topic, version = aggregate.topic(type(event)), type(event).version
    personal = personal_fields(type(event))
    if not personal or not cipher.covers(aggregate_id):
        return RecordedEvent(topic, version, event.model_dump_json().encode())
    data = event.model_dump(mode="json")
    hidden = orjson.dumps({name: data[name] for name in sorted(personal)})
    place = _place(topic, version, position)
    return RecordedEvent(
        topic,
        version,
        orjson.dumps(data | dict.fromkeys(personal, FORGOTTEN)),
        sealed=cipher.seal(aggregate_id, hidden, place=place),
    )


def _place(topic: str, version: int, position: int) -> str:
    return f"event {position} {topic} {version}"


def record_refusal(reason: str, message: str) -> RecordedEvent:
    """Return the event of a refusal: no aggregate folds it, duplicates find it."""
    return RecordedEvent(REFUSED, 1, orjson.dumps({"reason": reason, "message": message}))


def record_unchanged() -> RecordedEvent:
    """Return the event of a command that had nothing to do."""
    return RecordedEvent(UNCHANGED, 1, b"{}")


def domain_events(
    aggregate: Aggregate[Any], commit: Commit, cipher: Cipher = IN_CLEAR
) -> tuple[Event, ...]:
    """Return the domain events of a commit, none for a refusal or a no-op.

    The personal fields of a forgotten subject read `forgotten`.

    Raises:
        CorruptLog: a topic is not the aggregate's, an event does not fit its model, or it was
            sealed elsewhere.
        StoreUnavailable: the key of a sealed event cannot be had now.

    """
    if commit.outcome != "accepted":
        return ()
    opened = opened_events(commit, cipher)
    try:
        return tuple(_domain_event(aggregate, event) for event in opened)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        at = f"{commit.aggregate_id} at {commit.position}"
        # Without its cause, which would repeat the event's data wherever it is logged.
        raise CorruptLog(f"an event of {at} cannot be read: {type(error).__name__}") from None


def opened_events(commit: Commit, cipher: Cipher) -> tuple[RecordedEvent, ...]:
    """Return the events of a commit as they would stand in clear.

    Raises:
        CorruptLog, StoreUnavailable: as `domain_events`.

    """
    return tuple(
        _opened(event, commit.aggregate_id, commit.position + offset, cipher)
        for offset, event in enumerate(commit.events)
    )


def _opened(
    event: RecordedEvent, aggregate_id: str, position: int, cipher: Cipher
) -> RecordedEvent:
    if not event.sealed:
        return event
    place = _place(event.topic, event.version, position)
    hidden = cipher.open(aggregate_id, event.sealed, place=place)
    data = orjson.loads(event.data) | orjson.loads(hidden or b"{}")
    return RecordedEvent(event.topic, event.version, orjson.dumps(data))


def _domain_event(aggregate: Aggregate[Any], event: RecordedEvent) -> Event:
    event_class = aggregate.event_class(event.topic)
    if event.version == event_class.version:
        return event_class.model_validate_json(event.data)
    upcast = event_class.upcast(orjson.loads(event.data), version=event.version)
    return event_class.model_validate(upcast)


def fold_commit(
    aggregate: Aggregate[Any], fold: Fold, commit: Commit, cipher: Cipher = IN_CLEAR
) -> Fold:
    """Return the fold after one more commit, which must be the next one.

    Raises:
        CorruptLog: the commit does not follow `fold.last_position`: there is a hole.

    """
    if not commit.follows(fold.last_position):
        at = f"{commit.aggregate_id} at {commit.position}"
        raise CorruptLog(f"{at} follows {commit.predecessor}, not {fold.last_position}")
    state, forgotten = fold.state, fold.forgotten
    for event in domain_events(aggregate, commit, cipher):
        state = aggregate.evolved(state, event)
        forgotten = forgotten or event.forgets
    fold.tokens.add(commit.token, commit.position)
    accepted = commit.outcome == "accepted"
    return replace(
        fold,
        state=state,
        last_position=commit.last_position,
        changed_at=commit.sequence if accepted else fold.changed_at,
        newest_ms=max(fold.newest_ms, commit.recorded_at_ms),
        tail=(commit.position, commit.token),
        size_bound=fold.size_bound + (size_of(commit.events) if accepted else 0),
        forgotten=forgotten,
    )


def fold_commits(
    aggregate: Aggregate[Any], fold: Fold, commits: Iterable[Commit], cipher: Cipher = IN_CLEAR
) -> Fold:
    """Return the fold after all the commits, which must be in order and without a hole."""
    for commit in commits:
        fold = fold_commit(aggregate, fold, commit, cipher)
    return fold
