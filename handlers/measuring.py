"""What each function's work comes to in metrics: pure, from what the work returned.

All are generators that `Meter.tell` runs, so a mistake in one costs a metric and nothing else.
Times are differences of two regions' clocks, unless both are of one region.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from eventstore.errors import Conflict, EventStoreError, StoreUnavailable
from eventstore.requests import Decision
from handlers.access import Refused
from handlers.envelope import BadCommand
from handlers.metrics import (
    ACKNOWLEDGE_LATENCY,
    ANSWER_LATENCY,
    APPLIES_TO_REPEAT,
    APPLY_LAG,
    COMMANDS_DECIDED,
    COMMANDS_NOT_TAKEN,
    COMMANDS_REFUSED,
    COMMIT_LATENCY,
    CONFLICTS,
    DUPLICATE_COMMANDS,
    GAPS_FILLED,
    LAGGING_COMMITS,
    OLDEST_OVERDUE_ANSWER,
    PENDING_ANSWERS,
    Measured,
    counted,
    elapsed,
)
from handlers.problems import problem_of
from projections.acknowledgements import AckMessage
from projections.projector import Failures
from projections.responses import Backlog

# (decided, published), both in ms since 1970.
Published = Sequence[tuple[int, int]]


def of_decision(decision: Decision, *, committed_at_ms: int) -> Iterator[Measured]:
    """Yield what a decided command comes to."""
    commit = decision.commit
    yield Measured(COMMANDS_DECIDED, 1, {"outcome": commit.outcome})
    yield from counted(DUPLICATE_COMMANDS, int(decision.duplicate))
    yield from counted(CONFLICTS, decision.attempts - 1)
    received_at_ms = commit.command.received_at_ms
    if received_at_ms is not None and not decision.duplicate:
        yield from elapsed(COMMIT_LATENCY, committed_at_ms - received_at_ms)


def of_failure(error: EventStoreError | BadCommand | Refused) -> Iterator[Measured]:
    """Yield what a command that was not decided comes to."""
    if type(error) in {StoreUnavailable, Conflict}:
        # The producer can do nothing about these but send it again: it is we who failed.
        yield Measured(COMMANDS_NOT_TAKEN, 1)
        return
    told = error if isinstance(error, BadCommand | Refused) else problem_of(error)
    yield Measured(COMMANDS_REFUSED, 1, {"code": told.code if told else "corrupt"})


def of_batch(failures: Failures) -> Iterator[Measured]:
    """Yield what a projector's batch comes to: how late each commit was in each projection."""
    for commit, way in failures.ways:
        for projection, lag_ms in way.applied.items():
            yield from elapsed(APPLY_LAG, lag_ms, origin=commit.origin, projection=projection)
    yield from counted(GAPS_FILLED, failures.gaps)
    yield from counted(APPLIES_TO_REPEAT, len(failures.again))


def of_acknowledgements(messages: Iterable[AckMessage], *, heard_at_ms: int) -> Iterator[Measured]:
    """Yield how late acknowledgements came in: the first of each region, which tell of its way."""
    for message in messages:
        for ack in (one for one in message.acks if one.way is not None):
            late_ms = heard_at_ms - ack.recorded_at_ms
            yield from elapsed(ACKNOWLEDGE_LATENCY, late_ms, region=message.region)


def of_answers(published: Published) -> Iterator[Measured]:
    """Yield how late answers were published."""
    for decided_at_ms, published_at_ms in published:
        yield from elapsed(ANSWER_LATENCY, published_at_ms - decided_at_ms)


def of_backlog(backlog: Backlog, *, now_ms: int) -> Iterator[Measured]:
    """Yield how much is not answered yet; zero, too, so that its lack shows that nobody looks."""
    overdue_ms = now_ms - backlog.first_due_ms if backlog.first_due_ms is not None else 0
    yield Measured(PENDING_ANSWERS, backlog.pending)
    yield Measured(OLDEST_OVERDUE_ANSWER, max(overdue_ms, 0))


def of_lagging(lagging: Mapping[str, int]) -> Iterator[Measured]:
    """Yield how many overdue answers each region has not applied or does not tell of."""
    for region, commits in lagging.items():
        yield from counted(LAGGING_COMMITS, commits, region=region)
