"""Does to regions as a whole what is ordered: kill them, start them, set their clocks wrong.

A killed region answers nobody from the first moment on, and is reached by nothing until its
engine runs and its functions are ready again. One order at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import ClientError

from infra.local.engine_calls import EngineCalls, EngineError
from infra.local.function_host import SKEW
from infra.local.network import Network


class RegionFailed(Exception):
    """A region could not be killed, started or told the time."""


class RegionControl:
    """Carries out what concerns a region's processes."""

    def __init__(
        self,
        *,
        network: Network,
        calls: EngineCalls,
        engines: Mapping[str, str],
        hosts: Mapping[str, str],
        supervisor: str,
    ) -> None:
        """Args: engines, hosts: addresses by region; supervisor: that of whoever starts them."""
        self._network = network
        self._calls = calls
        self._engines = engines
        self._hosts = hosts
        self._supervisor = supervisor
        self._one_by_one = asyncio.Lock()

    async def kill(self, region: str) -> None:
        """Kill a region. Raises: ValueError if it is none, or dead; RegionFailed."""
        async with self._one_by_one:
            self._network.faults.kill(region)
            # First nobody hears of it any more, then it is dead: no last word gets out.
            self._network.links.take_down(region)
            self._network.changed()
            await self._calls.cut_off(self._engines[region])
            try:
                await self._order("kill", region)
            except RegionFailed:
                self._revive(region)
                raise

    async def start(self, region: str) -> None:
        """Start a killed region. Raises: ValueError if it is none, or runs; RegionFailed."""
        async with self._one_by_one:
            await self._start(region)

    async def skew(self, region: str, *, ms: int) -> None:
        """Set the clock of a region's functions; one that is dead wakes up with it."""
        async with self._one_by_one:
            if not self._network.faults.is_killed(region):
                await self._post(f"{self._hosts[region]}{SKEW}", {"ms": ms})

    async def start_all(self) -> None:
        """Start every killed region."""
        async with self._one_by_one:
            for region in self._network.faults.killed():
                await self._start(region)

    async def _start(self, region: str) -> None:
        self._network.faults.check_killed(region)
        await self._order("start", region)
        if ms := self._network.faults.skew_ms(region):
            await self._post(f"{self._hosts[region]}{SKEW}", {"ms": ms})
        self._revive(region)

    def _revive(self, region: str) -> None:
        self._network.faults.start(region)
        self._calls.reconnect(self._engines[region])
        self._network.links.bring_up(region)
        self._network.changed()

    async def _order(self, action: str, region: str) -> None:
        await self._post(f"{self._supervisor}/", {"action": action, "region": region})

    async def _post(self, url: str, content: Mapping[str, Any]) -> None:
        try:
            answer = await self._calls.send("POST", url, headers={}, body=orjson.dumps(content))
            answer.json()
        except (ClientError, TimeoutError, EngineError) as error:
            raise RegionFailed(f"{content} could not be carried out: {error}") from error
