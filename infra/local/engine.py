"""One AWS engine: MiniStack on a socket that the parent opened, until the parent ends.

MiniStack's application is served by aiohttp in place of its own server, which
takes 0.25 ms more of the processor for every call. It is an emulator without
authentication: loopback only, and never for anything but local runs.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from multidict import CIMultiDict

from infra.local.children import Handed, begin
from infra.local.engine_stacks import make_global_tables

Message = MutableMapping[str, Any]
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

# API Gateway takes 10 MB; base64 and the event's own fields come on top.
MAX_BODY_BYTES = 64 * 1024 * 1024
# What aiohttp writes itself.
_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})


class Bridge:
    """Serves an ASGI application's plain HTTP part to aiohttp: whole bodies, no sockets."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def answer(self, request: web.Request) -> web.Response:
        """Run one request through the application."""
        body = await request.read()
        incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        started: Message = {}
        chunks: list[bytes] = []

        async def receive() -> Message:
            return incoming.pop() if incoming else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
            elif message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))

        await self._application(_scope_of(request), receive, send)
        headers: CIMultiDict[str] = CIMultiDict()
        for name, value in started["headers"]:
            if name.lower() not in _FRAMING:
                headers.add(name.decode("latin-1"), value.decode("latin-1"))
        return web.Response(status=started["status"], headers=headers, body=b"".join(chunks))

    async def start_up(self) -> None:
        """Run the application's own start, and wait until it says that it is done."""
        done = asyncio.get_running_loop().create_future()
        incoming: asyncio.Queue[Message] = asyncio.Queue()
        incoming.put_nowait({"type": "lifespan.startup"})

        async def send(message: Message) -> None:
            if not done.done():
                done.set_result(message)

        self._lifespan = asyncio.ensure_future(
            self._application({"type": "lifespan"}, incoming.get, send)
        )
        message = await done
        if message["type"] != "lifespan.startup.complete":
            raise RuntimeError(f"the engine did not start: {message}")


def _scope_of(request: web.Request) -> Message:
    path, _, query = request.raw_path.partition("?")
    return {
        "type": "http",
        "http_version": "1.1",
        "scheme": "http",
        "method": request.method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower(), value) for name, value in request.raw_headers],
        "client": ("127.0.0.1", 0),
    }


def _wake_mappings_at_once() -> None:
    """Let a message reach its function within milliseconds, also in a busy engine.

    MiniStack's event source mappings pause for 50 ms after a wake that was not
    for them, which in a region under load is nearly every one: a command's
    answer passes two queues, and took 60 ms longer by it.
    """
    mappings: Any = importlib.import_module("ministack.services.lambda_svc")
    # Private, but the version is pinned: look at it again when that changes.
    mappings._ESM_IDLE_WAKE_GAP_SECONDS = 0.002  # noqa: SLF001


async def serve(handed: Handed) -> None:
    """Serve until killed."""
    # Imported here, since MiniStack reads its environment on import.
    application_module = importlib.import_module("ministack.app")
    _wake_mappings_at_once()
    if (wan_url := handed.settings.get("wan_url")) is not None:
        make_global_tables(str(wan_url))

    bridge = Bridge(application_module.app)
    await bridge.start_up()
    application = web.Application(client_max_size=MAX_BODY_BYTES)
    application.router.add_route("*", "/{path:.*}", bridge.answer)
    runner = web.AppRunner(application, access_log=None, keepalive_timeout=75)
    await runner.setup()
    await web.SockSite(runner, handed.listeners[0]).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(begin(sys.argv)))
