"""What the event store is asked, and what it tells: a command, and the decision of it."""

from dataclasses import dataclass
from typing import Any

from domain.aggregate import Aggregate, Command
from eventstore.commits import Commit


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRequest:
    """A valid command with all that its envelope said of it.

    `first_received_ms` is when it first came in. Where work may be redelivered late it is what
    the command is looked for by: everything in the log since then.
    `origin` is set where another region has sent it on: the one that it came in at.
    """

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
    first_received_ms: int | None = None
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The commit that decided a command, and how it was come by."""

    commit: Commit
    duplicate: bool
    attempts: int
