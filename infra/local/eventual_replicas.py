"""The replicas of one eventually consistent table, and the changes under way between them.

Carries each change to the other replicas when the rules say that it is due, and puts it there
if it is the newest of its item; the replica's own engine then shows it in its stream as what
it was there: INSERT, MODIFY with the loser as old image, REMOVE. A copy that fails is made
again: writing the same image twice changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from infra.local.engine_calls import EngineCalls
from infra.local.replicas import FAILURES, Lag, wait_for
from infra.local.replication import Arrival, EventualReplication
from infra.local.table_calls import TARGET_PREFIX, Key, key_of
from infra.local.watching import Watch

RETRY_S = 0.2
# DynamoDB's own limit of items read together.
_READ_ITEMS = 100

_logger = logging.getLogger("wan.replicas")
_Item = Mapping[str, Any]


class EventualTable:
    """One global table; its replicas by region."""

    def __init__(
        self,
        name: str,
        rules: EventualReplication,
        *,
        key_names: tuple[str, ...],
        engines: Mapping[str, str],
        calls: EngineCalls,
        now_ms: Callable[[], float],
        watch: Watch,
    ) -> None:
        """Args: engines: those of all regions that the table can have a replica in."""
        self.name = name
        self.rules = rules
        self.key_names = key_names
        self._engines = engines
        self._calls = calls
        self._now_ms = now_ms
        self._watch = watch
        # An item's lock in a region, and how many hold it or wait for it.
        self._locks: dict[tuple[str, Key], tuple[asyncio.Lock, int]] = {}
        self._changed: dict[str, asyncio.Event] = {}
        self._carriers: dict[str, asyncio.Task[None]] = {}
        self._last_ms: dict[tuple[str, str], float] = {}

    @property
    def replicas(self) -> tuple[str, ...]:
        """The regions that can be read and written."""
        return self.rules.replicas

    async def run(self) -> None:
        """Carry changes until cancelled, also to replicas that are added meanwhile."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    for region in self.replicas:
                        if region not in self._carriers:
                            self._carriers[region] = tasks.create_task(self._carry(region))
                    await wait_for(self._event("new replica"), None)
        finally:
            self._carriers.clear()

    def wrote(self, region: str, attributes: _Item, image: _Item | None) -> None:
        """Tell the rules what a region's write has made of an item, under the item's lock."""
        key = {name: attributes[name] for name in self.key_names}
        self.rules.wrote(region, key_of(key, self.key_names), (key, image), now_ms=self._now_ms())
        self._watch.committed(self.name, {"NewImage": image}, origin=region)
        self._wake()

    def links_changed(self) -> None:
        """Look again at what is held back."""
        self.rules.links_changed(now_ms=self._now_ms())
        self._wake()

    def lags(self) -> dict[tuple[str, str], Lag]:
        """Replication by (origin, region), for every pair of different regions."""
        lags = {}
        for region in self.replicas:
            pending = self.rules.pending(region)
            for origin in self.replicas:
                if origin != region:
                    last_ms = self._last_ms.get((origin, region))
                    lags[origin, region] = Lag(last_ms=last_ms, pending=pending[origin])
        return lags

    @asynccontextmanager
    async def lock(self, region: str, key: Key) -> AsyncIterator[None]:
        """Exclude every other write of an item in a region, copies included."""
        place = (region, key)
        lock, holders = self._locks.get(place) or (asyncio.Lock(), 0)
        self._locks[place] = (lock, holders + 1)
        try:
            async with lock:
                yield
        finally:
            lock, holders = self._locks[place]
            if holders == 1:
                del self._locks[place]
            else:
                self._locks[place] = (lock, holders - 1)

    async def read(self, region: str, keys: Sequence[_Item]) -> list[_Item]:
        """Items as a replica holds them.

        Raises: EngineError if there is no such table, or a key is not one of it; ClientError,
            TimeoutError if the replica does not answer.
        """
        found: list[_Item] = []
        left = list(keys)
        while left:
            wanted = {self.name: {"Keys": left[:_READ_ITEMS], "ConsistentRead": True}}
            page = await self._call(region, "BatchGetItem", {"RequestItems": wanted})
            found += page["Responses"].get(self.name, [])
            unread = page.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", [])
            left = unread + left[_READ_ITEMS:]
        return found

    async def add_replica(self, region: str, *, source: str) -> None:
        """Let a region whose table is there take part, and copy what another one holds to it.

        Changes go to it from now on. An item is copied only where the new replica has nothing
        newer, which is so wherever something newer is there or under way.
        """
        self.rules.add_replica(region, source=source, now_ms=self._now_ms())
        self._event("new replica").set()
        start: _Item | None = None
        while True:
            request = {"TableName": self.name, "ConsistentRead": True}
            if start is not None:
                request["ExclusiveStartKey"] = start
            page = await self._call(source, "Scan", request)
            for item in page["Items"]:
                await self._copy(item, source=source, to=region)
            start = page.get("LastEvaluatedKey")
            if start is None:
                return

    def remove_replica(self, region: str) -> None:
        """Let a region take no part any more."""
        self.rules.remove_replica(region)
        if (carrier := self._carriers.pop(region, None)) is not None:
            carrier.cancel()

    async def _copy(self, seen: _Item, *, source: str, to: str) -> None:
        names = {name: seen[name] for name in self.key_names}
        key = key_of(seen, self.key_names)
        async with self.lock(source, key), self.lock(to, key):
            for item in await self.read(source, [names]):
                if self.rules.copy(key, source=source, to=to):
                    await self._put(to, names, item)

    async def _carry(self, region: str) -> None:
        changed = self._event(region)
        while True:
            wait_ms = self.rules.next_ms(region) - self._now_ms()
            if wait_ms > 0:
                await wait_for(changed, None if math.isinf(wait_ms) else wait_ms / 1000)
                continue
            arrival = self.rules.due(region, now_ms=self._now_ms())
            if arrival is not None:
                await self._take(region, arrival)

    async def _take(self, region: str, arrival: Arrival) -> None:
        key, image = self._change_of(arrival)
        try:
            async with self.lock(region, key_of(key, self.key_names)):
                if self.rules.wins(region, arrival):
                    await self._put(region, key, image)
        finally:
            # Also where the replica is removed meanwhile: nothing of it is on its way any more.
            self.rules.arrived(region, arrival)
        self._watch.arrived(self.name, {"Keys": key}, region=region)
        self._last_ms[arrival.origin, region] = round(self._now_ms() - arrival.written_ms, 1)

    @staticmethod
    def _change_of(arrival: Arrival) -> tuple[_Item, _Item | None]:
        """The key and the new image, which `wrote` gave to the rules as one."""
        change: tuple[_Item, _Item | None] | None = arrival.image
        assert change is not None, "the rules carry what they were given"
        return change

    async def _put(self, region: str, key: _Item, image: _Item | None) -> None:
        while True:
            try:
                if image is None:
                    request = {"TableName": self.name, "Key": key}
                    await self._call(region, "DeleteItem", request)
                else:
                    await self._call(region, "PutItem", {"TableName": self.name, "Item": image})
            except FAILURES as error:
                _logger.warning("%s cannot take a copy of %s yet: %s", region, self.name, error)
                await asyncio.sleep(RETRY_S)
            else:
                return

    def _event(self, name: str) -> asyncio.Event:
        return self._changed.setdefault(name, asyncio.Event())

    def _wake(self) -> None:
        for region in self.replicas:
            self._event(region).set()

    async def _call(self, region: str, operation: str, request: _Item) -> Any:
        return await self._calls.json_api(
            self._engines[region], f"{TARGET_PREFIX}{operation}", region=region, request=request
        )
