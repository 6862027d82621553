"""Ways to take a command, each with its own aggregate: what an append is measured against.

Every way records one change of a subscriber's profile for good. They promise different things:
only Antiphon recognises a duplicate and keeps concurrent writers apart in one request.
"""

import importlib.util
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Protocol

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from eventstore.clock import Clock
from eventstore.commits import to_item
from eventstore.decisions import EventStore
from eventstore.identity import Keys
from eventstore.log import DynamoDBLog
from eventstore.snapshots import Snapshots
from handlers.catalog import BUILT_IN
from handlers.envelope import CommandReader
from handlers.extension import catalog_of
from tests.dynamodb import tables

REGION = "us-east-1"
BARE = "bare boto3 put"
_SECRET = b"a secret of the benchmarks"
_BODY_BYTES = 128 * 1024
_WINDOW_MS = 48 * 3_600_000


class Contender(Protocol):
    """One way, for one aggregate."""

    def take(self, number: int) -> None:
        """Take the command of this number; each number once, in order from 1."""
        ...


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way by name; `of` makes it for the aggregate of a lane."""

    name: str
    of: Callable[[int], Contender]
    # What uses tables of ours can be metered; a library that makes its own cannot.
    metered: bool = True


def command(lane: int, number: int) -> bytes:
    """Return a command as a producer sends it: number 0 activates, the others change."""
    data: dict[str, str] = {"imsi": f"26201{lane:010d}", "service_profile": f"profile-{number}"}
    if number == 0:
        data |= {"msisdn": "+4915112345678", "iccid": "8949020000012345670"}
    kind = "ActivateSubscriber" if number == 0 else "ChangeServiceProfile"
    envelope = {"type": kind, "command_id": f"c-{number}", "producer": "crm", "data": data}
    return json.dumps(envelope).encode()


class Antiphon:
    """Validate, decide and append, as `POST /commands` does; the aggregate is warm."""

    def __init__(self, client: Any, table: str, snapshots: str, *, lane: int) -> None:
        registry = catalog_of([BUILT_IN]).registry
        self._reader = CommandReader(registry, max_bytes=_BODY_BYTES)
        self._lane = lane
        self._store = EventStore(
            DynamoDBLog(client, table=table),
            keys=Keys(_SECRET),
            region=REGION,
            clock=Clock(now=_now, elapsed_s=monotonic, pause=sleep),
            snapshots=Snapshots(client, table=snapshots, window_ms=_WINDOW_MS),
        )
        self.take(0)

    def take(self, number: int) -> None:
        self.decide(number)

    def decide(self, number: int) -> Any:
        body = command(self._lane, number)
        request = self._reader.read(
            body, idempotency_key=None, correlation_id=None, traceparent=None
        )
        return self._store.decide(request).commit


class BarePut:
    """A put of the bytes that Antiphon puts, on the same condition, and nothing else."""

    def __init__(self, client: Any, table: str, snapshots: str, *, lane: int) -> None:
        self._client = client
        self._table = table
        like = Antiphon(client, table, snapshots, lane=lane).decide(1)
        self._item = to_item(like)
        self._item["a"] = {"S": f"{like.aggregate_id[:-4]}bare"}

    def take(self, number: int) -> None:
        self._item["q"] = {"N": str(number)}
        self._client.put_item(
            TableName=self._table,
            Item=self._item,
            ConditionExpression="attribute_not_exists(a)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )


class Naive:
    """State that is overwritten: read it, keep the token, update on its version, read it back."""

    def __init__(self, client: Any, table: str, *, lane: int) -> None:
        self._client = client
        self._table = table
        self._lane = lane
        self._key = {"a": {"S": f"state-{lane}"}, "q": {"N": "0"}}
        client.put_item(TableName=table, Item={**self._key, "v": {"N": "0"}})

    def take(self, number: int) -> None:
        change = json.loads(command(self._lane, number))
        state = self._read()
        token = {"a": {"S": f"token-{self._lane}-{change['command_id']}"}, "q": {"N": "0"}}
        self._client.put_item(
            TableName=self._table, Item=token, ConditionExpression="attribute_not_exists(a)"
        )
        self._client.update_item(
            TableName=self._table,
            Key=self._key,
            UpdateExpression="SET p = :p, v = :next",
            ConditionExpression="v = :seen",
            ExpressionAttributeValues={
                ":p": {"S": change["data"]["service_profile"]},
                ":seen": state["v"],
                ":next": {"N": str(number)},
            },
        )
        if self._read()["v"] != {"N": str(number)}:
            raise AssertionError("the state is not what was written")

    def _read(self) -> dict[str, Any]:
        found = self._client.get_item(TableName=self._table, Key=self._key, ConsistentRead=True)
        item: dict[str, Any] = found["Item"]
        return item


class Profile(Aggregate):
    """The subscriber of the eventsourcing library's way."""

    @event("Registered")
    def __init__(self, imsi: str) -> None:
        self.imsi = imsi
        self.service_profile = ""

    @event("ProfileChanged")
    def change(self, service_profile: str, command_id: str) -> None:
        self.service_profile = service_profile


