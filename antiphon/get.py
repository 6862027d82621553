"""`antiphon get`: what one region shows of a subscriber, a network element or a command.

Reads through the region's HTTP API, as any reader would; how fresh is the reader's choice.
"""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    AsJson,
    AwsPort,
    BasePort,
    Connection,
    RegionOption,
)
from antiphon.problems import BAD_VERDICT, Problem, new_command_group
from antiphon.results import body_of
from antiphon.send import show_problem
from antiphon.terminal import print_document, print_json

MAX_WAIT_MS = 20_000

get = new_command_group("Read a subscriber, a network element or a command from a region.")

Token = Annotated[
    str | None,
    typer.Option("--token", help="At least as fresh as this consistency token."),
]
Strong = Annotated[bool, typer.Option("--strong", help="As of the head of the log.")]
WaitMs = Annotated[
    int | None,
    typer.Option("--wait-ms", min=0, max=MAX_WAIT_MS, help="How long to wait for the token."),
]


@get.command(epilog="Example: antiphon get subscriber 262011234567890 --region ap-south-1 --strong")
def subscriber(
    imsi: Annotated[str, typer.Argument(metavar="IMSI", help="The subscriber's IMSI.")],
    *,
    region: RegionOption = None,
    token: Token = None,
    strong: Strong = False,
    wait_ms: WaitMs = None,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json: AsJson = False,
) -> None:
    """Show a subscriber as a region has it."""
    how = _freshness(token, strong=strong, wait_ms=wait_ms)
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    _show(connection, region, path=f"/subscribers/{quote(imsi, safe='')}", as_json=as_json, **how)


@get.command(epilog="Example: antiphon get element gnb-berlin-0001 --token TOKEN")
def element(
    element_id: Annotated[str, typer.Argument(metavar="ID", help="The network element's id.")],
    *,
    region: RegionOption = None,
    token: Token = None,
    strong: Strong = False,
    wait_ms: WaitMs = None,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json: AsJson = False,
) -> None:
    """Show a network element as a region has it."""
    how = _freshness(token, strong=strong, wait_ms=wait_ms)
    path = f"/network-elements/{quote(element_id, safe='')}"
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    _show(connection, region, path=path, as_json=as_json, **how)


@get.command(epilog="Example: antiphon get command COMMIT   (COMMIT is what `send` printed)")
def command(
    commit: Annotated[str, typer.Argument(metavar="COMMIT", help="The commit of the command.")],
    *,
    region: RegionOption = None,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json: AsJson = False,
) -> None:
    """Show how far a command has come: which regions applied it, and its answer."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    _show(connection, region, path=f"/commands/{quote(commit, safe='')}", as_json=as_json)


def _freshness(token: str | None, *, strong: bool, wait_ms: int | None) -> dict[str, Any]:
    """The parameters and headers of the freshness that was asked for."""
    if token is not None and strong:
        raise Problem("--token and --strong exclude each other; strong is at least as fresh")
    params: dict[str, Any] = {"consistency": "strong"} if strong else {}
    if wait_ms is not None:
        params["wait_ms"] = wait_ms
    return {"params": params, "headers": {"Consistency-Token": token} if token else {}}


def _show(
    connection: Connection, region: str | None, *, path: str, as_json: bool, **how: Any
) -> None:
    response = connection.request(connection.region_named(region), method="GET", path=path, **how)
    body = body_of(response)
    if as_json:
        print_json(body or response.text)
    elif response.is_success:
        print_document(body)
    else:
        show_problem(response)
    if not response.is_success:
        raise typer.Exit(BAD_VERDICT)
