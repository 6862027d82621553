"""The logs that pass one contract: in memory, and a table of a real engine."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from eventstore.commits import CommandStamp, Commit, RecordedEvent
from eventstore.log import CommitLog, DynamoDBLog
from eventstore.memory import InMemoryLog

_numbers = itertools.count()
AGGREGATE = "sub.aaaaaaaaaaaaaaaaaaaaaaaaaa"


def events_table(client: Any) -> str:
    """Make an event table of its own name, as the template declares it."""
    name = f"events-{next(_numbers)}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "a", "AttributeType": "S"},
            {"AttributeName": "q", "AttributeType": "N"},
        ],
        KeySchema=[
            {"AttributeName": "a", "KeyType": "HASH"},
            {"AttributeName": "q", "KeyType": "RANGE"},
        ],
    )
    return name


@pytest.fixture(params=["in memory", "on an engine"])
def log(request: pytest.FixtureRequest) -> CommitLog:
    if request.param == "in memory":
        return InMemoryLog()
    client = request.getfixturevalue("engine").client("dynamodb")
    return DynamoDBLog(client, table=events_table(client))


@pytest.fixture
def a_commit() -> Callable[..., Commit]:
    """Return a maker of commits whose every field a test may set."""

    def make(position: int = 1, *, events: int = 1, **fields: Any) -> Commit:
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

    return make
