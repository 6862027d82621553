"""Time and the network: calls between regions take their way, or do not arrive.

What `replication` says about links, done with a real clock. A call over a cut
link waits, as its packets would be sent again, and goes on if the link is mended
in time; otherwise it is dropped without an answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection

from infra.local.faults import Fate, Faults
from infra.local.replication import Links
from infra.local.watching import Watch

# How long a caller's connection stays open without an answer over a cut link.
DROP_AFTER_S = 5.0


class Dropped(Exception):
    """The call, or its answer, did not get through: the connection ends without a word."""


class Network:
    """The links and the faults, as a running WAN uses them."""

    def __init__(self, links: Links, faults: Faults) -> None:
        self.links = links
        self.faults = faults
        self.watch = Watch(faults.regions)
        # Ways between regions that are being taken now, by (from, to).
        self.under_way: Counter[tuple[str, str]] = Counter()
        self._changed = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []

    def now_ms(self) -> float:
        """The WAN's own clock."""
        return asyncio.get_running_loop().time() * 1000

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change of a link."""
        self._listeners.append(listener)

    def changed(self) -> None:
        """Tell everyone that a link has changed."""
        self._changed.set()
        self._changed = asyncio.Event()
        for listener in self._listeners:
            listener()

    async def cross(self, a: str | None, b: str | None) -> None:
        """Take one way from `a` to `b`; None is the outside world, at no distance.

        Raises: Dropped, after `DROP_AFTER_S`, if the link stays cut.
        """
        if a is None or b is None or a == b:
            return
        deadline = asyncio.get_running_loop().time() + DROP_AFTER_S
        self.under_way[a, b] += 1
        try:
            while True:
                await self._until(lambda: not self.links.is_cut(a, b), deadline=deadline)
                await asyncio.sleep(self.links.travel_ms((a, b)) / 1000)
                if not self.links.is_cut(a, b):
                    return
        finally:
            self.under_way[a, b] -= 1

    def alive(self, region: str) -> None:
        """Raises: Dropped if `region` is dead: there is nobody to answer."""
        if self.faults.is_killed(region):
            raise Dropped

    async def until_alive(self, region: str) -> None:
        """Wait until `region` is not dead, however long that takes."""
        while self.faults.is_killed(region):
            await self._changed.wait()

    async def drag(self, region: str) -> None:
        """Take the time that everything takes longer in a slow region."""
        if slow_ms := self.faults.slow_ms(region):
            await asyncio.sleep(slow_ms / 1000)

    def fate(self, caller: str | None, region: str) -> Fate:
        """What becomes of a call this time; calls from outside cross no link."""
        if caller is None or caller == region:
            return Fate.ARRIVES
        return self.faults.fate((caller, region))

    def fate_of_agreement(self, region: str, members: Collection[str]) -> Fate:
        """What becomes of a region's call to the member that it needs for a majority."""
        return self.faults.fate((region, self.links.nearest(region, members=members)))

    async def majority_ms(self, region: str, members: Collection[str], *, within_s: float) -> float:
        """The round trip to a majority of some regions, waiting some time for there to be one.

        Raises: Dropped if `region` stays cut off.
        """
        deadline = asyncio.get_running_loop().time() + within_s

        def majority_ms() -> float | None:
            return self.links.majority_round_trip_ms(region, members=members)

        await self._until(lambda: majority_ms() is not None, deadline=deadline)
        round_trip_ms = majority_ms()
        assert round_trip_ms is not None
        return round_trip_ms

    async def _until(self, holds: Callable[[], bool], *, deadline: float) -> None:
        while not holds():
            changed = self._changed
            try:
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
            except TimeoutError as error:
                raise Dropped from error
