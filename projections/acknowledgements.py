"""Acknowledgements: a region tells the origin that it has applied a commit.

They travel by queue, batched by origin, at least once and in any order. They are a hint that
makes answers fast; what proves that a region has applied a commit is its own view.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from eventstore.commits import COMMIT_ID, LAST_MS, Commit
from projections.ways import Way

# Under the 256 KB of an SQS message, at some 350 bytes an entry, and 1 KB with many projections.
MAX_A_MESSAGE = 200
# What was sent by a version that told less of each.
_MAX_READ = 500

Time = Annotated[int, Field(ge=0, le=LAST_MS)]


class Ack(BaseModel):
    """One commit, applied in the region that says so.

    Its way there, and what it belongs to, are for traces and metrics.
    """

    # What a newer version tells besides is left aside, so that it can be rolled out.
    model_config = ConfigDict(frozen=True, extra="ignore")

    commit: Annotated[str, StringConstraints(pattern=f"^{COMMIT_ID}$")]
    recorded_at_ms: Time
    way: Way | None = None
    correlation_id: str | None = None
    traceparent: str | None = None


class AckMessage(BaseModel):
    """What one region applied at one time, of commits that came in at one origin."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    region: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    applied_at_ms: Time
    acks: Annotated[tuple[Ack, ...], Field(min_length=1, max_length=_MAX_READ)]


class MalformedMessage(ValueError):
    """A queue message is not what its queue carries."""


class Acknowledger(Protocol):
    """Sends to the acknowledgement queues of the regions (SQS, or a list in a test)."""

    def __call__(self, bodies: Mapping[str, Sequence[str]]) -> frozenset[str]:
        """Send the message bodies of each origin; return the origins that did not get all."""
        ...


def read_message(body: str) -> AckMessage:
    """Read a message of the acknowledgement queue; raise MalformedMessage if it is none."""
    try:
        return AckMessage.model_validate_json(body)
    except ValidationError as error:
        raise MalformedMessage(f"not an acknowledgement: {error.error_count()} errors") from error


def _no_way(_commit: Commit) -> Way | None:
    return None


def messages_by_region(
    commits: Iterable[Commit],
    *,
    answering: Callable[[str], str],
    region: str,
    applied_at_ms: int,
    way_of: Callable[[Commit], Way | None] = _no_way,
) -> dict[str, list[str]]:
    """Return the message bodies to send to each region that answers.

    Args:
        commits: applied in `region`, all at the same time.
        answering: the region that answers the commands of an origin.
        region: who acknowledges.
        applied_at_ms: when it had applied them, ms since 1970.
        way_of: each one's way through `region`, where it is known.

    """
    acks: dict[str, list[Ack]] = defaultdict(list)
    for commit in commits:
        ack = Ack(
            commit=commit.commit_id,
            recorded_at_ms=commit.recorded_at_ms,
            way=way_of(commit),
            correlation_id=commit.correlation_id,
            traceparent=commit.traceparent,
        )
        acks[answering(commit.origin)].append(ack)
    return {
        answers: [
            AckMessage(
                region=region,
                applied_at_ms=applied_at_ms,
                acks=tuple(together[start : start + MAX_A_MESSAGE]),
            ).model_dump_json(exclude_defaults=True)
            for start in range(0, len(together), MAX_A_MESSAGE)
        ]
        for answers, together in acks.items()
    }
