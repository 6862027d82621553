"""The HTTP API of one region, at an address of its own.

Passes each request to the engine's API Gateway and its answer back, both as
they are, with API Gateway's own limits of size and time.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import ClientError, web

from infra.local.engine_calls import EngineCalls, EngineError, authorization, passed_on

API_NAME = "antiphon"
# What an HTTP API accepts and how long it waits for a function.
MAX_BODY_BYTES = 10 * 1024 * 1024
TIMEOUT_S = 30.0


class Front:
    """Serves one region's API."""

    def __init__(self, *, region: str, engine_url: str, calls: EngineCalls) -> None:
        self._region = region
        self._engine_url = engine_url
        self._calls = calls
        self._api_id: str | None = None

    async def handle(self, request: web.Request) -> web.Response:
        """Pass one request on."""
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _gateway_message(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Request Too Long")
        try:
            if self._api_id is None:
                self._api_id = await self._find_api()
            base = f"{self._engine_url}/_aws/execute-api/{self._api_id}/$default"
            async with asyncio.timeout(TIMEOUT_S):
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


def _gateway_message(status: HTTPStatus, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
