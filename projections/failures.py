"""What the read side files as dead letters: the place in the log, and why it stopped there.

What waits behind such a place is the log itself, so nothing is copied and nothing can be lost;
replaying goes on from the log. Only data that is wrong comes here, never a passing failure.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from eventstore.commits import Commit, parse_commit_id, to_image
from eventstore.errors import described
from projections.letters import Filing

# Of an item of 400 KB: what a letter may hold besides its other attributes.
MAX_PAYLOAD_BYTES = 350_000

# Where letters come from. Of these they are places in the log ...
PROJECTOR = "projector"
STREAM = "stream"
LOG = "log"
RESPONDER = "responder"
SWEEPER = "sweeper"
SUPERSEDED = "superseded"
# ... and of these they are messages.
COMMANDS = "commands"
LANE = "lane"
ACKS = "acks"
BUS = "bus"
SOURCES = (COMMANDS, PROJECTOR, STREAM, LOG, LANE, ACKS, RESPONDER, SWEEPER, SUPERSEDED, BUS)


def set_aside(aggregate_id: str, position: int, error: Exception | str, **more: Any) -> Filing:
    """Return the failure of a projector at one aggregate: it has one letter, however often."""
    return Filing(
        letter_id=f"{PROJECTOR}.{aggregate_id}",
        source=PROJECTOR,
        error=error if isinstance(error, str) else described(error),
        aggregate_id=aggregate_id,
        position=position,
        **more,
    )


def set_aside_commit(commit: Commit, error: Exception) -> Filing:
    """Return the failure of a projector at a commit that it has read."""
    return set_aside(
        commit.aggregate_id,
        commit.position,
        error,
        correlation_id=commit.correlation_id,
        traceparent=commit.traceparent,
    )


def unanswerable(commit_id: str, error: Exception, *, source: str) -> Filing:
    """Return an answer that could not be made: one letter, whoever of the two has found it."""
    aggregate_id, position = parse_commit_id(commit_id) or (None, None)
    return Filing(
        letter_id=f"answer.{commit_id}",
        source=source,
        error=described(error),
        aggregate_id=aggregate_id,
        position=position,
    )


def superseded(commit: Commit) -> Filing:
    """Return a commit that was accepted and counts for nothing, whole."""
    return Filing(
        letter_id=f"{SUPERSEDED}.{commit.commit_id}",
        source=SUPERSEDED,
        error="superseded by a region that took over; its producer is told, and may send it again",
        aggregate_id=commit.aggregate_id,
        position=commit.position,
        payload=orjson.dumps(to_image(commit)).decode(),
        correlation_id=commit.correlation_id,
        traceparent=commit.traceparent,
    )


def log_changed(record: Mapping[str, Any]) -> Filing:
    """Return a commit that was changed or removed, with what stood there before.

    Nothing of ours does that, so its old image may be the only copy there is.
    """
    change = record["dynamodb"]
    aggregate_id, position = change["Keys"]["a"]["S"], int(change["Keys"]["q"]["N"])
    before = orjson.dumps(change["OldImage"]).decode() if "OldImage" in change else None
    return Filing(
        letter_id=f"{LOG}.{aggregate_id}.{position}",
        source=LOG,
        error=f"{record['eventName']} of a commit, which nothing of Antiphon does",
        aggregate_id=aggregate_id,
        position=position,
        payload=before,
        delivery=change.get("SequenceNumber"),
    )
