"""All benchmarks in one run: what `antiphon bench` prints, as JSON-able data."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.credentials import Credentials

from handlers.lean.client import LeanClient
from tests.benchmarks import append, loading, projecting, rebuilding, scaling, starting

OURS = "Antiphon, lean"


def run(*, quick: bool, full: bool, tell: Callable[[str], None]) -> dict[str, Any]:
    """Return all figures.

    Args:
        quick: a few rounds of small things: about a minute.
        full: load 100,000 events and rebuild a million commits, too.
        tell: is told what begins.

    """
    tell("append")
    appended = append.run(quick=quick)
    tell("start of functions")
    started = starting.run(quick=quick)
    tell("projection")
    projected = _projected(quick=quick)
    tell("load")
    loaded = loading.run(quick=quick, full=full)
    tell("rebuild")
    rebuilt = rebuilding.run(quick=quick, full=full)
    engine = next(told for told in appended["engines"].values() if "absent" not in told)
    [ours] = [one for one in engine["one by one"] if one["name"] == OURS]
    batches = max(projected, key=lambda one: one["commits"] * one["aggregates"])
    return {
        "machine": appended.pop("machine"),
        "append": appended,
        "starting": started,
        "projecting": projected,
        "loading": loaded,
        "rebuilding": rebuilt,
        "scale": scaling.plan(
            command_us=ours["cpu_us"], projected_a_core_second=batches["a_core_second"]
        ),
    }


def _projected(*, quick: bool) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as directory, append.local_engine(Path(directory)) as url:
        client = append.boto3_client(url)
        lean = LeanClient(client, credentials=Credentials("bench", "bench"))
        try:
            shapes, rounds = (projecting.LITTLE, 2) if quick else (projecting.SHAPES, 5)
            return projecting.run(client, lean, shapes=shapes, rounds=rounds)
        finally:
            lean.close()
