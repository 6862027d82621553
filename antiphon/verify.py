"""`antiphon verify`: the log, the read models and the answers of all regions, held together.

Reads everything once, page by page, while commands flow; what is not right is looked at again
until it is or nothing moves. What is on its way is late, not wrong. Repairs only when asked,
and never the log.
"""

import sys
import time
from typing import Annotated

import typer
from rich.text import Text

from antiphon.acts import record
from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    AsJson,
    AwsPort,
    BasePort,
    Connection,
)
from antiphon.feed_display import print_violations
from antiphon.installation import dependencies_of
from antiphon.letters import store_of
from antiphon.opening import Opened
from antiphon.problems import BAD_VERDICT, NOT_SETTLED, Problem
from antiphon.reading import read_topology
from antiphon.repairing import Mended, carry_out, print_mended, print_plan
from antiphon.running_source import RunningSource
from antiphon.terminal import output, print_json, say
from antiphon.verification import Audit, Verdict
from eventstore.errors import StoreUnavailable

LOOK_S = 0.5
DEFAULT_SETTLE_S = 30.0
SHOWN = 20


def verify(
    *,
    settle: Annotated[
        float,
        typer.Option(
            "--settle",
            min=0,
            help="Seconds in which nothing moves before what is late counts as violated.",
        ),
    ] = DEFAULT_SETTLE_S,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Apply, fold and answer again what lacks; asks first."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --repair: only say what would be done.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --repair: do not ask.")] = False,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json: AsJson = False,
) -> None:
    """Check log, read models and answers of all regions against each other.

    Ends with 0 if all is as promised, 1 if something is violated, 3 if that cannot be said yet.
    """
    if (dry_run or yes) and not repair:
        raise Problem("--dry-run and --yes go with --repair")
    if repair and as_json and not (dry_run or yes):
        raise Problem("--repair --json cannot ask: say --dry-run or --yes, too")
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    verdict, mended = settled_verdict(connection, settle_s=settle), list[Mended]()
    if repair and not dry_run and verdict.mends and _agreed(verdict, yes=yes, silent=as_json):
        record(connection, "verify --repair", about=f"{len(verdict.mends)} to mend")
        mended = carry_out(connection, verdict.mends)
        # What was mended may take a moment; it is held against everything once more.
        verdict = settled_verdict(connection, settle_s=settle)
    _tell(connection, verdict, mended, planned=dry_run, as_json=as_json)
    if verdict.violations:
        raise typer.Exit(BAD_VERDICT)
    if not verdict.settled:
        raise typer.Exit(NOT_SETTLED)


def settled_verdict(connection: Connection, *, settle_s: float) -> Verdict:
    """Audit a running system; what is late is waited for while anything moves.

    Args:
        settle_s: seconds without a move after which what is late is a violation.

    Raises Problem if something cannot be read.

    """
    source = RunningSource(connection)
    deps = dependencies_of(connection, source.home)
    audit = Audit(
        source=Opened(source, deps.cipher),
        projections=deps.projections,
        registry=deps.registry,
        keys=deps.keys,
        now_ms=deps.edge.now_ms,
        settle_s=settle_s,
        elapsed_s=time.monotonic,
        pause=lambda: time.sleep(LOOK_S),
    )
    try:
        return audit.run()
    except StoreUnavailable as error:
        raise Problem(f"{error}; see: antiphon status") from error


def _agreed(verdict: Verdict, *, yes: bool, silent: bool) -> bool:
    if not silent:
        print_audit(verdict)
        print_plan(verdict.mends)
    if yes:
        return True
    if not sys.stdin.isatty():
        raise Problem("nothing was repaired; say --yes to do it, or --dry-run to only see it")
    return typer.confirm(f"Do these {len(verdict.mends)}?", err=True)


def _tell(
    connection: Connection,
    verdict: Verdict,
    mended: list[Mended],
    *,
    planned: bool,
    as_json: bool,
) -> None:
    there = read_topology(connection).not_lost
    letters = sum(sum(1 for _ in store_of(connection, region).waiting()) for region in there)
    if as_json:
        told = {"good": verdict.good, "settled": verdict.settled, "dead_letters": letters}
        done = [one.mend.model_dump(mode="json") | {"refused": one.refused} for one in mended]
        print_json(verdict.model_dump(mode="json") | told | {"repaired": done})
        return
    if mended:
        print_mended(mended)
    print_audit(verdict)
    if planned and verdict.mends:
        print_plan(verdict.mends)
    elif verdict.mends:
        say(f"  {len(verdict.mends)} things can be repaired: antiphon verify --repair")
    if letters:
        say(f"  dead letters that wait: {letters}; see: antiphon dlq list", style="red")


def print_audit(verdict: Verdict) -> None:
    """Print what was held against what, and whether it agrees."""
    looked = (
        f"{verdict.commits} commits ({verdict.events} events) of {verdict.aggregates} aggregates, "
        f"{verdict.views} view items and {verdict.answers} answers"
    )
    if verdict.good:
        agree = "log, read models and answers agree"
        output.print(Text.assemble(("  consistent  ", "bold white on green"), f"  {agree}"))
        say(f"  {looked}", style="dim")
        return
    if verdict.violations:
        count = len(verdict.violations)
        shown = f"{count} violation{'s' if count > 1 else ''}"
        output.print(Text.assemble(("  violated  ", "bold white on red"), f"  {shown}"))
    else:
        told = "nothing is wrong so far, and not everything has arrived"
        output.print(Text.assemble(("  not settled  ", "bold black on yellow"), f"  {told}"))
    say(f"  {looked}", style="dim")
    print_violations(verdict.violations)
    for one in verdict.unsettled[:SHOWN]:
        say(f"  late    {one.line}", style="yellow")
    left = max(len(verdict.unsettled) - SHOWN, 0) + verdict.unlisted
    if left:
        say(f"  and {left} more that are not as they should be", style="yellow")
