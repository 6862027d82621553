"""HTTP to the engines, as the WAN does it: connections kept, bodies whole, nothing signed.

Engines check no signature and take the region and service from its scope, so a
call is one request with a scope; no AWS client is involved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from multidict import CIMultiDict
from yarl import URL

# Longer than the longest receive of a queue (20 s) and than an HTTP API waits (30 s).
CALL_TIMEOUT_S = 65.0
# Headers that belong to one connection, or that aiohttp writes itself.
_OF_THE_CONNECTION = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "content-length", "upgrade", "expect", "te"}
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An engine's answer."""

    status: int
    headers: CIMultiDict[str]
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the call succeeded."""
        return self.status < HTTPStatus.BAD_REQUEST

    def json(self) -> Any:
        """The parsed body. Raises: EngineError if the call failed."""
        if not self.ok:
            raise EngineError(f"{self.status}: {self.body.decode(errors='replace')}", answer=self)
        return orjson.loads(self.body) if self.body else {}


class EngineError(Exception):
    """An engine answered a call of the WAN's own with an error."""

    def __init__(self, message: str, *, answer: Answer | None = None) -> None:
        """Args: answer: what the engine said, if it was that."""
        super().__init__(message)
        self.answer = answer


def authorization(*, region: str, service: str) -> str:
    """A header that tells an engine the region and service."""
    scope = f"antiphon/20260101/{region}/{service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


def passed_on(headers: Mapping[str, str]) -> CIMultiDict[str]:
    """The headers of a message without those of its connection."""
    kept: CIMultiDict[str] = CIMultiDict()
    for name, value in headers.items():
        if name.lower() not in _OF_THE_CONNECTION:
            kept.add(name, value)
    return kept


class EngineDown(ClientError):
    """A call to an engine that is cut off was not made."""


class EngineCalls:
    """A pool of connections for each engine."""

    def __init__(self) -> None:
        self._pools: dict[str, ClientSession] = {}
        self._cut_off: set[str] = set()
        self._lives: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for base in list(self._pools):
            await self._close(base)

    async def cut_off(self, base: str) -> None:
        """Break every connection to an engine and make no more, until it is reconnected.

        What is in flight fails with a ClientError, and so does every call from now on: a frozen
        engine would let them wait, and carry them out when it is thawed.
        """
        self._cut_off.add(base)
        self._lives[base] += 1
        await self._close(base)

    def reconnect(self, base: str) -> None:
        """Let calls reach an engine again."""
        self._cut_off.discard(base)

    def life_of(self, base: str) -> int:
        """A number that is another one once an engine has been cut off."""
        return self._lives[base]

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        """Send one request.

        Raises: aiohttp.ClientError, TimeoutError.
        """
        # The engine's address ends where the path begins: http://host:port/...
        base = url[: url.index("/", len("http://"))]
        if base in self._cut_off:
            raise EngineDown(f"{base} is cut off")
        pool = self._pools.get(base) or self._open(base)
        async with pool.request(
            method,
            URL(url, encoded=True),
            headers=headers,
            data=body or None,
            allow_redirects=False,
        ) as response:
            return Answer(
                status=response.status,
                headers=passed_on(response.headers),
                body=await response.read(),
            )

    async def _close(self, base: str) -> None:
        if (pool := self._pools.pop(base, None)) is not None:
            await pool.close()

    def _open(self, base: str) -> ClientSession:
        self._pools[base] = ClientSession(
            connector=TCPConnector(limit=0, keepalive_timeout=60),
            timeout=ClientTimeout(total=CALL_TIMEOUT_S),
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
        )
        return self._pools[base]

    async def json_api(
        self, engine_url: str, target: str, *, region: str, request: Mapping[str, Any]
    ) -> Any:
        """Call an operation of a JSON protocol, such as `DynamoDB_20120810.GetItem`.

        Returns: the parsed answer.
        Raises: EngineError, aiohttp.ClientError, TimeoutError.
        """
        service = "sqs" if target.startswith("AmazonSQS") else "dynamodb"
        answer = await self.send(
            "POST",
            f"{engine_url}/",
            headers={
                "X-Amz-Target": target,
                "Content-Type": "application/x-amz-json-1.0",
                "Authorization": authorization(region=region, service=service),
            },
            body=orjson.dumps(request),
        )
        return answer.json()
