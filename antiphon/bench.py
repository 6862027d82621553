"""`antiphon bench`: what appends, starts, projections, loads and rebuilds cost, in one run.

Needs the checkout and its development tools, since the benchmarks are part of the tests. Figures
are medians; trust the ratios more than the times, which are the machine's.
"""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from antiphon.problems import Problem
from antiphon.terminal import complain, heading, print_json, print_table, say

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "images"

# Columns of the tables by the figures' names.
_STARTS = {
    "name": "start of",
    "cpu_ms": "CPU ms",
    "cpu_ms_ratio": "x",
    "wall_ms": "wall ms",
    "wall_ms_ratio": "x ",
    "memory_mb": "MB",
    "modules": "modules",
}
_BATCHES = {
    "commits": "commits",
    "aggregates": "of",
    "a_core_second": "/s and core",
    "naive_a_core_second": "naive",
    "ratio": "x",
    "requests": "requests",
    "naive_requests": "naive ",
    "read_units": "read units",
    "write_units": "write units",
}
_LOADS = {
    "events": "events",
    "with_snapshot_ms": "snapshot, ms",
    "ratio": "x of 10",
    "with_snapshot_requests": "requests",
    "with_snapshot_read_units": "units",
    "without_ms": "none, ms",
    "without_requests": "requests ",
    "without_read_units": "units ",
}
_REBUILDS = {"commits": "commits", "a_core_second": "/s and core", "peak_mb": "peak MB"}
_SCALE = {
    "events_a_second": "events/s",
    "cores": "cores",
    "commands_concurrency": "commands at once, a region",
    "projector_concurrency": "projectors at once, a region",
    "log_partitions": "partitions",
    "put_events_a_second": "PutEvents/s",
    "aggregates_at_least": "aggregates, at least",
}


def bench(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few rounds only: a minute instead of ten.")
    ] = False,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Load 100,000 events and rebuild a million commits, too: half an hour."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    draw: Annotated[
        Path | None,
        typer.Option(
            help="Measure nothing: draw the docs' pictures from figures that --json printed."
        ),
    ] = None,
) -> None:
    """Measure appends, starts, projections, loads and rebuilds beside plain ways."""
    if draw is not None:
        PICTURES.mkdir(exist_ok=True)
        for file in _benchmarks("plots").draw(_figures_of(draw), PICTURES):
            say(f"drawn {file.relative_to(ROOT)}")
        return
    figures = _benchmarks("whole").run(
        quick=quick, full=full, tell=lambda what: complain(f"measuring: {what}")
    )
    if as_json:
        print_json(figures)
        return
    show(figures)


def show(figures: dict[str, Any]) -> None:
    """Print the figures as tables."""
    say(figures["machine"], style="bold")
    _print_costs(figures["append"]["costs"])
    for engine, told in figures["append"]["engines"].items():
        if "absent" in told:
            say(f"\n{engine} was left out: {told['absent']}")
        else:
            _print_times(engine, told)
    _print("from the interpreter's start until a handler is ready", _STARTS, figures["starting"])
    _print("batches of commits, beside a naive loop", _BATCHES, figures["projecting"])
    _print("loading an aggregate that is not in memory", _LOADS, figures["loading"])
    _print("rebuilding: one pass over the log", _REBUILDS, figures["rebuilding"])
    _print("on paper: what so many events a second need", _SCALE, figures["scale"])


def _figures_of(file: Path) -> Any:
    try:
        return orjson.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise Problem(
            f"{file} holds no figures: make them by `antiphon bench --json > {file}`"
        ) from error


def _benchmarks(module: str) -> Any:
    """Return a module of the benchmarks; they are there in a checkout only."""
    if not (ROOT / "tests" / "benchmarks").is_dir():
        raise Problem(
            "bench runs from a checkout of Antiphon, where tests/benchmarks is: "
            "clone the repository, run `make setup` in it, and use its .venv/bin/antiphon"
        )
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module(f"tests.benchmarks.{module}")
    except ModuleNotFoundError as error:
        raise Problem(f"bench needs the development tools, and {error.name} is missing") from error


def _print(title: str, columns: dict[str, str], rows: Sequence[dict[str, Any]]) -> None:
    heading(title)
    cells = [[_told(name, row.get(name)) for name in columns] for row in rows]
    print_table(
        list(columns.values()), cells, numbers=set(columns.values()) - {columns.get("name")}
    )


def _told(name: str, value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or "-"
    return (
        f"{value:.2f}" if "ratio" in name or "peak" in name else f"{value:,.1f}".removesuffix(".0")
    )


def _print_costs(costs: list[dict[str, Any]]) -> None:
    heading("what a command uses")
    columns = ["way", "requests", "read units", "write units"]
    names = ["requests", "read_units", "write_units"]
    rows = [[one["name"], *(f"{one[name]:g}" for name in names)] for one in costs]
    print_table(columns, rows, numbers=columns[1:])


def _print_times(engine: str, told: dict[str, Any]) -> None:
    for kind, ways in told.items():
        heading(f"{engine}, {kind}")
        if kind == "one by one":
            columns = ["way", "CPU us", "x", "wall us", "x "]
            names = ["cpu_us", "cpu_ratio", "wall_us", "wall_ratio"]
        else:
            columns = ["way", "commands/s", "x"]
            names = ["a_second", "ratio"]
        rows = [[one["name"], *(_shown(name, one[name]) for name in names)] for one in ways]
        print_table(columns, rows, numbers=columns[1:])


def _shown(name: str, value: float) -> str:
    return f"{value:.2f}" if "ratio" in name else f"{value:.0f}"
