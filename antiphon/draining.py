"""`antiphon region drain|undrain|show`: take a region out of service, and bring it back.

Each shows what it waits for and may be interrupted: begun again, it goes on. What is refused
changes nothing. It says when a drained region may be taken away, and never before.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
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
from antiphon.problems import Problem
from antiphon.reading import read_topology
from antiphon.region_moves import open_moves
from antiphon.terminal import MS_PER_S, milliseconds, print_json, print_table, say
from eventstore.errors import StoreUnavailable
from projections.draining import Step
from projections.regions import RegionRefused, RegionState, Standing, Topology

PAUSE_S = 0.5
# A wait is told again this often though nothing else has changed.
TOLD_AGAIN_S = 5.0

Name = Annotated[str, typer.Argument(metavar="REGION", help="The region.")]
STYLES = {RegionState.ACTIVE: "green", RegionState.DRAINED: "bold red"}


def drain(
    name: Name,
    *,
    lost: Annotated[
        bool, typer.Option("--lost", help="It does not answer any more, and will not.")
    ] = False,
    adopt: Annotated[
        str | None,
        typer.Option(
            "--adopt", help="With --lost: who answers for it; the first that serves if left out."
        ),
    ] = None,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Take a region out: answers stop waiting for it, and it says when it may be taken away.

    With --lost another region answers for it what came in there and is not answered.
    """
    if adopt and not lost:
        raise Problem("--adopt names who answers for a lost region; say --lost, too")
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    moves = open_moves(connection, via=_other(connection, name, preferred=adopt))
    if not lost:
        _drive(moves.drain(name), again=f"antiphon region drain {name}")
        say(
            f"{name} is drained: all it took is answered. It is safe to take it away.",
            style="green",
        )
        say(f"Bring it back with: antiphon region undrain {name}")
        return
    _drive(moves.drain_lost(name, adopter=adopt), again=f"antiphon region drain {name} --lost")
    adopter = moves.states.read().standings[name].adopter
    say(f"{name} is left out. {adopter} answers what came in there.", style="green")
    say("What it had answered itself may be answered once more, under the same answer_id.")


def undrain(
    name: Name,
    *,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Bring a region back: it serves once it has applied everything in the log."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    moves = open_moves(connection, via=_other(connection, name))
    _drive(moves.undrain(name), again=f"antiphon region undrain {name}")
    say(f"{name} serves again, with everything that is in the log.", style="green")


def show(
    *,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json: AsJson = False,
) -> None:
    """Show the state of every region: who serves, who is left out, who answers for whom."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    topology = read_topology(connection)
    if as_json:
        print_json(topology.model_dump(mode="json"))
        return
    print_table(
        ("region", "state", "since", "answered by"),
        [_row(name, standing, topology) for name, standing in topology.standings.items()],
    )


def _row(name: str, standing: Standing, topology: Topology) -> tuple[str | Text, ...]:
    since = datetime.fromtimestamp(standing.since_ms / MS_PER_S, tz=UTC)
    told = f"{since:%Y-%m-%d %H:%M:%S} UTC" if standing.version else "ever since"
    state = Text(standing.state, style=STYLES.get(standing.state, "yellow"))
    return name, state, told, topology.answering_region(name)


def _other(connection: Connection, name: str, *, preferred: str | None = None) -> str:
    """Return a region to work through that is not the one moved; raises Problem."""
    connection.region_named(name)
    if preferred is not None and preferred != name:
        return connection.region_named(preferred)
    others = [one for one in connection.regions if one != name]
    wan = connection.wan()
    able = [one for one in others if not (wan.is_killed(one) or wan.is_isolated(one))]
    return (able or others)[0]


def _drive(way: Iterator[Step], *, again: str) -> None:
    """Go a way to its end, telling each step that is news; raises Problem."""
    told, told_at_s = "", 0.0
    begun_s = time.monotonic()
    try:
        for step in way:
            now_s = time.monotonic()
            if step.phase != told or now_s - told_at_s >= TOLD_AGAIN_S:
                took = milliseconds((now_s - begun_s) * MS_PER_S)
                say(f"{took:>10}  {step.phase}: {step.told}")
                told, told_at_s = step.phase, now_s
            if step.waits:
                time.sleep(PAUSE_S)
    except RegionRefused as refused:
        raise Problem(str(refused)) from refused
    except StoreUnavailable as error:
        raise Problem(f"{error}; go on with: {again}") from error
