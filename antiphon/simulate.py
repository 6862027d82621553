"""`antiphon simulate`: the production code in virtual time, under faults, judged run by run.

Needs the checkout and its development tools, since the simulation is part of the tests. A seed
says everything: the same seed is the same run, in every process.
"""

import importlib
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import gettempdir
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from antiphon.problems import BAD_VERDICT, Problem
from antiphon.terminal import complaints, heading, print_json, print_table, say
from antiphon.up import Mode

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_RUNS = 100
DEFAULT_TRIES = 400
_MOST_FAILURES = 3


def simulate(
    *,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The first seed.")] = 0,
    runs: Annotated[
        int | None,
        typer.Option(
            "--runs", min=1, help=f"Seeds to play, one after the other. [default: {DEFAULT_RUNS}]"
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option("--plan", exists=True, dir_okay=False, help="Play a kept plan instead."),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Processes. [default: one for each core]")
    ] = None,
    tries: Annotated[
        int, typer.Option("--tries", min=0, help="Runs to spend on cutting a failure down.")
    ] = DEFAULT_TRIES,
    mode: Annotated[Mode, typer.Option("--mode", help="How the event table is.")] = (Mode.STRONG),
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Play seeded runs of the real functions in virtual time, and judge each of them."""
    report = _simulation("report")
    if plan is not None:
        _replay(plan, as_json=as_json)
        return
    runs = runs or DEFAULT_RUNS
    begun_s = time.monotonic()
    jobs = min(jobs or os.cpu_count() or 1, runs)
    tally = _play(range(seed, seed + runs), jobs=jobs, mode=mode.value.upper())
    told = report.summary(tally, elapsed_s=time.monotonic() - begun_s)
    if as_json:
        print_json(_as_json(tally))
    else:
        _print_situations(tally, report, mode=mode)
        say(told, style="bold")
        _print_failures(tally.failed, report, tries=tries, mode=mode.value.upper())
    if tally.failed:
        raise typer.Exit(BAD_VERDICT)


def _simulation(module: str) -> Any:
    """Return a module of the simulation; it is there in a checkout only."""
    if not (ROOT / "tests" / "simulation").is_dir():
        raise Problem(
            "simulate runs from a checkout of Antiphon, where tests/simulation is: "
            "clone the repository, run `make setup` in it, and use its .venv/bin/antiphon"
        )
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module(f"tests.simulation.{module}")
    except ModuleNotFoundError as error:
        raise Problem(
            f"simulate needs the development tools, and {error.name} is not there: "
            "run `make setup` in the checkout"
        ) from None


def _play(seeds: range, *, jobs: int, mode: str) -> Any:
    """Play and judge every seed, showing how far it has come."""
    campaign = _simulation("campaign")
    tally = campaign.Tally()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=complaints,
        transient=True,
    ) as progress:
        task = progress.add_task("playing", total=len(seeds))
        for judged in campaign.judge_seeds(seeds, jobs=jobs, mode=mode):
            tally.add(judged)
            progress.update(task, advance=1, description=_so_far(tally))
    return tally


def _so_far(tally: Any) -> str:
    return f"playing, {len(tally.failed)} failed" if tally.failed else "playing, all clean"


def _print_situations(tally: Any, report: Any, *, mode: Mode) -> None:
    heading("Situations met")
    told = mode.value.upper()
    rows = [row for row in report.situations_table(tally.situations, told) if _is_told(row[0])]
    print_table(["times", "situation"], [(times, name) for name, times in rows], numbers=["times"])
    if never := report.never_met(tally.situations, told):
        say(f"{len(never)} of the situations to meet never came up", style="yellow")


def _is_told(situation: str) -> bool:
    """Say whether a situation is news: plain calls and answers are not."""
    return not situation.startswith(("call: ", "command: ", "read: ", "status: ", "cold start: "))


def _print_failures(failed: Iterable[Any], report: Any, *, tries: int, mode: str) -> None:
    planning = _simulation("eventual_planning")
    failures = list(failed)
    for judged in failures[:_MOST_FAILURES]:
        heading(f"Seed {judged.seed} breaks {', '.join(sorted(judged.broken))}")
        plan = planning.plan_of(judged.seed, mode)
        if tries:
            say(f"cutting it down, in {tries} runs at most ...", style="dim")
            plan = report.shortest(plan, judged.broken, most_tries=tries)
        kept_in = Path(gettempdir()) / f"antiphon-seed-{judged.seed}.json"
        say(report.failure(plan, kept_in=kept_in))
    if more := [judged.seed for judged in failures[_MOST_FAILURES:]]:
        say(f"and {len(more)} more: seeds {', '.join(map(str, more))}")


def _replay(path: Path, *, as_json: bool) -> None:
    """Play a kept plan, and print what it breaks."""
    campaign, report = _simulation("campaign"), _simulation("report")
    try:
        plan = _simulation("plan").from_json(path.read_bytes())
    except (ValueError, KeyError, TypeError) as error:
        raise Problem(f"{path} is no plan that `antiphon simulate` has kept: {error}") from None
    judged = campaign.judge(plan)
    if as_json:
        print_json({"seed": judged.seed, "violations": judged.violations})
    elif judged.violations:
        say(report.failure(plan, kept_in=path))
    else:
        say(f"clean: {judged.commands} commands, {judged.faults} faults")
    if judged.violations:
        raise typer.Exit(BAD_VERDICT)


def _as_json(tally: Any) -> dict[str, Any]:
    return {
        "runs": tally.runs,
        "commands": tally.commands,
        "situations": dict(sorted(tally.situations.items())),
        "invariants": dict(sorted(tally.looked.items())),
        "failed": [{"seed": one.seed, "violations": one.violations} for one in tally.failed],
    }
