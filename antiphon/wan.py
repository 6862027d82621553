"""`antiphon wan`: look at the network between the local regions, cut it, heal it, slow it.

Local only: on AWS nobody can cut the links between regions for you.
"""

from typing import Annotated

import typer
from rich.text import Text

from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    AsJson,
    AwsPort,
    Connection,
    Link,
    Wan,
)
from antiphon.problems import Problem, new_command_group
from antiphon.terminal import milliseconds, print_json, print_table, say

wan = new_command_group("Show, cut, heal and delay the links between the local regions.")

MAX_DELAY_MS = 60_000


@wan.command(epilog="Example: antiphon wan show --json")
def show(*, aws_port: AwsPort = DEFAULT_AWS_PORT, as_json: AsJson = False) -> None:
    """Show every link, its round trip and what waits to be replicated."""
    state = _open(aws_port).wan()
    if as_json:
        print_json(state.model_dump())
        return
    print_links(state)


@wan.command(epilog="Examples: antiphon wan cut us-east-1 ap-south-1; antiphon wan cut ap-south-1")
def cut(
    a: Annotated[str, typer.Argument(metavar="A", help="A region.")],
    b: Annotated[str | None, typer.Argument(metavar="[B]", help="The other one.")] = None,
    *,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Cut the link between two regions, or with one region all of its links."""
    connection = _open(aws_port)
    for link in _links(connection, a=a, b=b):
        connection.change_wan("cut", a=link.a, b=link.b)
    print_links(connection.wan())


@wan.command(epilog="Examples: antiphon wan heal; antiphon wan heal us-east-1 ap-south-1")
def heal(
    a: Annotated[str | None, typer.Argument(metavar="[A]", help="A region.")] = None,
    b: Annotated[str | None, typer.Argument(metavar="[B]", help="The other one.")] = None,
    *,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Heal the link between two regions, all links of one, or without a region all."""
    connection = _open(aws_port)
    if a is None:
        connection.change_wan("heal")
    else:
        for link in _links(connection, a=a, b=b):
            connection.change_wan("heal", a=link.a, b=link.b)
    print_links(connection.wan())


@wan.command(epilog="Example: antiphon wan delay eu-west-1 ap-south-1 --ms 400")
def delay(
    a: Annotated[str, typer.Argument(metavar="A", help="A region.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The other one.")],
    *,
    ms: Annotated[
        int, typer.Option("--ms", min=0, max=MAX_DELAY_MS, help="The new round trip, in ms.")
    ],
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Give the link between two regions another round trip."""
    connection = _open(aws_port)
    for link in _links(connection, a=a, b=b):
        connection.change_wan("delay", a=link.a, b=link.b, ms=ms)
    print_links(connection.wan())


def print_links(state: Wan) -> None:
    """Print each link with its round trip, and what waits in either direction."""
    waiting = {(lag.origin, lag.region): lag for lag in state.replication}
    rows = []
    for link in state.links:
        there, back = waiting.get((link.a, link.b)), waiting.get((link.b, link.a))
        rows.append(
            (
                f"{link.a} <-> {link.b}",
                milliseconds(link.rtt_ms),
                Text("cut", style="bold red") if link.cut else Text("up", style="green"),
                f"{there.pending if there else 0} / {back.pending if back else 0}",
            )
        )
    if rows:
        columns = ("link", "round trip", "state", "waiting there / back")
        print_table(columns, rows, numbers=("round trip",))
    else:
        say("There is one region: no links.")


def _open(aws_port: int) -> Connection:
    return Connection.open(base_port=DEFAULT_BASE_PORT, aws_port=aws_port)


def _links(connection: Connection, *, a: str, b: str | None) -> list[Link]:
    """The links that are meant: one between two regions, or all of one region."""
    wanted = {connection.region_named(name) for name in (a, b) if name is not None}
    if b is not None and a == b:
        raise Problem(f"{a} has no link to itself; name two regions")
    return [link for link in connection.wan().links if wanted <= {link.a, link.b}]
