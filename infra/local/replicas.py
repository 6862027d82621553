"""Copies the journal of one global table to every region's replica, when it is due there.

Reads the stream of the journal's table, woken after each write, and puts the
images into the replicas in the journal's order. Images are passed on as the
JSON they are, never interpreted, so every attribute survives as it is. A copy
that fails is made again: writing the same image twice changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientError

from infra.local.engine_calls import EngineCalls, EngineError
from infra.local.replication import StrongReplication
from infra.local.table_calls import Key, key_of

# How soon a write is seen whose doorbell did not ring, for example because its
# caller had gone; and how soon anything that failed is tried again.
_POLL_S = 1.0
_RETRY_S = 0.2
# DynamoDB's own limits of a batch and of a page of stream records.
_BATCH_ITEMS = 25
_PAGE_RECORDS = 1000
# Writers remembered; each write is forgotten once its record has been read.
_REMEMBERED_WRITERS = 10_000

_logger = logging.getLogger("wan.replicas")

FAILURES = (ClientError, TimeoutError, EngineError)


@dataclass(frozen=True, kw_only=True)
class Journal:
    """Where the one true copy of every global table is."""

    url: str
    region: str


@dataclass(kw_only=True)
class Lag:
    """How replication from one region to another is doing."""

    last_ms: float | None = None
    pending: int = 0


class Writers:
    """Which region a record in the journal came from, which its stream does not say."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[Key, list[str]] = OrderedDict()

    def enter(self, key: Key, region: str) -> None:
        """Remember that a write of `key` is on its way from `region`."""
        self._by_key.setdefault(key, []).append(region)
        while len(self._by_key) > _REMEMBERED_WRITERS:
            self._by_key.popitem(last=False)

    def leave(self, key: Key, region: str) -> None:
        """Forget a write that failed."""
        regions = self._by_key.get(key, [])
        if region in regions:
            regions.remove(region)
        if not regions:
            self._by_key.pop(key, None)

    def take(self, key: Key) -> str | None:
        """The region whose write of `key` is the next in the journal, if known."""
        regions = self._by_key.get(key)
        if not regions:
            return None
        region = regions.pop(0)
        if not regions:
            del self._by_key[key]
        return region


