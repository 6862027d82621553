"""`antiphon verify`: the log, the read models and the answers of all regions, held together.

Waits for the system to come to rest first, bounded: what is still on its way is late, not
wrong. Reads only.
"""

import time
from typing import Annotated

import typer
from rich.text import Text

from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    AsJson,
    AwsPort,
    BasePort,
    Connection,
)
from antiphon.feed_display import print_violations
from antiphon.letters import store_of
from antiphon.problems import BAD_VERDICT, Problem
from antiphon.reading import (
    EVENTS_TABLE,
    RESPONSES_TABLE,
    VIEWS_TABLE,
    count_commits,
    installation_keys,
    pending_answers,
    read_topology,
    scan,
)
from antiphon.terminal import MS_PER_S, output, print_json, say
from antiphon.verification import RegionItems, Verdict, audit
from domain.registry import REGISTRY
from projections.registry import PROJECTIONS

LOOK_S = 0.5
DEFAULT_SETTLE_S = 30.0


def verify(
    *,
    settle: Annotated[
        float, typer.Option("--settle", min=0, help="Seconds to wait for the system to rest.")
    ] = DEFAULT_SETTLE_S,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json: AsJson = False,
) -> None:
    """Check log, read models and answers of all regions against each other."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    verdict = settled_verdict(connection, settle_s=settle)
    there = read_topology(connection).not_lost
    letters = sum(sum(1 for _ in store_of(connection, region).waiting()) for region in there)
    if as_json:
        told = {"good": verdict.good, "dead_letters": letters}
        print_json(verdict.model_dump() | told)
    else:
        print_audit(verdict, regions=len(there))
        if letters:
            say(f"  dead letters that wait: {letters}; see: antiphon dlq list", style="red")
    if not verdict.good:
        raise typer.Exit(BAD_VERDICT)


def settled_verdict(connection: Connection, *, settle_s: float) -> Verdict:
    """Audit a running system once it rests, or as it is when `settle_s` is over.

    Lag heals by itself and a broken promise does not, so a bad verdict is looked at again
    until the time is over.

    Raises Problem if commands keep coming in: then nothing can be said.
    """
    deadline_s = time.monotonic() + settle_s
    client = connection.dynamodb(read_topology(connection).not_lost[0])
    while True:
        _wait_for_answers(connection, deadline_s)
        before = count_commits(client)
        verdict = audit_system(connection)
        if verdict.good or not verdict.commits:
            return verdict
        moved = count_commits(client) != before
        if time.monotonic() >= deadline_s:
            if moved:
                raise Problem(
                    "commands still come in, so the regions cannot be compared; "
                    "stop the producers, or give it longer with --settle"
                )
            return verdict
        time.sleep(LOOK_S)


def _wait_for_answers(connection: Connection, deadline_s: float) -> None:
    there = read_topology(connection).not_lost
    clients = [connection.dynamodb(region) for region in there]
    while any(any(True for _ in pending_answers(client)) for client in clients):
        if time.monotonic() >= deadline_s:
            return
        time.sleep(LOOK_S)


def audit_system(connection: Connection) -> Verdict:
    """Read everything of a running system and audit it."""
    topology = read_topology(connection)
    home = topology.not_lost[0]
    regions = {}
    for region in topology.not_lost:
        client = connection.dynamodb(region)
        regions[region] = RegionItems(
            replica=scan(client, EVENTS_TABLE, consistent=False),
            views=scan(client, VIEWS_TABLE),
            responses=scan(client, RESPONSES_TABLE),
        )
    return audit(
        scan(connection.dynamodb(home), EVENTS_TABLE),
        regions,
        projections=PROJECTIONS,
        registry=REGISTRY,
        keys=installation_keys(connection.functions(home)),
        now_ms=int(time.time() * MS_PER_S),
        topology=topology,
    )


def print_audit(verdict: Verdict, *, regions: int) -> None:
    """Print what was held against what, and whether it agrees."""
    looked = (
        f"{verdict.commits} commits ({verdict.events} events) of {verdict.aggregates} aggregates, "
        f"{verdict.views} view items and {verdict.answers} answers in {regions} regions"
    )
    if verdict.good:
        agree = "log, read models and answers agree"
        output.print(Text.assemble(("  consistent  ", "bold white on green"), f"  {agree}"))
        say(f"  {looked}", style="dim")
        return
    count = len(verdict.violations)
    shown = f"{count} violation{'s' if count > 1 else ''}"
    output.print(Text.assemble(("  violated  ", "bold white on red"), f"  {shown}"))
    say(f"  {looked}", style="dim")
    print_violations(verdict.violations)
