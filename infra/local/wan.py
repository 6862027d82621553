"""The wide-area network between the regions, and every address that anyone calls.

Every AWS call of the functions and of the outside world passes here: the port
tells where it comes from, the signature's scope where it goes. Adds the way
between regions, drops what a cut link cannot carry, gives global tables their
semantics, dispatches the streams. Its state lives as long as its process.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any

from aiohttp import ClientError, web

from infra.local import control
from infra.local.children import Handed, begin
from infra.local.control import Control
from infra.local.engine import MAX_BODY_BYTES
from infra.local.engine_calls import Answer, EngineCalls, passed_on
from infra.local.faults import Faults
from infra.local.front import MAX_BODY_BYTES as FRONT_BODY_BYTES
from infra.local.front import Front
from infra.local.network import Dropped, Network
from infra.local.replicas import Journal, ReplicatedTable
from infra.local.replication import Links, round_trips
from infra.local.streams import StreamDispatcher
from infra.local.strong_tables import StrongTables

_SCOPE = re.compile(r"Credential=[^/]+/[^/]+/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_logger = logging.getLogger("wan")

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AwsEndpoint:
    """Takes AWS calls that come from one place."""

    def __init__(
        self,
        *,
        caller: str | None,
        engines: dict[str, str],
        network: Network,
        strong: StrongTables,
        calls: EngineCalls,
    ) -> None:
        """Args: caller: the region that calls; None for the outside world."""
        self._caller = caller
        self._engines = engines
        self._network = network
        self._strong = strong
        self._calls = calls
        # What is not signed goes to the caller's own region, or to the first.
        self._default_region = caller or next(iter(engines))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Take one call to the region that it names, and bring back the answer."""
        region, service = self._scope(request)
        if region not in self._engines:
            return web.json_response(
                {"message": f"there is no region {region} here: {', '.join(self._engines)}"},
                status=HTTPStatus.BAD_REQUEST,
            )
        body = await request.read()
        try:
            await self._network.cross(self._caller, region)
            answer = await self._call(request, body, region=region, service=service)
            await self._network.cross(region, self._caller)
        except Dropped:
            return _hang_up(request)
        except (ClientError, TimeoutError) as error:
            _logger.warning("no answer to a call to %s in %s: %r", service, region, error)
            return _hang_up(request)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def _call(
        self, request: web.Request, body: bytes, *, region: str, service: str
    ) -> Answer:
        if service == "dynamodb":
            call = self._strong.recognise(
                target=request.headers.get("X-Amz-Target", ""),
                body=body,
                region=region,
                caller=self._caller,
            )
            if call is not None:
                return await self._strong.answer(call)
        return await self._calls.send(
            request.method,
            f"{self._engines[region]}{request.raw_path}",
            headers=passed_on(request.headers),
            body=body,
        )

    def _scope(self, request: web.Request) -> tuple[str, str]:
        """The region and service of a call, from its signature (in the query if presigned)."""
        signed = request.headers.get("Authorization") or (
            f"Credential={request.query.get('X-Amz-Credential', '')}"
        )
        found = _SCOPE.search(signed)
        return (found[1], found[2]) if found else (self._default_region, "")


def _hang_up(request: web.Request) -> web.StreamResponse:
    """End a connection without an answer, as a call that got lost does."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _listen(stack: AsyncExitStack, application: web.Application, at: socket.socket) -> None:
    runner = web.AppRunner(application, access_log=None, keepalive_timeout=75)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.SockSite(runner, at).start()


def _application(handle: Handle, *, max_body_bytes: int) -> web.Application:
    application = web.Application(client_max_size=max_body_bytes)
    application.router.add_route("*", "/{path:.*}", handle)
    return application


class Wan:
    """Everything that runs in the WAN's process."""

    def __init__(self, settings: Any, calls: EngineCalls) -> None:
        regions = tuple(settings["regions"])
        realistic = settings["round_trips"] == "realistic"
        links = Links(regions, round_trips_ms=round_trips(regions, realistic=realistic))
        self._calls = calls
        self._engines: dict[str, str] = settings["engines"]
        self._network = Network(links, Faults(links, seed=int(settings.get("seed", 1))))
        journal = Journal(**settings["journal"])
        self._tables = [
            ReplicatedTable(
                name,
                journal=journal,
                engines=self._engines,
                links=links,
                calls=calls,
                now_ms=self._network.now_ms,
            )
            for name in settings["global_tables"]
        ]
        for table in self._tables:
            self._network.on_change(table.links_changed)
        self._strong = StrongTables(
            self._tables,
            journal=journal,
            engines=self._engines,
            network=self._network,
            calls=calls,
        )

    async def run(self, listeners: list[socket.socket]) -> None:
        """Serve until killed: the outside world, each region's calls, each region's API."""
        outside, *others = listeners
        callers, fronts = others[: len(self._engines)], others[len(self._engines) :]
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            for table in self._tables:
                tasks.create_task(table.run())
            await _listen(stack, self._outside(), outside)
            for (region, url), caller, front in zip(
                self._engines.items(), callers, fronts, strict=True
            ):
                dispatcher = StreamDispatcher(region=region, engine_url=url, calls=self._calls)
                tasks.create_task(dispatcher.run())
                endpoint = self._endpoint(region)
                await _listen(
                    stack, _application(endpoint.handle, max_body_bytes=MAX_BODY_BYTES), caller
                )
                api = Front(region=region, engine_url=url, calls=self._calls)
                await _listen(
                    stack, _application(api.handle, max_body_bytes=FRONT_BODY_BYTES), front
                )

    def _endpoint(self, caller: str | None) -> AwsEndpoint:
        return AwsEndpoint(
            caller=caller,
            engines=self._engines,
            network=self._network,
            strong=self._strong,
            calls=self._calls,
        )

    def _outside(self) -> web.Application:
        controls = Control(self._network, self._tables)
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_get(control.PATH, controls.show)
        application.router.add_post(control.PATH, controls.order)
        application.router.add_route("*", "/{path:.*}", self._endpoint(None).handle)
        return application


async def serve(handed: Handed) -> None:
    """Serve until killed."""
    async with EngineCalls() as calls:
        await Wan(handed.settings, calls).run(handed.listeners)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(serve(begin(sys.argv)))