class ReplicatedTable:
    """One global table: its journal, its replicas and what is under way between them."""

    def __init__(
        self,
        name: str,
        rules: StrongReplication,
        *,
        journal: Journal,
        engines: Mapping[str, str],
        key_names: tuple[str, ...],
        stream_arn: str,
        witness: str | None,
        calls: EngineCalls,
        now_ms: Callable[[], float],
    ) -> None:
        """Take a table whose journal and replicas are there.

        Args:
            engines: those of the regions that have a replica.
            stream_arn: the stream of the journal's table.
            witness: the region that has a witness, if there is one.
        """
        self.name = name
        self.rules = rules
        self.witness = witness
        self.stream_arn = stream_arn
        self.writers = Writers()
        self.key_names = key_names
        self._journal = journal
        self._engines = engines
        self._calls = calls
        self._now_ms = now_ms
        # By replica, the sequence number of the last record that its stream shows.
        self._shown: dict[str, str] = {}
        self._images: dict[int, tuple[dict[str, Any], int]] = {}
        self._last_ms: dict[tuple[str, str], float] = {}
        self._read = 0
        self._doorbell = asyncio.Event()
        self._changed = {region: asyncio.Event() for region in engines}

    async def run(self) -> None:
        """Replicate until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._read_journal())
            for region in self._engines:
                tasks.create_task(self._deliver(region))

    @property
    def replicas(self) -> tuple[str, ...]:
        """The regions that can be read and written."""
        return tuple(self._engines)

    def shown(self, region: str) -> str | None:
        """The sequence number up to which a replica's stream shows the journal's, if at all."""
        for position in self.rules.arrive(region, now_ms=self._now_ms()):
            self._shown[region] = self._images[position][0]["SequenceNumber"]
        return self._shown.get(region)

    def ring(self) -> None:
        """Say that the journal has a new record."""
        self._doorbell.set()

    def links_changed(self) -> None:
        """Look again at what is held back."""
        self.rules.links_changed(now_ms=self._now_ms())
        self._wake()

    def lags(self) -> dict[tuple[str, str], Lag]:
        """Replication by (origin, region), for every pair of different regions."""
        lags = {
            (origin, region): Lag(last_ms=self._last_ms.get((origin, region)))
            for origin in self._engines
            for region in self._engines
            if origin != region
        }
        for region in self._engines:
            for origin, count in self.rules.pending(region).items():
                if origin != region and origin in self._engines:
                    lags[origin, region].pending = count
        return lags

    def _wake(self) -> None:
        for changed in self._changed.values():
            changed.set()

    async def _read_journal(self) -> None:
        iterator: str | None = None
        last_sequence: str | None = None
        while True:
            try:
                if iterator is None:
                    iterator = await self._open_stream(after=last_sequence)
                page = await self._call_journal(
                    "DynamoDBStreams_20120810.GetRecords",
                    {"ShardIterator": iterator, "Limit": _PAGE_RECORDS},
                )
            except FAILURES as error:
                _logger.warning("the journal of %s cannot be read yet: %s", self.name, error)
                iterator = None
                await asyncio.sleep(_RETRY_S)
                continue
            iterator = page.get("NextShardIterator")
            for record in page["Records"]:
                self._take(record["dynamodb"])
                last_sequence = record["dynamodb"]["SequenceNumber"]
            if page["Records"]:
                self._wake()
            else:
                await wait_for(self._doorbell, _POLL_S)

    async def _open_stream(self, *, after: str | None) -> str:
        stream = self.stream_arn
        shards = await self._call_journal(
            "DynamoDBStreams_20120810.DescribeStream", {"StreamArn": stream}
        )
        position = (
            {"ShardIteratorType": "TRIM_HORIZON"}
            if after is None
            else {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
        )
        opened = await self._call_journal(
            "DynamoDBStreams_20120810.GetShardIterator",
            {
                "StreamArn": stream,
                "ShardId": shards["StreamDescription"]["Shards"][0]["ShardId"],
                **position,
            },
        )
        return str(opened["ShardIterator"])

    def _take(self, change: dict[str, Any]) -> None:
        self._read += 1
        key = key_of(change["Keys"], self.key_names)
        origin = self.writers.take(key) or self._journal.region
        self._images[self._read] = (change, len(self._engines))
        self.rules.committed(self._read, origin=origin, now_ms=self._now_ms())

    async def _deliver(self, region: str) -> None:
        changed = self._changed[region]
        while True:
            self.shown(region)
            wait_ms = self.rules.next_ms(region) - self._now_ms()
            if wait_ms > 0:
                await wait_for(changed, None if math.isinf(wait_ms) else wait_ms / 1000)
                continue
            batch = self._next_batch(region)
            if not batch:
                continue
            try:
                await self._write(region, [self._images[position][0] for position in batch])
            except FAILURES as error:
                _logger.warning("%s cannot take a copy of %s yet: %s", region, self.name, error)
                await asyncio.sleep(_RETRY_S)
                continue
            for position in batch:
                self._delivered(region, position)

    def _next_batch(self, region: str) -> list[int]:
        """The first records that are due, as many as one batch takes; no key twice."""
        batch: list[int] = []
        keys: set[Key] = set()
        due = self.rules.readable(region, now_ms=self._now_ms(), limit=_BATCH_ITEMS)
        for position in due:
            key = key_of(self._images[position][0]["Keys"], self.key_names)
            if key in keys:
                break
            keys.add(key)
            batch.append(position)
        return batch

    async def _write(self, region: str, changes: list[dict[str, Any]]) -> None:
        requests = [
            {"PutRequest": {"Item": change["NewImage"]}}
            if "NewImage" in change
            else {"DeleteRequest": {"Key": change["Keys"]}}
            for change in changes
        ]
        answer = await self._calls.json_api(
            self._engines[region],
            "DynamoDB_20120810.BatchWriteItem",
            region=region,
            request={"RequestItems": {self.name: requests}},
        )
        if answer.get("UnprocessedItems"):
            raise EngineError("not everything was taken")

    def _delivered(self, region: str, position: int) -> None:
        origin, took_ms = self.rules.applied(region, position)
        self._last_ms[origin, region] = round(took_ms, 1)
        change, left = self._images[position]
        if left == 1:
            del self._images[position]
        else:
            self._images[position] = (change, left - 1)

    async def _call_journal(self, target: str, request: dict[str, Any]) -> Any:
        return await self._calls.json_api(
            self._journal.url, target, region=self._journal.region, request=request
        )


async def wait_for(event: asyncio.Event, timeout_s: float | None) -> None:
    """Wait until an event is set, or for some time; then clear it."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass
    event.clear()
