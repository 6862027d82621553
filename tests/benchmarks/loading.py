"""The benchmark of loading an aggregate that is not in memory, with snapshots and without.

On the DynamoDB in this process, so that requests and units are exact; times have that engine's own
work in them, which is as long as the pages that it hands out. One event a commit and one commit a
minute: the tokens of the window, 48 hours, are some 2,900 at the most.
"""

import statistics
import time
from collections.abc import Sequence
from typing import Any

from domain.registry import REGISTRY
from eventstore.bounds import Bounds
from eventstore.folding import Fold
from eventstore.loading import Loader
from eventstore.log import DynamoDBLog
from eventstore.sealing import IN_CLEAR
from eventstore.snapshots import Snapshots
from eventstore.tenure import Tenure
from tests.benchmarks.logs import NOW_MS, commits_of
from tests.dynamodb import tables
from tests.dynamodb.in_process import InProcessDynamoDB
from tests.dynamodb.metering import total

EVENTS = (1, 10, 100, 1_000, 10_000)
FULL = (*EVENTS, 100_000)
LITTLE = (1, 10, 100, 1_000)
_BESIDE = 10
_WINDOW_MS = 48 * 3_600_000
_MS_PER_S = 1_000


def run(*, quick: bool, full: bool = False) -> list[dict[str, Any]]:
    """Return what a load takes by the number of events, as medians, and by how much more."""
    return loads(LITTLE if quick else FULL if full else EVENTS)


def loads(numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Return them for these numbers of events; one of them is 10."""
    rows = [_loads(events) for events in numbers]
    beside = next(row for row in rows if row["events"] == _BESIDE)
    for row in rows:
        row["ratio"] = row["with_snapshot_ms"] / beside["with_snapshot_ms"]
    return rows


def _loads(events: int) -> dict[str, Any]:
    engine = InProcessDynamoDB(trusting=True)
    log = DynamoDBLog(engine, table=tables.create(engine, "events"))  # type: ignore[arg-type]
    table = tables.create(engine, "snapshots")
    snapshots = Snapshots(engine, table=table, window_ms=_WINDOW_MS)  # type: ignore[arg-type]
    aggregate_id = ""
    loader, fold = Loader(log, snapshots, Bounds(), cipher=IN_CLEAR), Fold()
    for commit in commits_of(0, events=events):
        assert log.put(commit) is None
        aggregate_id = commit.aggregate_id
        aggregate = REGISTRY.aggregate_of(aggregate_id)
        # As the commands that came did, every two hundred of them with a snapshot.
        fold = loader.advance(aggregate, fold, commit)
        loader.save_if_due(aggregate, aggregate_id, fold)
        fold = loader.load(aggregate, aggregate_id, now_ms=NOW_MS, tenure=Tenure())
    _expire(engine, table)
    engine.changes.clear()
    # From here on requests are looked at and counted.
    engine.trusting = False
    told: dict[str, Any] = {"events": events}
    for name, kept in (("with_snapshot", snapshots), ("without", None)):
        told |= _load(engine, log, kept, aggregate_id=aggregate_id, name=name)
    return told


def _expire(engine: InProcessDynamoDB, table: str) -> None:
    """Delete what DynamoDB deletes by its attribute `expires`, which this engine keeps."""
    start: dict[str, Any] = {}
    while True:
        page = engine.scan(TableName=table, **start)
        for item in page["Items"]:
            if "expires" in item and int(item["expires"]["N"]) * _MS_PER_S < NOW_MS:
                engine.delete_item(TableName=table, Key={"a": item["a"], "s": item["s"]})
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _load(
    engine: InProcessDynamoDB,
    log: DynamoDBLog,
    snapshots: Snapshots | None,
    *,
    aggregate_id: str,
    name: str,
) -> dict[str, float]:
    aggregate = REGISTRY.aggregate_of(aggregate_id)
    spent_ms = []
    until_s = time.perf_counter() + 1.0
    # Many short ones, few long ones.
    while len(spent_ms) < 3 or (time.perf_counter() < until_s and len(spent_ms) < 50):
        loader = Loader(log, snapshots, Bounds(), cipher=IN_CLEAR)
        begun_s = time.process_time()
        with engine.meter.measured() as used:
            fold = loader.load(aggregate, aggregate_id, now_ms=NOW_MS, tenure=Tenure())
        spent_ms.append(_MS_PER_S * (time.process_time() - begun_s))
        assert fold.last_position, "nothing was loaded"
    one = total(used)
    return {
        f"{name}_ms": statistics.median(spent_ms),
        f"{name}_requests": one.requests,
        f"{name}_read_units": one.read_units,
    }
