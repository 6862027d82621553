"""`antiphon homes`: in EVENTUAL mode, which region appends to what, and moving that.

A move as planned supersedes nothing and may be left off at any time. Taking slots from a region
that is lost is `antiphon region evict`.
"""

from typing import Annotated

import typer

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
from antiphon.problems import Problem, new_command_group
from antiphon.reading import CONTROL_TABLE
from antiphon.region_moves import check_consistent, open_home_moves
from antiphon.terminal import print_json, print_table, say
from projections.homes import HomesStore
from projections.rehoming import HomeMoves

homes = new_command_group(
    "In EVENTUAL mode: which region appends to which aggregates, and moving them."
)

FromRegion = Annotated[str, typer.Argument(metavar="REGION", help="The region to move from.")]
ToRegion = Annotated[
    str | None, typer.Option("--to", help="The region to move to; all that serve if left out.")
]


def spread_homes(connection: Connection) -> bool:
    """Give every slot its first home; False if they have homes already."""
    # The first region has the table, however many there are.
    client = connection.dynamodb(connection.regions[0])
    return HomesStore(client, table=CONTROL_TABLE).spread(connection.regions)


def moves_of(connection: Connection, *, via: str) -> HomeMoves:
    """Return the moves of homes; raises Problem where aggregates have none."""
    moves = open_home_moves(connection, via=via)
    if moves is None:
        raise Problem("in STRONG mode every region appends to everything: there are no homes")
    return moves


@homes.command(epilog="Example: antiphon homes spread")
def spread(
    *, base_port: BasePort = DEFAULT_BASE_PORT, aws_port: AwsPort = DEFAULT_AWS_PORT
) -> None:
    """Give every slot its first home, evenly. Once, after the first deployment."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    moves_of(connection, via=connection.regions[0])
    record(connection, "homes spread")
    done = spread_homes(connection)
    say("Every slot has a home now." if done else "They have homes already; nothing was changed.")


@homes.command(epilog="Example: antiphon homes show --json")
def show(
    *,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json: AsJson = False,
) -> None:
    """Show how many slots each region is the home of, and what is being moved."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    told = moves_of(connection, via=connection.regions[0]).homes.read()
    if as_json:
        print_json(told.model_dump(mode="json"))
        return
    rows = []
    strangers = {slot.home for slot in told.slots} - set(connection.regions)
    for region in (*connection.regions, *sorted(strangers)):
        mine = [slot for slot in told.slots if slot.home == region]
        leaving = sum(slot.to is not None for slot in mine)
        taken = sorted({slot.taken_from for slot in mine if slot.taken_from is not None})
        named = f"{region} (no region here)" if region in strangers else region
        rows.append((named, str(len(mine)), str(leaving), ", ".join(taken)))
    print_table(("region", "slots", "being moved", "taken by force from"), rows)


@homes.command(epilog="Example: antiphon homes move eu-west-1 --to us-east-1")
def move(
    name: FromRegion,
    *,
    to: ToRegion = None,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Move all slots of a region to others as planned: nothing that it took is superseded."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    via = other_region(connection, name)
    target = connection.region_named(to) if to else None
    check_consistent(connection, via=via)
    moves = moves_of(connection, via=via)
    record(connection, "homes move", about=f"{name} to {to or 'the others'}", via=via)
    move_away(moves, name, to=target)
    say(f"{name} is the home of no slot any more.", style="green")


def move_away(moves: HomeMoves, name: str, *, to: str | None = None) -> None:
    """Move all slots of a region as planned, telling the steps; raises Problem."""
    wanted = moves.spread(moves.homes.read(), name, by_force=False, to=(to,) if to else ())
    if wanted:
        drive(moves.move(wanted), again=f"antiphon homes move {name}; or: antiphon homes stay")


@homes.command(epilog="Example: antiphon homes stay")
def stay(*, base_port: BasePort = DEFAULT_BASE_PORT, aws_port: AwsPort = DEFAULT_AWS_PORT) -> None:
    """Give up the moves that were left off: their slots take commands again where they are."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    moves = moves_of(connection, via=connection.regions[0])
    check_consistent(connection, via=connection.regions[0])
    record(connection, "homes stay")
    count = moves.stay()
    say(f"{count} slots stay where they are.")
