"""The HTTP API of one region, at an address of its own.

Passes each request to the engine's API Gateway and its answer back, both as
they are, with API Gateway's own limits of size and time. Of a region that is
killed nobody gets an answer: connections end without a word.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import ClientError, web

from infra.local.engine_calls import EngineCalls, EngineError, authorization, passed_on
from infra.local.network import Dropped, Network

API_NAME = "antiphon"
# What an HTTP API accepts and how long it waits for a function.
MAX_BODY_BYTES = 10 * 1024 * 1024
TIMEOUT_S = 30.0


class Front:
    """Serves one region's API."""

    def __init__(
        self, *, region: str, engine_url: str, calls: EngineCalls, network: Network
    ) -> None:
        self._network = network
        self._region = region
        self._engine_url = engine_url
        self._calls = calls
        self._api_id: str | None = None

    async def handle(self, request: web.Request) -> web.Response:
        """Pass one request on."""
        try:
            self._network.alive(self._region)
            answer = await self._passed_on(request)
            self._network.alive(self._region)
        except Dropped:
            return hang_up(request)
        return answer

    async def _passed_on(self, request: web.Request) -> web.Response:
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _gateway_message(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Too Long")
        try:
            if self._api_id is None:
                self._api_id = await self._find_api()
            base = f"{self._engine_url}/_aws/execute-api/{self._api_id}/$default"
            async with asyncio.timeout(TIMEOUT_S):
                await self._network.drag(self._region)
                answer = await self._calls.send(
                    request.method,
                    f"{base}{request.raw_path}",
                    headers=passed_on(request.headers),
                    body=body,
                )
        except (ClientError, TimeoutError, EngineError):
            return _gateway_message(HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable")
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)

    async def _find_api(self) -> str:
        answer = await self._calls.send(
            "GET",
            f"{self._engine_url}/v2/apis",
            headers={"Authorization": authorization(region=self._region, service="apigateway")},
            body=b"",
        )
        for api in answer.json()["items"]:
            if api["name"] == API_NAME:
                return str(api["apiId"])
        raise EngineError(f"{self._region} has no HTTP API yet")


def hang_up(request: web.Request) -> web.Response:
    """End a connection without an answer, as a call that got lost does."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _gateway_message(status: HTTPStatus, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
