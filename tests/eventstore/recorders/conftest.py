"""Recorders on a real engine, through a client that counts, loses answers and hides items."""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from eventsourcing.persistence import StoredEvent

from eventstore.identity import Keys
from eventstore.log import DynamoDBLog
from eventstore.recorders import (
    DynamoDBApplicationRecorder,
    DynamoDBSnapshotRecorder,
    DynamoDBTrackingRecorder,
)
from eventstore.recorders.patience import Patience
from eventstore.recorders.ranges import CommitRanges
from eventstore.recorders.regional import RegionalTable
from eventstore.recorders.stored_form import StoredForm
from eventstore.recorders.tables import make_event_table, make_regional_table

REGION = "us-east-1"
ENDPOINT = "https://dynamodb.example"
_numbers = itertools.count(1)


class WatchedClient:
    """A DynamoDB client that a test watches and disturbs."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.requests: Counter[str] = Counter()
        self.items_read = 0
        self.hidden_from_replica: set[int] = set()
        self._lost_answers = 0
        self._failures: list[Exception] = []

    def lose_answers(self, times: int) -> None:
        """Carry out the next requests, and let the caller wait in vain."""
        self._lost_answers = times

    def cut_off(self, times: int) -> None:
        """Let the next requests not even arrive."""
        self._failures = [EndpointConnectionError(endpoint_url=ENDPOINT)] * times

    def fail_next(self, error: Exception) -> None:
        """Let the next request fail with this error."""
        self._failures = [error]

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**request: Any) -> Any:
            self.requests[operation] += 1
            if self._failures:
                raise self._failures.pop()
            try:
                answer = getattr(self._client, operation)(**request)
            finally:
                # A refusal is an answer too.
                if self._lost_answers:
                    self._lost_answers -= 1
                    raise ReadTimeoutError(endpoint_url=ENDPOINT)
            if operation == "query":
                self.items_read += len(answer["Items"])
                if self.hidden_from_replica and not request["ConsistentRead"]:
                    answer["Items"] = [
                        item
                        for item in answer["Items"]
                        if int(item["q"]["N"]) not in self.hidden_from_replica
                    ]
            return answer

        return call


@dataclass
class FakeTime:
    """A clock that goes on only while somebody waits."""

    s: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def pause(self, pause_s: float) -> None:
        self.pauses.append(pause_s)
        self.s += pause_s

    def patience(self, **bounds: Any) -> Patience:
        return Patience(elapsed_s=lambda: self.s, pause=self.pause, **bounds)


@dataclass
class Installation:
    """The tables of one test, and recorders on them as separate processes would have them."""

    real: Any
    events_table: str
    regional_table: str
    time: FakeTime = field(default_factory=FakeTime)

    def client(self) -> WatchedClient:
        return WatchedClient(self.real)

    def events(
        self, client: Any = None, *, application: str = "Sims", **settings: Any
    ) -> DynamoDBApplicationRecorder:
        client = client or self.client()
        return DynamoDBApplicationRecorder(
            log=DynamoDBLog(client, table=self.events_table),
            ranges=CommitRanges(client, table=self.events_table),
            form=self.form(application),
            patience=self.time.patience(),
            **settings,
        )

    def snapshots(self, client: Any = None) -> DynamoDBSnapshotRecorder:
        table = self._regional(client or self.client())
        return DynamoDBSnapshotRecorder(table, form=self.form(), new_token=new_token)

    def tracking(
        self, client: Any = None, *, application: str = "Sims"
    ) -> DynamoDBTrackingRecorder:
        table = self._regional(client or self.client())
        return DynamoDBTrackingRecorder(table, application=application, new_token=new_token)

    def items(self) -> list[dict[str, Any]]:
        """Everything in the event table, in the order of its keys."""
        items = self.real.scan(TableName=self.events_table)["Items"]
        return sorted(items, key=lambda item: (item["a"]["S"], int(item["q"]["N"])))

    def form(self, application: str = "Sims") -> StoredForm:
        return StoredForm(
            keys=Keys(b"the secret of these tests"),
            application=application,
            region=REGION,
            now=lambda: datetime(2026, 11, 24, 12, tzinfo=UTC),
            new_token=new_token,
        )

    def _regional(self, client: Any) -> RegionalTable:
        return RegionalTable(client, name=self.regional_table, patience=self.time.patience())


@pytest.fixture
def installation(engine: Any) -> Installation:
    client, number = engine.client("dynamodb"), next(_numbers)
    made = Installation(client, f"recorded-events-{number}", f"recorded-regional-{number}")
    make_event_table(client, made.events_table)
    make_regional_table(client, made.regional_table)
    return made


@pytest.fixture
def events() -> Callable[..., list[StoredEvent]]:
    """Return a maker of stored events of one originator, from a version on."""

    def make(first: int, *, count: int = 1, of: Any = "sim-1", state: bytes = b"{}") -> Any:
        return [StoredEvent(of, first + i, f"sims:Topic{first + i}", state) for i in range(count)]

    return make


def new_token() -> bytes:
    return next(_numbers).to_bytes(16, "big")
