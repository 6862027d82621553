"""The console's addresses: its pages, one stream of what happens, and orders.

What a page asks of a region is passed on to that region's own API and answered as it was
answered there. Of local regions orders go to the WAN's control and to the command line; of a
deployment to the command line, if its file was given. Nothing else changes anything but commands.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from http import HTTPStatus
from importlib import resources
from typing import Any

import orjson
from aiohttp import ClientError, web
from multidict import CIMultiDict

from antiphon.connection import WAN_PATH
from antiphon.console.admission import add_headers, admission
from antiphon.console.deployed import LOOK_S, DeployedLooking, DeployedSettings
from antiphon.console.looking import Looking
from antiphon.console.observing import Observer
from antiphon.console.operations import NotPossible, Operations, TooMany, words_of
from antiphon.console.settings import ConsoleSettings
from antiphon.scenario import shipped
from infra.local.engine_calls import EngineCalls
from infra.local.watching import PATH as WATCH_PATH
from projections.registry import PROJECTIONS

STATIC = resources.files("antiphon.console") / "static"
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
# What a command or a query may carry; anything else stays in the browser.
_PASSED_ON = ("Content-Type", "Prefer", "Idempotency-Key", "Consistency-Token")
_MAX_BODY_BYTES = 1024 * 1024
_RETRY_MS = 1000


def application(settings: ConsoleSettings | DeployedSettings) -> web.Application:
    """Return the console's application; it offers what can be done by its settings."""
    served = web.Application(middlewares=[admission], client_max_size=_MAX_BODY_BYTES)
    served.on_response_prepare.append(add_headers)
    console = Console(settings)
    served.cleanup_ctx.append(console.calls_open)
    served.add_routes(
        [
            web.get("/", console.page),
            web.get("/health", console.health),
            web.get("/static/{name}", console.file),
            web.get("/api/about", console.about),
            web.get("/api/stream", console.stream),
            web.get("/api/regions/{region}/{path:.*}", console.pass_on),
            web.post("/api/regions/{region}/commands", console.pass_on),
        ]
    )
    if isinstance(settings, ConsoleSettings):
        served.add_routes([web.post("/api/network", Network(settings, console).order)])
    if settings.operations is not None:
        acts = Acts(settings, console)
        served.add_routes([web.post("/api/operations/{kind}", acts.operate)])
    return served


class Console:
    """Answers every request."""

    def __init__(self, settings: ConsoleSettings | DeployedSettings) -> None:
        self._settings = settings
        self._calls = EngineCalls()
        if isinstance(settings, ConsoleSettings):
            looking = Looking(settings, self._calls)
            self.observer = Observer(looking.look, watch=settings.aws_endpoint + WATCH_PATH)
        else:
            self.observer = Observer(DeployedLooking(settings, self._calls).look, look_s=LOOK_S)

    async def calls_open(self, _served: web.Application) -> AsyncIterator[None]:
        """Keep connections to the regions for as long as the console serves."""
        async with self._calls:
            yield

    async def page(self, _request: web.Request) -> web.Response:
        """Answer with the one page that there is."""
        return _file("index.html")

    async def file(self, request: web.Request) -> web.Response:
        """Answer with what the page loads."""
        return _file(request.match_info["name"])

    async def health(self, _request: web.Request) -> web.Response:
        """Say that the console serves."""
        return web.json_response({"status": "ok"})

    async def about(self, _request: web.Request) -> web.Response:
        """Tell what this console is of."""
        settings = self._settings
        return web.json_response(
            {
                "regions": [
                    {"region": region, "url": settings.url(region)} for region in settings.regions
                ],
                # Whether the network can be broken here, and whether operations are run.
                "is_local": isinstance(settings, ConsoleSettings),
                "operates": settings.operations is not None,
                "scenarios": shipped(),
                "projections": [projection.name for projection in PROJECTIONS],
            }
        )

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Tell a page what happens, as server-sent events, for as long as it is open."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        # A page that was closed is nobody's failure.
        with suppress(ConnectionResetError):
            async with self.observer.page() as page:
                await response.write(f"retry: {_RETRY_MS}\n\n".encode())
                async for name, content in page.events():
                    event = f"event: {name}\ndata: ".encode() + orjson.dumps(content) + b"\n\n"
                    await response.write(event)
        return response

    async def pass_on(self, request: web.Request) -> web.Response:
        """Pass a command or a query on to a region, as whom this console was started for."""
        region = request.match_info["region"]
        if region not in self._settings.regions:
            return _message(HTTPStatus.NOT_FOUND, f"there is no region {region} here")
        # The path as it was sent: what is encoded in it stays so.
        path = request.raw_path.split("/", 4)[4]
        headers = CIMultiDict(
            {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        )
        body = await request.read()
        url = f"{self._settings.url(region)}/{path}"
        headers.update(self._settings.credentials(region, request.method, url, body))
        return await self.ask(request.method, url, headers=headers, body=body, who=region)

    async def ask(
        self,
        method: str,
        url: str,
        *,
        body: bytes,
        headers: CIMultiDict[str] | None = None,
        who: str = "the network",
    ) -> web.Response:
        try:
            answer = await self._calls.send(method, url, headers=headers or {}, body=body)
        except (ClientError, TimeoutError) as error:
            return _message(HTTPStatus.BAD_GATEWAY, f"{who} gave no answer: {type(error).__name__}")
        kept = {
            name: value
            for name, value in answer.headers.items()
            if name.lower() in {"content-type", "retry-after"}
        }
        return web.Response(status=answer.status, body=answer.body, headers=kept)


class Network:
    """The network between the regions on this machine."""

    def __init__(self, settings: ConsoleSettings, console: Console) -> None:
        self._settings = settings
        self._console = console

    async def order(self, request: web.Request) -> web.Response:
        """Pass an order on to the WAN's control."""
        answer = await self._console.ask(
            "POST", f"{self._settings.aws_endpoint}{WAN_PATH}", body=await request.read()
        )
        self._console.observer.look_soon()
        return answer


class Acts:
    """What is changed by operations."""

    def __init__(self, settings: ConsoleSettings | DeployedSettings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._operations = Operations(settings)

    async def operate(self, request: web.Request) -> web.StreamResponse:
        """Run an operation, and tell what it says, a JSON object a line."""
        try:
            words = words_of(request.match_info["kind"], await request.read(), self._settings)
            said = self._operations.run(words)
            first = await anext(said)
        except NotPossible as error:
            return _message(HTTPStatus.BAD_REQUEST, str(error))
        except TooMany as error:
            return _message(HTTPStatus.TOO_MANY_REQUESTS, str(error))
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        async with aclosing(said):
            with suppress(ConnectionResetError):
                await response.write(_line(first))
                async for one in said:
                    await response.write(_line(one))
        self._console.observer.look_soon()
        return response


def _file(name: str) -> web.Response:
    suffix = name[name.rfind(".") :]
    found = STATIC / name
    if suffix not in _TYPES or "/" in name or not found.is_file():
        return _message(HTTPStatus.NOT_FOUND, f"there is no {name} here")
    return web.Response(body=found.read_bytes(), content_type=_TYPES[suffix], charset="utf-8")


def _line(content: dict[str, Any]) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


def _message(status: HTTPStatus, why: str) -> web.Response:
    return web.json_response({"message": why}, status=status)
