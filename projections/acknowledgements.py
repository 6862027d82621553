"""Acknowledgements: a region tells the origin that it has applied a commit.

They travel by queue, batched by origin, at least once and in any order. They are a hint that
makes answers fast; what proves that a region has applied a commit is its own view.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from eventstore.commits import COMMIT_ID, LAST_MS, Commit

# Well under the 256 KB of an SQS message at about 100 bytes an entry.
MAX_A_MESSAGE = 500

Time = Annotated[int, Field(ge=0, le=LAST_MS)]


class Ack(BaseModel):
    """One commit, applied in the region that says so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commit: Annotated[str, StringConstraints(pattern=f"^{COMMIT_ID}$")]
    recorded_at_ms: Time


class AckMessage(BaseModel):
    """What one region applied at one time, of commits that came in at one origin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: Annotated[str, StringConstraints(min_length=1, max_length=40)]
    applied_at_ms: Time
    acks: Annotated[tuple[Ack, ...], Field(min_length=1, max_length=MAX_A_MESSAGE)]


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


def messages_by_region(
    commits: Iterable[Commit],
    *,
    answering: Callable[[str], str],
    region: str,
    applied_at_ms: int,
) -> dict[str, list[str]]:
    """Return the message bodies to send to each region that answers.

    Args:
        commits: applied in `region`, all at the same time.
        answering: the region that answers the commands of an origin.
        region: who acknowledges.
        applied_at_ms: when it had applied them, ms since 1970.

    """
    acks: dict[str, list[Ack]] = defaultdict(list)
    for commit in commits:
        ack = Ack(commit=commit.commit_id, recorded_at_ms=commit.recorded_at_ms)
        acks[answering(commit.origin)].append(ack)
    return {
        answers: [
            AckMessage(
                region=region,
                applied_at_ms=applied_at_ms,
                acks=tuple(together[start : start + MAX_A_MESSAGE]),
            ).model_dump_json()
            for start in range(0, len(together), MAX_A_MESSAGE)
        ]
        for answers, together in acks.items()
    }
