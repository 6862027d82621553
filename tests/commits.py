"""Commits for tests that are about commits: valid, small, and every field may be set."""

from typing import Any

from eventstore.commits import CommandStamp, Commit, RecordedEvent

AGGREGATE = "sub.aaaaaaaaaaaaaaaaaaaaaaaaaa"


def a_commit(position: int = 1, *, events: int = 1, **fields: Any) -> Commit:
    """Return a commit of `events` events at `position`, following the position before it."""
    made: dict[str, Any] = {
        "aggregate_id": AGGREGATE,
        "position": position,
        "predecessor": position - 1,
        "events": tuple(RecordedEvent("Subscriber.X", 1, b"{}") for _ in range(events)),
        "token": position.to_bytes(16, "big"),
        "content_hash": b"\x00" * 16,
        "command": CommandStamp(type="X", command_id="1", producer="crm", occurred_at=None),
        "origin": "us-east-1",
        "recorded_at_ms": 1_700_000_000_000,
        "correlation_id": "c1",
    }
    return Commit(**made | fields)
