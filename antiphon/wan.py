"""`antiphon wan`: look at the network between the local regions, and have things go wrong on it.

Local only: on AWS nobody can cut the links between regions for you.
"""

from typing import Annotated, Any

import typer
from rich.text import Text

from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    RESTART_TIMEOUT_S,
    AsJson,
    AwsPort,
    Connection,
)
from antiphon.network import Link, Wan
from antiphon.problems import Problem, new_command_group
from antiphon.scenario import load, shipped
from antiphon.scenario_player import ScenarioPlayer
from antiphon.terminal import milliseconds, print_json, print_table, say
from infra.local.actions import MAX_MS, SERVICES

wan = new_command_group("Show the links between the local regions, and have things go wrong.")

MAX_SKEW_MS = 86_400_000
EVERYTHING = ",".join(SERVICES)

A = Annotated[str, typer.Argument(metavar="A", help="A region.")]
B = Annotated[str | None, typer.Argument(metavar="[B]", help="The other one.")]
OptionalA = Annotated[str | None, typer.Argument(metavar="[A]", help="A region.")]
Region = Annotated[str, typer.Argument(metavar="REGION", help="The region.")]
Rate = Annotated[float, typer.Option("--rate", min=0, max=1, help="How often, from 0 to 1.")]


@wan.command(epilog="Example: antiphon wan show --json")
def show(*, aws_port: AwsPort = DEFAULT_AWS_PORT, as_json: AsJson = False) -> None:
    """Show every link, what is wrong with it, and what waits to be replicated."""
    state = _open(aws_port).wan()
    if as_json:
        print_json(state.model_dump())
        return
    print_links(state)


@wan.command(epilog="Examples: antiphon wan cut us-east-1 ap-south-1; antiphon wan cut ap-south-1")
def cut(a: A, b: B = None, *, aws_port: AwsPort = DEFAULT_AWS_PORT) -> None:
    """Cut the link between two regions, or with one region all of its links."""
    _order_links(aws_port, "cut", a=a, b=b)


@wan.command(epilog="Examples: antiphon wan heal; antiphon wan heal us-east-1 ap-south-1")
def heal(a: OptionalA = None, b: B = None, *, aws_port: AwsPort = DEFAULT_AWS_PORT) -> None:
    """Heal the link between two regions, all of one, or without a region all, delays too."""
    if a is None:
        connection = _open(aws_port)
        connection.change_wan("heal")
        print_links(connection.wan())
    else:
        _order_links(aws_port, "heal", a=a, b=b)


