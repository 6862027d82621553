"""The console's process: serves until whoever started it ends."""

import asyncio
import logging
import sys

from aiohttp import web

from antiphon.console.server import application
from antiphon.console.settings import ConsoleSettings
from infra.local.children import Handed, begin


async def serve(handed: Handed) -> None:
    """Serve until killed."""
    runner = web.AppRunner(application(ConsoleSettings.of(dict(handed.settings))), access_log=None)
    await runner.setup()
    await web.SockSite(runner, handed.listeners[0]).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(serve(begin(sys.argv)))