class Library:
    """An application of the eventsourcing library that keeps its aggregate in memory."""

    def __init__(self, application: Application, *, lane: int) -> None:
        self._application = application
        self._lane = lane
        self._profile = Profile(f"26201{lane:010d}")
        application.save(self._profile)

    def take(self, number: int) -> None:
        change = json.loads(command(self._lane, number))
        self._profile.change(change["data"]["service_profile"], change["command_id"])
        self._application.save(self._profile)


def ways_on(boto3_client: Any, lean_client: Any) -> list[Way]:
    """Return the ways that use a DynamoDB engine, bare boto3 first."""
    events = tables.create(boto3_client, "events")
    snapshots = tables.create(boto3_client, "snapshots")

    def put(client: Any, lanes: int) -> Callable[[int], Contender]:
        return lambda lane: BarePut(client, events, snapshots, lane=lanes + lane)

    def whole(client: Any, lanes: int) -> Callable[[int], Contender]:
        return lambda lane: Antiphon(client, events, snapshots, lane=lanes + lane)

    # No two ways share an aggregate.
    ways = [
        Way(name=BARE, of=put(boto3_client, 1_000)),
        Way(name="bare lean put", of=put(lean_client, 2_000)),
        Way(name="Antiphon, lean", of=whole(lean_client, 3_000)),
        Way(name="Antiphon, boto3", of=whole(boto3_client, 4_000)),
        Way(name="naive, boto3", of=lambda lane: Naive(boto3_client, events, lane=5_000 + lane)),
    ]
    if importlib.util.find_spec("eventsourcing_dynamodb") is not None:
        ways.append(_eventsourcing_dynamodb(boto3_client, table=f"{events}-of-the-library"))
    return ways


def eventsourcing_sqlite(directory: Path) -> Way:
    """Return the library's way into a file of SQLite's."""

    def of(lane: int) -> Contender:
        file = Path(tempfile.mkdtemp(dir=directory)) / "events.db"
        environment = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(file)}
        return Library(Application(env=environment), lane=lane)

    return Way(name="eventsourcing, SQLite", of=of, metered=False)


def _eventsourcing_dynamodb(client: Any, *, table: str) -> Way:
    keys = {"originator_id": ("HASH", "S"), "originator_version": ("RANGE", "N")}
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": one, "KeyType": keys[one][0]} for one in keys],
        AttributeDefinitions=[
            {"AttributeName": one, "AttributeType": keys[one][1]} for one in keys
        ],
    )

    def of(lane: int) -> Contender:
        environment = {
            "PERSISTENCE_MODULE": "eventsourcing_dynamodb",
            "DYNAMO_TABLE": table,
            "DYNAMO_ENDPOINT_URL": client.meta.endpoint_url,
        }
        return Library(Application(env=environment), lane=lane)

    return Way(name="eventsourcing-dynamodb", of=of, metered=False)


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the benchmark is an edge
