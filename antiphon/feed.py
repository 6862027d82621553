"""`antiphon feed`: play commands into the regions and hold every answer against its command.

The exit status says whether every answer came and was right. Empties the producers'
mailboxes while it runs.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    AsJson,
    AwsPort,
    BasePort,
    Connection,
)
from antiphon.feed_display import FeedDisplay, print_summary, print_verdict
from antiphon.feed_plan import Plan, bundled_lines, lines_of_file, plan_feed
from antiphon.feeds.generate import generate as generate_lines
from antiphon.feeds.lines import FeedLine
from antiphon.judgement import judge
from antiphon.ledger import Ledger
from antiphon.mailboxes import Mailbox
from antiphon.player import Pace, Player, Subject
from antiphon.problems import BAD_VERDICT, Problem
from antiphon.reading import read_topology
from antiphon.scores import score
from antiphon.terminal import heading, print_json

DEFAULT_PACE = Pace()
MAX_GENERATED = 100_000


def feed(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Commands as JSON lines; bundled if left out."),
    ] = None,
    *,
    generate: Annotated[
        int | None,
        typer.Option("--generate", min=1, max=MAX_GENERATED, help="Make up so many instead."),
    ] = None,
    spread: Annotated[
        bool, typer.Option("--spread/--no-spread", help="Over all regions, or all to the first.")
    ] = True,
    rate: Annotated[
        float, typer.Option("--rate", min=0.01, help="Commands per second, at most.")
    ] = DEFAULT_PACE.rate_per_s,
    at_once: Annotated[
        int, typer.Option("--at-once", min=1, max=500, help="Subjects in flight, at most.")
    ] = DEFAULT_PACE.at_once,
    duplicates: Annotated[
        float, typer.Option("--duplicates", min=0, max=1, help="Share of commands sent twice.")
    ] = 0.0,
    seed: Annotated[int, typer.Option("--seed", help="The same seed makes the same feed.")] = 1,
    patience: Annotated[
        float, typer.Option("--patience", min=0, help="Seconds without news before giving up.")
    ] = DEFAULT_PACE.patience_s,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json: AsJson = False,
) -> None:
    """Play commands into all regions; show and judge every answer."""
    if file is not None and generate is not None:
        raise Problem("give a FILE or --generate, not both")
    lines: Iterable[FeedLine] = lines_of_file(file) if file is not None else ()
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    regions = connection.regions
    if generate is not None:
        # The generator knows what its duplicates come to; it makes them itself.
        lines = generate_lines(generate, seed=seed, regions=regions, duplicates=duplicates)
        duplicates = 0.0
    elif file is None:
        lines = bundled_lines()
    plan = plan_feed(lines, regions=regions, spread=spread, duplicates=duplicates, seed=seed)
    pace = Pace(rate_per_s=rate, at_once=at_once, patience_s=patience)
    if not as_json:
        heading(f"Playing {plan.title} into {len(connection.regions)} regions at once")
    if not play_and_report(connection, plan, pace=pace, as_json=as_json):
        raise typer.Exit(BAD_VERDICT)


def play_and_report(connection: Connection, plan: Plan, *, pace: Pace, as_json: bool) -> bool:
    """Play a feed, print what it came to, and return whether everything was right."""
    wan = connection.wan()
    display = FeedDisplay(total=plan.commands, silent=as_json)
    ledger = display.ledger
    started_s = time.monotonic()
    with display.live():
        asyncio.run(_play(connection, plan.subjects, ledger=ledger, pace=pace))
    topology = read_topology(connection)
    violations = judge(
        ledger,
        regions=connection.regions,
        drained=topology.ever_drained,
        adopters={region: one.adopters for region, one in topology.standings.items()},
    )
    scores = score(ledger, wan=wan, elapsed_s=time.monotonic() - started_s, violations=violations)
    if as_json:
        told = [violation.model_dump() for violation in violations]
        print_json(scores.model_dump() | {"right": not violations, "violations": told})
    else:
        print_summary(scores, unmatched=ledger.unmatched)
        print_verdict(ledger, violations, regions=len(connection.regions))
    return not violations


async def _play(
    connection: Connection, subjects: Sequence[Subject], *, ledger: Ledger, pace: Pace
) -> None:
    mailboxes = [Mailbox.of(connection, region) for region in connection.regions]
    await Player(connection, ledger=ledger, pace=pace).play(subjects, mailboxes)
