"""The error tree of the write side, in one place.

- `domain.aggregate.CommandRefused`: the domain said no. Recorded as a commit, never retried.
- `Conflict`: somebody else was first. Reload and decide again, a bounded number of times.
- `StoreUnavailable`: transient. The outcome may be unknown; the same command is safe to repeat.
- `CorruptLog`: the log breaks its own rules. Never caught where it would be hidden: it alarms.

The rest are commands that cannot be decided, told before anything is written.
"""

import traceback
from pathlib import PurePath


class EventStoreError(Exception):
    """Everything the event store raises on purpose."""


class Conflict(EventStoreError):
    """Others were first until the bounded tries were used up. The same command may do better."""


class ExpectationNotMet(Conflict):
    """The last change is not the `expected_sequence`. The same command will never do better."""


class StoreUnavailable(EventStoreError):
    """DynamoDB did not answer or refused for a passing reason; the outcome may be unknown."""


class NotHome(StoreUnavailable):
    """Another region appends to this aggregate: `home`. In EVENTUAL mode only."""

    def __init__(self, home: str) -> None:
        super().__init__(f"{home} appends to this aggregate; the command goes there")
        self.home = home


class Superseded(EventStoreError):
    """The commit that a token names is not on the branch of the log that counts here."""


class CorruptLog(EventStoreError):
    """A stored commit cannot be read, or the sequence of an aggregate has a hole."""


class KeyReused(EventStoreError):
    """The idempotency key was used before with other content."""


class InvalidToken(EventStoreError):
    """A consistency token is forged, damaged, or does not belong to the aggregate asked for."""


class DependencyNotReached(EventStoreError):
    """The commit that the command depends on is not in the log yet."""


class SubjectForgotten(EventStoreError):
    """The key of a subject is destroyed: nothing personal of it can be read or stored again."""


class TooLarge(EventStoreError):
    """A decision does not fit into one commit."""


def described(error: BaseException) -> str:
    """Return what may be logged and kept of an error: never the data that it was about.

    Our own messages hold no personal data. Of any other error only the type and the place.
    """
    if isinstance(error, EventStoreError):
        return f"{type(error).__name__}: {error}"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
