"""`antiphon region kill` and `start`: a whole region, dead and alive again.

Local only: a killed region's functions are gone, its services answer nobody, its links are
cut. What was durable is there again when it starts; what was in flight is not.
"""

from typing import Annotated

import typer

from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    RESTART_TIMEOUT_S,
    AwsPort,
    BasePort,
    Connection,
)
from antiphon.terminal import say

Name = Annotated[str, typer.Argument(metavar="REGION", help="The region.")]


def kill(
    name: Name, *, base_port: BasePort = DEFAULT_BASE_PORT, aws_port: AwsPort = DEFAULT_AWS_PORT
) -> None:
    """Kill a region on the spot (local only): functions, services and links."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    connection.change_wan("kill", region=connection.region_named(name))
    say(f"{name} is dead; bring it back with: antiphon region start {name}", style="red")


def start(
    name: Name, *, base_port: BasePort = DEFAULT_BASE_PORT, aws_port: AwsPort = DEFAULT_AWS_PORT
) -> None:
    """Start a region that was killed (local only); returns once it serves again."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    named = connection.region_named(name)
    connection.change_wan("start", timeout_s=RESTART_TIMEOUT_S, region=named)
    say(f"{name} is back, with everything that was durable", style="green")
