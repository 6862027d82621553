"""The benchmark of appending: on the local engine and on DynamoDB Local, side by side.

`antiphon bench` runs it. What commands cost in requests and units is counted on the engine in
this process, which knows DynamoDB's rules; times are taken on servers of their own.
"""

import contextlib
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import Credentials

from handlers.lean.client import LeanClient
from infra.local.engines import start_engine, wait_until_ready
from infra.local.lifeline import Lifeline
from infra.local.ports import take_any_port
from tests.benchmarks.contenders import REGION, eventsourcing_sqlite, ways_on
from tests.benchmarks.rounds import Effort, measure, throughput
from tests.dynamodb.dynamodb_local import Absent, DynamoDBLocal, fetched
from tests.dynamodb.in_process import InProcessDynamoDB
from tests.dynamodb.metering import total

USUAL = Effort(rounds=7, commands=100)
# Eight threads take eight times as long.
SIDE_BY_SIDE = Effort(rounds=3, commands=100)
QUICK = Effort(rounds=3, commands=20)
_COUNTED = 20
# Only these append side by side: the others are slower one by one already.
_WAYS_SIDE_BY_SIDE = 4


def run(*, quick: bool) -> dict[str, Any]:
    """Return all figures as JSON-able data: costs, and times for each engine that is here."""
    effort = QUICK if quick else USUAL
    engines: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        with local_engine(directory) as url:
            engines["local engine"] = times(url, effort, directory)
        try:
            with _dynamodb_local(directory) as url:
                engines["DynamoDB Local"] = times(url, effort, directory)
        except Absent as absent:
            engines["DynamoDB Local"] = {"absent": str(absent)}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return {"machine": machine, "effort": vars(effort), "costs": costs(), "engines": engines}


def costs() -> list[dict[str, Any]]:
    """Return what each way uses for a command: requests, read units, write units."""
    engine = InProcessDynamoDB()
    told = []
    for way in [one for one in ways_on(engine, engine) if one.metered]:
        contender = way.of(0)
        contender.take(2)
        with engine.meter.measured() as used:
            for number in range(3, 3 + _COUNTED):
                contender.take(number)
        one = total(used) / _COUNTED
        told.append({"name": way.name, **vars(one)})
    return told


def times(url: str, effort: Effort, directory: Path) -> dict[str, Any]:
    """Return the times of all ways on an engine."""
    client = boto3_client(url)
    lean = LeanClient(client, credentials=Credentials("bench", "bench"))
    try:
        ways = ways_on(client, lean)
        one_by_one = measure([*ways, eventsourcing_sqlite(directory)], effort)
        return {
            "one by one": [one.as_json() for one in one_by_one],
            f"{effort.threads} threads": throughput(
                ways[:_WAYS_SIDE_BY_SIDE], SIDE_BY_SIDE if effort is USUAL else effort
            ),
        }
    finally:
        lean.close()


def boto3_client(url: str) -> Any:
    """Return a client with the settings that functions have."""
    return boto3.client(  # noqa: TID251 - the benchmark is an edge
        "dynamodb",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
        config=Config(
            connect_timeout=5,
            read_timeout=20,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=50,
        ),
    )


@contextlib.contextmanager
def local_engine(directory: Path) -> Iterator[str]:
    """Run an engine of the local regions; gives its address."""
    lifeline = Lifeline()
    started = start_engine(
        name="bench",
        region=REGION,
        listener=take_any_port(),
        functions={},
        lifeline=lifeline,
        run_directory=directory,
        log_directory=directory,
    )
    try:
        wait_until_ready(started.child, f"{started.url}/_ministack/health")
        yield started.url
    finally:
        lifeline.cut()
        started.child.wait_or_kill()


@contextlib.contextmanager
def _dynamodb_local(directory: Path) -> Iterator[str]:
    started = DynamoDBLocal(fetched(), log=directory / "dynamodb-local.log")
    try:
        yield started.url
    finally:
        started.stop()
