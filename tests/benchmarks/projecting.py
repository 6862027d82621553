"""The benchmark of projecting: batches of commits beside a naive loop over the same commits.

Both bring the same views up in the same table, in clear. The naive loop reads each view, applies
one commit and puts the view on its version, by boto3; a row of the timeline is a put more. It does
not acknowledge, and nothing in it notices a gap or a commit that came before its predecessor.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from domain.registry import REGISTRY
from eventstore.commits import Commit
from eventstore.folding import domain_events
from eventstore.log import DynamoDBLog
from eventstore.sealing import IN_CLEAR
from projections.applying import Applier
from projections.builds import Builds, Registered
from projections.gaps import OneOrder
from projections.lane import Delivery
from projections.projection import Change
from projections.projector import Projector
from projections.regions import Topology
from projections.registry import PROJECTIONS
from projections.views import ViewStore
from tests.benchmarks.logs import KEYS, NOW_MS, commits_of
from tests.dynamodb import tables
from tests.dynamodb.in_process import InProcessDynamoDB
from tests.dynamodb.metering import total

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
# (commits, aggregates) of a batch.
SHAPES = ((1, 1), (10, 1), (10, 10), (100, 1), (100, 10), (100, 100), (1000, 1), (1000, 1000))
LITTLE = ((1, 1), (10, 10), (100, 1), (100, 100))
Batch = Sequence[Commit]
_LARGEST = 1000
_numbers = itertools.count()


def run(
    naive_client: Any, client: Any, *, shapes: Sequence[tuple[int, int]], rounds: int
) -> list[dict[str, Any]]:
    """Return, for each shape of a batch, commits a second and core of both, and what they use.

    Args:
        naive_client: boto3's, of an engine in a process of its own.
        client: what the functions call DynamoDB by, of the same engine.
        shapes: (commits, aggregates) of the batches.
        rounds: batches of each; of the largest there is one.

    """
    ways = {"projector": projector(client), "naive": naive(naive_client)}
    told = []
    for shape in shapes:
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds if shape[0] < _LARGEST else 1):
            for name, way in ways.items():
                batch = batch_of(shape)
                begun_s = time.process_time()
                way(batch)
                spent[name].append((time.process_time() - begun_s) / shape[0])
        ratios = [n / p for n, p in zip(spent["naive"], spent["projector"], strict=True)]
        row = {
            "commits": shape[0],
            "aggregates": shape[1],
            "a_core_second": 1 / statistics.median(spent["projector"]),
            "naive_a_core_second": 1 / statistics.median(spent["naive"]),
            "ratio": statistics.median(ratios),
        }
        told.append(row | costs(shape))
    return told


def costs(shape: tuple[int, int]) -> dict[str, float]:
    """Return requests and units of a batch, of both, by DynamoDB's rules."""
    told: dict[str, float] = {}
    for prefix, way in (("", projector), ("naive_", naive)):
        engine = InProcessDynamoDB()
        apply, batch = way(engine), batch_of(shape)
        with engine.meter.measured() as used:
            apply(batch)
        one = total(used)
        told[f"{prefix}requests"] = one.requests
        told[f"{prefix}read_units"] = one.read_units
        told[f"{prefix}write_units"] = one.write_units + one.index_units
    return told


def batch_of(shape: tuple[int, int]) -> Batch:
    """Return a batch of subscribers that no batch before it has."""
    commits, aggregates = shape
    each = commits // aggregates
    return [c for _ in range(aggregates) for c in commits_of(next(_numbers), events=each)]


def projector(client: Any) -> Callable[[Batch], None]:
    """Return what applies a batch as the projector of another region than the origin does."""
    views, events = tables.create(client, "views"), tables.create(client, "events")
    builds = Builds(Registered(PROJECTIONS), {})
    applying = Projector(
        region=REGIONS[1],
        regions=frozenset(REGIONS),
        topology=lambda: Topology.all_active(REGIONS),
        builds=lambda: builds,
        break_build=_never,
        applier=Applier(
            gaps=OneOrder(DynamoDBLog(client, table=events)),
            registry=REGISTRY,
            views=ViewStore(client, table=views, keys=KEYS),
        ),
        responses=None,  # type: ignore[arg-type] - no answer is owed here
        letters=None,  # type: ignore[arg-type] - nothing fails
        acknowledge=_heard,
        redeliver=_never,
        now_ms=lambda: NOW_MS,
    )

    def apply(batch: Batch) -> None:
        failures = applying.apply([Delivery((commit,)) for commit in batch])
        if failures.again or failures.aside:
            raise AssertionError(f"not applied: {failures}")

    return apply


def naive(client: Any) -> Callable[[Batch], None]:
    """Return what applies a batch commit by commit, view by view."""
    table = tables.create(client, "views")

    def apply(batch: Batch) -> None:
        for commit in batch:
            aggregate = REGISTRY.aggregate_of(commit.aggregate_id)
            change = Change(commit, domain_events(aggregate, commit, IN_CLEAR))
            for build in PROJECTIONS:
                if build.covers(commit.aggregate_id):
                    key = {"k": {"S": build.key(commit.aggregate_id)}, "s": {"S": "head"}}
                    _advance(client, table, build=build, change=change, key=key)

    return apply


def _advance(client: Any, table: str, *, build: Any, change: Change, key: dict[str, Any]) -> None:
    item = client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
    before = item["n"]["N"] if item else None
    document = build.apply(orjson.loads(item["d"]["S"]) if item else None, change)
    moved = {**key, "n": {"N": str(change.commit.last_position)}}
    moved["d"] = {"S": orjson.dumps(document).decode()}
    for attribute, value in build.list_keys(document, KEYS).items():
        moved[attribute] = {"S": f"{build.build}#{value}"}
    seen = (
        {"ConditionExpression": "attribute_not_exists(k)"}
        if before is None
        else {
            "ConditionExpression": "n = :before",
            "ExpressionAttributeValues": {":before": {"N": before}},
        }
    )
    client.put_item(TableName=table, Item=moved, **seen)
    if build.row is not None:
        row = orjson.dumps(build.row(change)).decode()
        at = {"S": f"{change.commit.position:020d}"}
        client.put_item(TableName=table, Item={"k": key["k"], "s": at, "d": {"S": row}})


def _heard(_bodies: Mapping[str, Sequence[str]]) -> frozenset[str]:
    return frozenset()


def _never(*_: Any) -> None:
    raise AssertionError("nothing of a benchmark fails")
