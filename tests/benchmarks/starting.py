"""The benchmark of starting: each function beside straightforward ones, a process for each start.

A start counts from before the interpreter runs until a handler is ready, its AWS clients built.
The straightforward functions are what the documentation of Powertools puts together for the same
work: boto3, a model, log, metrics and idempotency, with the resolver or the batch processor, and
once more with its tracer where that can be imported. Compiled modules are kept, as packages do.
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from handlers.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
BESIDE = "straightforward, HTTP"
FUNCTIONS: tuple[str, ...] = get_args(Settings.model_fields["function"].annotation)

# Names in AWS, which starting never looks at.
_NAMES = [
    name
    for name, field in Settings.model_fields.items()
    if field.is_required() and name.endswith(("_table", "_queue", "_key", "bus"))
]
_ENVIRONMENT = {
    "ANTIPHON_REGIONS": "us-east-1,eu-west-1,ap-south-1",
    "ANTIPHON_MODE": "STRONG",
    "ANTIPHON_SECRET": "a secret of the benchmarks",
    "ANTIPHON_ACCOUNT": "000000000000",
    **{f"ANTIPHON_{name.upper()}": name.replace("_", "-") for name in _NAMES},
}
_OURS = "import handlers.entry; handlers.entry.handler"
_STRAIGHTFORWARD = """
import boto3, pydantic
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer, IdempotencyConfig, idempotent)
class Command(pydantic.BaseModel):
    command_id: str
    imsi: str
    service_profile: str
logger, metrics = Logger(service="x"), Metrics(namespace="x", service="x")
table = boto3.client("dynamodb")
kept = DynamoDBPersistenceLayer(table_name="x", boto3_client=table)
config = IdempotencyConfig(event_key_jmespath="body")
"""
_HTTP = """
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
app = APIGatewayHttpResolver(enable_validation=True)
@app.post("/commands")
def command(command: Command) -> dict: ...
"""
_BATCH = """
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.parser import parse
processor = BatchProcessor(event_type=EventType.DynamoDBStreams)
"""
_TRACER = "from aws_lambda_powertools import Tracer\ntracer = Tracer(service='x')\n"
_TELL = """
import json as _j, sys as _s, time as _t
_kept = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
_s.stdout.write(_j.dumps({
    "ready": _t.monotonic(), "cpu_ms": 1000 * _t.process_time(),
    "memory_mb": int(_kept.split()[1]) / 1024, "modules": len(_s.modules)}))
"""


def run(*, quick: bool) -> list[dict[str, Any]]:
    """Return, for each way to start, the medians of some starts, and ratios of each round's."""
    return measure(ways(), rounds=1 if quick else 5)


def ways() -> dict[str, tuple[str, dict[str, str]]]:
    """Return (program, environment) by name, the one that ratios refer to first."""
    straightforward = {
        BESIDE: _STRAIGHTFORWARD + _HTTP,
        "straightforward, batches": _STRAIGHTFORWARD + _BATCH,
    }
    if importlib.util.find_spec("aws_xray_sdk") is not None:
        straightforward |= {
            f"{name}, traced": told + _TRACER for name, told in straightforward.items()
        }
    beside = {name: (program, dict[str, str]()) for name, program in straightforward.items()}
    ours = {one: (_OURS, _ENVIRONMENT | {"ANTIPHON_FUNCTION": one}) for one in FUNCTIONS}
    return {**beside, "Python alone": ("", {}), **ours}


def measure(ways: dict[str, tuple[str, dict[str, str]]], *, rounds: int) -> list[dict[str, Any]]:
    """Start every way in turn, round by round; a first start that is not counted compiles."""
    told: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as compiled:
        for _ in range(rounds + 1):
            for name, (program, environment) in ways.items():
                told[name].append(_start(program, environment, compiled))
    counted = {name: starts[1:] for name, starts in told.items()}
    first = counted[next(iter(ways))]
    return [_row(name, starts, first) for name, starts in counted.items()]


def _start(program: str, environment: dict[str, str], compiled: str) -> dict[str, float]:
    dropped = ("ANTIPHON_", "PYTHON", "AWS_")
    inherited = os.environ.items()  # noqa: TID251 - the benchmark is an edge
    kept = {name: value for name, value in inherited if not name.startswith(dropped)}
    given = {
        **kept,
        **environment,
        "PYTHONPATH": str(ROOT),
        "PYTHONPYCACHEPREFIX": compiled,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
    }
    begun_s = time.monotonic()
    done = subprocess.run(  # noqa: S603 - our own programs
        [sys.executable, "-c", program + _TELL],
        check=True,
        capture_output=True,
        cwd=compiled,
        env=given,
    )
    told: dict[str, float] = json.loads(done.stdout)
    told["wall_ms"] = 1000 * (told.pop("ready") - begun_s)
    return told


def _row(
    name: str, starts: Sequence[dict[str, float]], first: Sequence[dict[str, float]]
) -> dict[str, Any]:
    medians = {key: statistics.median(one[key] for one in starts) for key in starts[0]}
    ratios = {
        f"{key}_ratio": statistics.median(
            own[key] / other[key] for own, other in zip(starts, first, strict=True)
        )
        for key in ("cpu_ms", "wall_ms")
    }
    return {"name": name, **medians, **ratios}
