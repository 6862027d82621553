"""`antiphon region drain|undrain|show`: take a region out of service, and bring it back.

Each shows what it waits for and may be interrupted: begun again, it goes on. What is refused
changes nothing. It says when a drained region may be taken away, and never before.
"""

from datetime import UTC, datetime
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
from antiphon.driving import drive, other_region
from antiphon.homes import move_away
from antiphon.problems import Problem
from antiphon.reading import read_topology
from antiphon.region_moves import check_consistent, open_home_moves, open_moves
from antiphon.terminal import MS_PER_S, print_json, print_table, say
from projections.regions import RegionState, Standing, Topology

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
    via = other_region(connection, name, preferred=adopt)
    moves = open_moves(connection, via=via)
    homes = open_home_moves(connection, via=via)
    if lost and homes is not None:
        raise Problem(
            f"in EVENTUAL mode its homes have to be taken, too: antiphon region evict {name}"
        )
    check_consistent(connection, via=via)
    record(connection, "region drain --lost" if lost else "region drain", about=name, via=via)
    if homes is not None:
        # As planned, so that nothing it took is superseded; then it is no one's home.
        move_away(homes, name)
    if not lost:
        drive(moves.drain(name), again=f"antiphon region drain {name}")
        say(
            f"{name} is drained: all it took is answered. It is safe to take it away.",
            style="green",
        )
        say(f"Bring it back with: antiphon region undrain {name}")
        return
    drive(moves.drain_lost(name, adopter=adopt), again=f"antiphon region drain {name} --lost")
    adopter = moves.states.read().standings[name].adopter
    say(f"{name} is left out. {adopter} answers what came in there.", style="green")
    say("If its tables could not be read, what it had answered is answered once more.")


def undrain(
    name: Name,
    *,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Bring a region back: it serves once it has applied everything in the log."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    via = other_region(connection, name)
    moves = open_moves(connection, via=via)
    homes = open_home_moves(connection, via=via)
    check_consistent(connection, via=via)
    record(connection, "region undrain", about=name, via=via)
    if moves.states.read().state(name) is not RegionState.ACTIVE or homes is None:
        drive(moves.undrain(name), again=f"antiphon region undrain {name}")
    if homes is not None:
        # What it took and nobody had received has come with it: once all know it, all is as before.
        drive(homes.settle(name), again=f"antiphon region undrain {name}")
    say(f"{name} serves again, with everything that is in the log.", style="green")


def evict(
    name: Name,
    *,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Go on without a region that is out of reach, in EVENTUAL mode: others take its homes.

    What it had accepted and nobody has received may be superseded: it is kept, and its producers
    are told once the region is back.
    """
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    via = other_region(connection, name)
    homes = open_home_moves(connection, via=via)
    if homes is None:
        told = "in STRONG mode no region has to be evicted; leave it out"
        raise Problem(f"{told}: antiphon region drain {name} --lost")
    check_consistent(connection, via=via)
    record(connection, "region evict", about=name, via=via)
    drive(homes.take(name), again=f"antiphon region evict {name}")
    drive(open_moves(connection, via=via).drain_lost(name), again=f"antiphon region evict {name}")
    say(f"{name} is evicted: others append to what it did.", style="green")
    say(f"When it is there again: antiphon region undrain {name}")


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
