"""A deployment, as the console sees it: each region's query API and its status function.

Nothing else is asked, with the credentials of whoever started the console, who is granted there
what it may read and send. Of a region that does not answer, or refuses, that is told in its place.
Operators' acts are no routes of those: with the deployment's file they are commands, else told.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from aiohttp import ClientError
from botocore.credentials import Credentials as AwsCredentials

from antiphon.client.signing import signature
from antiphon.console.admission import LOOPBACK_NAMES
from antiphon.problems import Problem
from infra.local.engine_calls import EngineCalls

LOOK_S = 3.0
LOOK_TIMEOUT_S = 8.0
MS_PER_S = 1000

# Headers that say who asks: of a region, by method, by whole address, with a body.
Credentials = Callable[[str, str, str, bytes], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedSettings:
    """The regions, in the order given, each with the address of its HTTP API.

    `file` is the deployment's, by which operations are run; without it none are.
    """

    endpoints: Mapping[str, str]
    credentials: Credentials = field(repr=False)
    file: Path | None = None

    @property
    def operations(self) -> Sequence[str] | None:
        """The words before those of an operation, None where none is run."""
        return None if self.file is None else ("--on", str(self.file))

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions by name."""
        return tuple(self.endpoints)

    def url(self, region: str) -> str:
        """The address of a region's HTTP API, without a slash at its end."""
        return self.endpoints[region]


def endpoints_in(given: Iterable[str]) -> dict[str, str]:
    """Return addresses by region, from `REGION=URL` each.

    Raises Problem for what is no such pair, for a region given twice, and for an address by which
    credentials would go in clear over a network.
    """
    found: dict[str, str] = {}
    for one in given:
        region, _, url = one.partition("=")
        parts = urlsplit(url)
        is_here = parts.hostname in LOOPBACK_NAMES
        if not region or not parts.hostname or parts.query or parts.fragment:
            raise Problem(
                f"--endpoint {one} is not REGION=URL, as in eu-west-1=https://example.org"
            )
        if parts.scheme != "https" and not (is_here and parts.scheme == "http"):
            raise Problem(f"--endpoint {one}: give an https address; who asks is said there")
        if region in found:
            raise Problem(f"--endpoint gives {region} twice")
        found[region] = url.rstrip("/")
    return found


def signing_with(own: AwsCredentials) -> Credentials:
    """Return what signs each request with AWS credentials, which renew themselves."""

    def signed(region: str, method: str, url: str, body: bytes) -> dict[str, str]:
        return signature(own, region=region, method=method, url=url, body=body)

    return signed


class DeployedLooking:
    """Looks at every region of a deployment by its status function."""

    def __init__(self, settings: DeployedSettings, calls: EngineCalls) -> None:
        self._settings = settings
        self._calls = calls

    async def look(self) -> dict[str, Any]:
        """Tell the regions as a page takes them. Raises: ClientError, if none answers at all."""
        told = await asyncio.gather(*(self._region(one) for one in self._settings.regions))
        if not any(status or refusal for status, refusal in told):
            raise ClientError("no region answers")
        regions = [
            self._seen(region, status, refusal)
            for region, (status, refusal) in zip(self._settings.regions, told, strict=True)
        ]
        for seen in regions:
            seen["unreached_by"] = [
                status["region"]
                for status, _ in told
                if seen["region"] in status.get("unreached", [])
            ]
        lags = _worst([lag for status, _ in told for lag in status.get("lags", [])])
        return {"network": {"links": [], "faults": []}, "regions": regions, "lags": lags}

    async def _region(self, region: str) -> tuple[dict[str, Any], str]:
        """Return what a region tells, or why it does not; neither if it cannot be reached."""
        url = f"{self._settings.url(region)}/status"
        headers = self._settings.credentials(region, "GET", url, b"")
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                answer = await self._calls.send("GET", url, headers=headers, body=b"")
        except (ClientError, TimeoutError):
            return {}, ""
        if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return {}, f"refuses us (HTTP {answer.status})"
        try:
            told = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            told = None
        if not answer.ok or not isinstance(told, dict) or told.get("region") != region:
            return {}, f"no status (HTTP {answer.status})"
        return told, ""

    @staticmethod
    def _seen(region: str, status: Mapping[str, Any], refusal: str) -> dict[str, Any]:
        seen: dict[str, Any] = {"region": region, "held": [], "letters": None}
        if not status:
            return seen | {"health": refusal or "no answer"}
        return seen | {
            "health": status["states"][region],
            "letters": status["letters"]["waiting"],
            "homes": (status.get("homes") or {}).get(region),
            "pending": status["pending"],
            "more": False,
            "oldest_due_ms": status["oldest_due_ms"],
            "at_ms": int(time.time() * MS_PER_S),
            "held": status["held"],
        }


def _worst(lags: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Put together what each region tells of all: each owes other answers."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for lag in lags:
        place = (lag["region"], lag["projection"])
        one = found.setdefault(
            place,
            {
                "region": place[0],
                "projection": place[1],
                "behind": 0,
                "oldest_ms": 0,
                "last_ms": None,
            },
        )
        one["behind"] += lag["behind"]
        one["oldest_ms"] = max(one["oldest_ms"], lag["overdue_ms"] or 0)
    return list(found.values())
