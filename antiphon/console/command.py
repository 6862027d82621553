"""`antiphon console`: the web console of a deployment, on this machine.

The local regions bring their own. It reads by the query API and the status function of each
region, and holds the credentials, which no page gets to see. With the deployment's file it runs
operators' commands, too, by the AWS credentials of whoever started it.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer
from aiohttp import web
from boto3.session import Session

from antiphon.connection import DEFAULT_BASE_PORT, HOST, credentials, worked_on
from antiphon.console.deployed import Credentials, DeployedSettings, endpoints_in, signing_with
from antiphon.console.server import application
from antiphon.deployed import DeployedConnection
from antiphon.problems import Problem
from antiphon.signals import signals_as_interrupts
from antiphon.terminal import say

Endpoints = Annotated[
    list[str] | None,
    typer.Option(
        "--endpoint",
        metavar="REGION=URL",
        help="A region and the address of its HTTP API; once for each region, in their order. "
        "With antiphon --on FILE they are looked up.",
    ),
]
Port = Annotated[int, typer.Option("--port", min=1, max=65_535, help="Where to serve the page.")]
Iam = Annotated[
    bool,
    typer.Option(
        "--iam", help="Sign requests with your AWS credentials, where regions know callers by IAM."
    ),
]


def console(
    *, endpoint: Endpoints = None, port: Port = DEFAULT_BASE_PORT, iam: Iam = False
) -> None:
    """Serve the web console of a deployment on this machine until Ctrl-C."""
    settings = settings_of(endpoint or (), iam=iam)
    with signals_as_interrupts():
        try:
            asyncio.run(_serve(settings, port))
        except KeyboardInterrupt:
            say("")
        except OSError as error:
            raise Problem(f"port {port} is taken; choose another with --port ({error})") from error


def settings_of(endpoint: Sequence[str], *, iam: bool) -> DeployedSettings:
    """Return what is watched: a deployment by its file, with operations, or by its addresses."""
    on = worked_on()
    if not isinstance(on, DeployedConnection):
        if not endpoint:
            raise Problem("say which deployment: antiphon --on FILE console, or every --endpoint")
        return DeployedSettings(endpoints=endpoints_in(endpoint), credentials=_credentials(iam=iam))
    if endpoint:
        raise Problem("--on FILE knows the addresses; leave --endpoint out")
    endpoints = endpoints_in(f"{region}={on.url(region)}" for region in on.regions)
    # As for every act on it: by the token or key if one is shown, else by AWS credentials.
    known = _credentials(iam=iam or not credentials())
    return DeployedSettings(endpoints=endpoints, credentials=known, file=on.file)


def _credentials(*, iam: bool) -> Credentials:
    """Return what says who asks: as `antiphon --bearer` was told it, or by a signature."""
    shown = credentials()
    if not iam:
        return lambda *_request: shown
    if shown:
        raise Problem("say who you are by --iam or by --bearer (ANTIPHON_BEARER), not by both")
    own = Session().get_credentials()
    if own is None:
        raise Problem("--iam finds no AWS credentials here; see: aws configure, or aws sso login")
    return signing_with(own)


async def _serve(settings: DeployedSettings, port: int) -> None:
    runner = web.AppRunner(application(settings), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        say(f"The console of {', '.join(settings.regions)} is at http://localhost:{port}")
        say("Ctrl-C ends it.", style="dim")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
