"""`antiphon console`: the web console of a deployment, on this machine.

The local regions bring their own. It reads by the query API and the status function of each
region, and holds the credentials, which no page gets to see.
"""

import asyncio
from typing import Annotated

import typer
from aiohttp import web

from antiphon.connection import DEFAULT_BASE_PORT, HOST
from antiphon.console.deployed import DeployedSettings, endpoints_in
from antiphon.console.server import application
from antiphon.problems import Problem
from antiphon.signals import signals_as_interrupts
from antiphon.terminal import say

Endpoints = Annotated[
    list[str],
    typer.Option(
        "--endpoint",
        metavar="REGION=URL",
        help="A region and the address of its HTTP API; once for each region, in their order.",
    ),
]
Port = Annotated[int, typer.Option("--port", min=1, max=65_535, help="Where to serve the page.")]
Bearer = Annotated[
    str | None,
    typer.Option(
        "--bearer",
        envvar="ANTIPHON_BEARER",
        show_envvar=True,
        help="The token that the regions know you by; better by environment.",
    ),
]


def console(*, endpoint: Endpoints, port: Port = DEFAULT_BASE_PORT, bearer: Bearer = None) -> None:
    """Serve the web console of a deployment on this machine until Ctrl-C."""
    shown = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    settings = DeployedSettings(
        endpoints=endpoints_in(endpoint), credentials=lambda *_request: shown
    )
    with signals_as_interrupts():
        try:
            asyncio.run(_serve(settings, port))
        except KeyboardInterrupt:
            say("")
        except OSError as error:
            raise Problem(f"port {port} is taken; choose another with --port ({error})") from error


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
