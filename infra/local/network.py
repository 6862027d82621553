"""Time and the network: calls between regions take their way, or do not arrive.

What `replication` says about links, done with a real clock. A call over a cut
link waits, as its packets would be sent again, and goes on if the link is mended
in time; otherwise it is dropped without an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from infra.local.replication import Links

# How long a caller's connection stays open without an answer over a cut link.
DROP_AFTER_S = 5.0


class Dropped(Exception):
    """The call, or its answer, did not get through: the connection ends without a word."""


class Network:
    """The links, as a running WAN uses them."""

    def __init__(self, links: Links) -> None:
        self.links = links
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
        while True:
            await self._until(lambda: not self.links.is_cut(a, b), deadline=deadline)
            await asyncio.sleep(self.links.one_way_ms(a, b) / 1000)
            if not self.links.is_cut(a, b):
                return

    async def majority_ms(self, region: str, *, within_s: float) -> float:
        """The round trip to a majority, waiting some time for there to be one.

        Raises: Dropped if `region` stays cut off.
        """
        deadline = asyncio.get_running_loop().time() + within_s
        await self._until(
            lambda: self.links.majority_round_trip_ms(region) is not None, deadline=deadline
        )
        round_trip_ms = self.links.majority_round_trip_ms(region)
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
