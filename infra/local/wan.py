"""The wide-area network between the regions, and every address that anyone calls.

Every AWS call of the functions and of the outside world passes here: the port
tells where it comes from, the signature's scope where it goes. Adds the way
between regions, drops what a cut link cannot carry, plays the faults that are on, gives
global tables their semantics, dispatches the streams. Its state lives as long as it does.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import ClientError, web

from infra.local import control, watching
from infra.local.children import Handed, begin
from infra.local.control import Control
from infra.local.engine import MAX_BODY_BYTES
from infra.local.engine_calls import Answer, EngineCalls, authorization, passed_on
from infra.local.faults import Fate, Faults
from infra.local.front import MAX_BODY_BYTES as FRONT_BODY_BYTES
from infra.local.front import Front, hang_up
from infra.local.global_tables import GlobalCall, GlobalTables
from infra.local.journal import Journal
from infra.local.network import Dropped, Network
from infra.local.refusals import PUT_EVENTS, throttled, with_refused, without
from infra.local.region_control import RegionControl
from infra.local.replication import Links, round_trips
from infra.local.streams import StreamDispatcher

_SCOPE = re.compile(r"Credential=[^/]+/[^/]+/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_logger = logging.getLogger("wan")

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, kw_only=True)
class _Call:
    """One AWS call as it came in, and where it goes."""

    request: web.Request
    body: bytes
    region: str
    service: str

    @property
    def target(self) -> str:
        """The operation of a JSON protocol; empty for any other."""
        return self.request.headers.get("X-Amz-Target", "")


class AwsEndpoint:
    """Takes AWS calls that come from one place."""

    def __init__(
        self,
        *,
        caller: str | None,
        engines: dict[str, str],
        network: Network,
        tables: GlobalTables,
        calls: EngineCalls,
        journal: Journal,
    ) -> None:
        """Args: caller: the region that calls; None for the outside world."""
        self._journal = journal
        self._caller = caller
        self._engines = engines
        self._network = network
        self._tables = tables
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
        call = _Call(request=request, body=body, region=region, service=service)
        watch = self._network.watch
        try:
            self._network.alive(region)
            seen = watch.begun(call.target, body, region=region, caller=self._caller)
            await self._network.cross(self._caller, region)
            answer = await self._answered(call)
            watch.done(seen, answer)
            await self._network.cross(region, self._caller)
            # Whatever it was about to say when it was killed, nobody has heard it.
            self._network.alive(region)
        except Dropped:
            return hang_up(request)
        except (ClientError, TimeoutError) as error:
            _logger.warning("no answer to a call to %s in %s: %r", service, region, error)
            return hang_up(request)
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def _answered(self, call: _Call) -> Answer:
        """Carry a call out, or not, or twice, as the faults of the way have it.

        Raises: Dropped if the call or its answer gets lost.
        """
        about = self._table_call(call)
        fate = self._network.fate(self._caller, call.region)
        members = self._tables.agreeing(about) if about is not None else ()
        if fate is Fate.ARRIVES and self._caller is not None and members:
            # The region's own replica takes it to another region.
            fate = self._network.fate_of_agreement(call.region, members)
        if fate is Fate.REQUEST_LOST:
            raise Dropped
        await self._network.drag(call.region)
        answer = await self._unless_throttled(call, about)
        if fate is Fate.TWICE:
            await self._unless_throttled(call, about)
        if fate is Fate.ANSWER_LOST:
            raise Dropped
        return answer

    async def _unless_throttled(self, call: _Call, about: GlobalCall | None) -> Answer:
        """Carry a call out, if the region's service is not asked too much; the functions' only."""
        if self._caller is None or not self._throttles(call):
            return await self._carried_out(call, about, call.body)
        if call.target != PUT_EVENTS or self._throttles(call):
            return throttled(call.service)
        # A bus also takes a request and refuses entries of it one by one.
        request = orjson.loads(call.body)
        kept, refused = without(request["Entries"], lambda: self._throttles(call))
        answer = None
        if kept:
            body = orjson.dumps({**request, "Entries": kept})
            answer = await self._carried_out(call, about, body)
        return with_refused(answer, refused)

    def _throttles(self, call: _Call) -> bool:
        return self._network.faults.throttles(call.region, call.service)

    async def _carried_out(self, call: _Call, about: GlobalCall | None, body: bytes) -> Answer:
        if about is not None:
            return await self._tables.answer(about)
        url, headers = self._engines[call.region], passed_on(call.request.headers)
        if call.service == "kms":
            # A multi-Region key is one key, in reach of every region: it is with the journal.
            url = self._journal.url
            headers["Authorization"] = authorization(region=self._journal.region, service="kms")
        return await self._calls.send(
            call.request.method, f"{url}{call.request.raw_path}", headers=headers, body=body
        )

    def _table_call(self, call: _Call) -> GlobalCall | None:
        if call.service != "dynamodb":
            return None
        return self._tables.recognise(
            target=call.target, body=call.body, region=call.region, caller=self._caller
        )

    def _scope(self, request: web.Request) -> tuple[str, str]:
        """The region and service of a call, from its signature (in the query if presigned)."""
        signed = request.headers.get("Authorization") or (
            f"Credential={request.query.get('X-Amz-Credential', '')}"
        )
        found = _SCOPE.search(signed)
        return (found[1], found[2]) if found else (self._default_region, "")


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
        witness = (settings["witness"],) if settings.get("witness") else ()
        members = (*regions, *witness)
        links = Links(members, round_trips_ms=round_trips(members, realistic=realistic))
        self._calls = calls
        self._engines: dict[str, str] = settings["engines"]
        faults = Faults(links, seed=int(settings.get("seed", 1)), regions=regions)
        self._network = Network(links, faults)
        self._journal = Journal(**settings["journal"])
        self._tables = GlobalTables(
            journal=self._journal,
            engines=self._engines,
            network=self._network,
            calls=calls,
            realistic=realistic,
        )
        self._control = Control(
            self._network,
            self._tables,
            regions=RegionControl(
                network=self._network,
                calls=calls,
                engines=self._engines,
                hosts=settings["hosts"],
                supervisor=settings["supervisor"],
            ),
        )

    async def run(self, listeners: list[socket.socket]) -> None:
        """Serve until killed: the outside world, each region's calls, each region's API."""
        outside, *others = listeners
        callers, fronts = others[: len(self._engines)], others[len(self._engines) :]
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tables.run())
            tasks.create_task(self._network.watch.run())
            await _listen(stack, self._outside(), outside)
            for (region, url), caller, front in zip(
                self._engines.items(), callers, fronts, strict=True
            ):
                dispatcher = StreamDispatcher(
                    region=region,
                    engine_url=url,
                    calls=self._calls,
                    read=self._tables.read_stream,
                )
                tasks.create_task(dispatcher.run())
                endpoint = self._endpoint(region)
                await _listen(
                    stack, _application(endpoint.handle, max_body_bytes=MAX_BODY_BYTES), caller
                )
                api = Front(region=region, engine_url=url, calls=self._calls, network=self._network)
                await _listen(
                    stack, _application(api.handle, max_body_bytes=FRONT_BODY_BYTES), front
                )

    def _endpoint(self, caller: str | None) -> AwsEndpoint:
        return AwsEndpoint(
            caller=caller,
            engines=self._engines,
            network=self._network,
            tables=self._tables,
            calls=self._calls,
            journal=self._journal,
        )

    def _outside(self) -> web.Application:
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_get(control.PATH, self._control.show)
        application.router.add_post(control.PATH, self._control.order)
        application.router.add_get(watching.PATH, self._network.watch.serve)
        application.router.add_route("*", "/{path:.*}", self._endpoint(None).handle)
        return application


async def serve(handed: Handed) -> None:
    """Serve until killed."""
    async with EngineCalls() as calls:
        await Wan(handed.settings, calls).run(handed.listeners)


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(serve(begin(sys.argv)))
