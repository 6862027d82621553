"""`antiphon bench`: what an append costs beside other ways, side by side in one run.

Needs the checkout and its development tools, since the benchmarks are part of the tests. Figures
are medians; trust the ratios more than the times, which are the machine's.
"""

import importlib
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from antiphon.problems import Problem
from antiphon.terminal import heading, print_json, print_table, say

ROOT = Path(__file__).resolve().parents[1]


def bench(
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few rounds only: seconds instead of minutes.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Measure an append beside a bare put, other libraries and a naive design."""
    figures = _append().run(quick=quick)
    if as_json:
        print_json(figures)
        return
    say(figures["machine"], style="bold")
    _print_costs(figures["costs"])
    for engine, told in figures["engines"].items():
        if "absent" in told:
            say(f"\n{engine} was left out: {told['absent']}")
        else:
            _print_times(engine, told)


def _append() -> Any:
    """Return the benchmark of appending; it is there in a checkout only."""
    if not (ROOT / "tests" / "benchmarks").is_dir():
        raise Problem(
            "bench runs from a checkout of Antiphon, where tests/benchmarks is: "
            "clone the repository, run `make setup` in it, and use its .venv/bin/antiphon"
        )
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module("tests.benchmarks.append")
    except ModuleNotFoundError as error:
        raise Problem(f"bench needs the development tools, and {error.name} is missing") from error


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