@wan.command(
    epilog="Examples: antiphon wan delay eu-west-1 ap-south-1 --ms 400 --jitter 100; "
    "antiphon wan delay ap-south-1 --ms 400"
)
def delay(
    a: A,
    b: B = None,
    *,
    ms: Annotated[int, typer.Option("--ms", min=0, max=MAX_MS, help="The new round trip, in ms.")],
    jitter: Annotated[
        int, typer.Option("--jitter", min=0, max=MAX_MS, help="Up to so many ms more each time.")
    ] = 0,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Give the link between two regions, or all links of one, another round trip."""
    _order_links(aws_port, "delay", a=a, b=b, ms=ms, **({"jitter_ms": jitter} if jitter else {}))


@wan.command(
    epilog="Examples: antiphon wan undelay eu-west-1 ap-south-1; antiphon wan undelay ap-south-1"
)
def undelay(a: A, b: B = None, *, aws_port: AwsPort = DEFAULT_AWS_PORT) -> None:
    """Give the link between two regions, or all links of one, its usual round trip back."""
    _order_links(aws_port, "undelay", a=a, b=b)


@wan.command(epilog="Example: antiphon wan lose us-east-1 eu-west-1 --answers 0.1")
def lose(
    a: OptionalA = None,
    b: B = None,
    *,
    requests: Annotated[
        float, typer.Option("--requests", min=0, max=1, help="Calls that never arrive, 0 to 1.")
    ] = 0.0,
    answers: Annotated[
        float, typer.Option("--answers", min=0, max=1, help="Calls whose answer is lost, 0 to 1.")
    ] = 0.0,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Lose calls between regions: on one link, all of one region, or all. Without rates, none."""
    _order_links(aws_port, "lose", a=a, b=b, requests=requests, answers=answers)


@wan.command(epilog="Example: antiphon wan repeat --rate 0.2")
def repeat(
    a: OptionalA = None, b: B = None, *, rate: Rate, aws_port: AwsPort = DEFAULT_AWS_PORT
) -> None:
    """Carry out calls between regions twice: on one link, all of one region, or all."""
    _order_links(aws_port, "repeat", a=a, b=b, rate=rate)


@wan.command(epilog="Example: antiphon wan throttle eu-west-1 --rate 0.3 --services sqs,events")
def throttle(
    region: Region,
    *,
    rate: Rate,
    services: Annotated[
        str, typer.Option("--services", help=f"Of {EVERYTHING}, separated by commas.")
    ] = EVERYTHING,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Have a region's services refuse the functions' calls, as AWS does beyond a quota."""
    named = [name.strip() for name in services.split(",") if name.strip()]
    unknown = sorted(set(named) - set(SERVICES))
    if unknown or not named:
        raise Problem(f"--services {services}: there are {', '.join(SERVICES)}")
    _order_region(aws_port, "throttle", region=region, rate=rate, services=named)


@wan.command(epilog="Example: antiphon wan slow ap-south-1 --ms 800")
def slow(
    region: Region,
    *,
    ms: Annotated[int, typer.Option("--ms", min=0, max=MAX_MS, help="So much longer; 0 ends it.")],
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Make everything in a region take longer."""
    _order_region(aws_port, "slow", region=region, ms=ms)


@wan.command(epilog="Example: antiphon wan skew eu-west-1 --ms -60000")
def skew(
    region: Region,
    *,
    ms: Annotated[
        int,
        typer.Option(
            "--ms", min=-MAX_SKEW_MS, max=MAX_SKEW_MS, help="Ahead, or back if negative; 0 ends it."
        ),
    ],
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Set the clock of a region's functions wrong."""
    _order_region(aws_port, "skew", region=region, ms=ms)


@wan.command(epilog="Example: antiphon wan play partition-and-kill")
def play(
    scenario: Annotated[
        str,
        typer.Argument(metavar="SCENARIO", help=f"A YAML file, or one of {', '.join(shipped())}."),
    ],
    *,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Have a scenario happen to the running regions, and end what it leaves wrong."""
    connection = _open(aws_port)
    player = ScenarioPlayer(connection, load(scenario, regions=connection.regions))
    player.start()
    try:
        player.finish()
    finally:
        player.stop()
    say("All of it has happened, and nothing of it is left.", style="green")


@wan.command(epilog="Example: antiphon wan calm")
def calm(*, aws_port: AwsPort = DEFAULT_AWS_PORT) -> None:
    """End every fault: links, rates, clocks; start what was killed."""
    connection = _open(aws_port)
    connection.change_wan("calm", timeout_s=RESTART_TIMEOUT_S)
    print_links(connection.wan())


def print_links(state: Wan) -> None:
    """Print each link with its round trip, what is wrong, and what waits in either direction."""
    waiting = {(lag.origin, lag.region): lag for lag in state.replication}
    rows = []
    for link in state.links:
        calls = [state.calls_under_way(a, b) for a, b in ((link.a, link.b), (link.b, link.a))]
        there, back = waiting.get((link.a, link.b)), waiting.get((link.b, link.a))
        rows.append(
            (
                f"{link.a} <-> {link.b}",
                _round_trip(link),
                Text("cut", style="bold red") if link.cut else _faults_of(link),
                f"{there.pending if there else 0} / {back.pending if back else 0}",
                f"{calls[0]} / {calls[1]}",
            )
        )
    if not rows:
        say("There is one region: no links.")
        return
    columns = ("link", "round trip", "state", "waiting there / back", "calls there / back")
    print_table(columns, rows, numbers=("round trip",))
    for told in state.faults:
        if wrong := told.wrong():
            say(f"  {told.region}: {', '.join(wrong)}", style="red")


def _round_trip(link: Link) -> str:
    most = f" to {milliseconds(link.rtt_ms + link.jitter_ms)}" if link.jitter_ms else ""
    return milliseconds(link.rtt_ms) + most


def _faults_of(link: Link) -> Text:
    told = [
        f"{rate:.0%} {what}"
        for what, rate in (
            ("of requests lost", link.lost_requests),
            ("of answers lost", link.lost_answers),
            ("repeated", link.repeated),
        )
        if rate
    ]
    return Text(", ".join(told), style="yellow") if told else Text("up", style="green")


def _open(aws_port: int) -> Connection:
    return Connection.open(base_port=DEFAULT_BASE_PORT, aws_port=aws_port)


def _order_links(aws_port: int, action: str, *, a: str | None, b: str | None, **order: Any) -> None:
    """Order something for one link, each of one region's, or every link; then show them all."""
    connection = _open(aws_port)
    for link in _links(connection, a=a, b=b):
        connection.change_wan(action, a=link.a, b=link.b, **order)
    print_links(connection.wan())


def _order_region(aws_port: int, action: str, *, region: str, **order: Any) -> None:
    connection = _open(aws_port)
    connection.change_wan(action, region=connection.region_named(region), **order)
    print_links(connection.wan())


def _links(connection: Connection, *, a: str | None, b: str | None) -> list[Link]:
    """The links that are meant: one between two regions, all of one region, or all."""
    wanted = {connection.region_named(name) for name in (a, b) if name is not None}
    if b is not None and a == b:
        raise Problem(f"{a} has no link to itself; name two regions")
    return [link for link in connection.wan().links if wanted <= {link.a, link.b}]
