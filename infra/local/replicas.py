"""Copies the journal of one global table to every region's replica, when it is due there.

Reads the stream of the journal's table, woken after each write, and puts the
images into the replicas in the journal's order. Images are passed on as the
JSON they are, never interpreted, so every attribute survives as it is. A copy
that fails is made again: writing the same image twice changes nothing. Keeps no more
than some thousand images, however far behind a replica is: the journal has them.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import ClientError

from infra.local.engine_calls import EngineCalls, EngineError
from infra.local.journal import PAGE_RECORDS, Change, Journal, JournalStream
from infra.local.replication import StrongReplication
from infra.local.table_calls import Key, key_of
from infra.local.watching import Watch
from infra.local.writers import Write, Writers

# How soon a write is seen whose doorbell did not ring, for example because its
# caller had gone; and how soon anything that failed is tried again.
_POLL_S = 1.0
_RETRY_S = 0.2
# DynamoDB's own limit of a batch.
_BATCH_ITEMS = 25
# Of how many records a table keeps what they say; the journal has what is let go.
KEPT_CHANGES = 5_000

_logger = logging.getLogger("wan.replicas")

FAILURES = (ClientError, TimeoutError, EngineError)


@dataclass(kw_only=True)
class Lag:
    """How replication from one region to another is doing."""

    last_ms: float | None = None
    pending: int = 0


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
        watch: Watch,
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
        self._home = journal.region
        self._stream = JournalStream(stream_arn, journal=journal, calls=calls)
        self._engines = engines
        self._calls = calls
        self._now_ms = now_ms
        self._watch = watch
        # By replica, the sequence number of the last record that its stream shows.
        self._shown: dict[str, str] = {}
        # By position: the sequence number, and how many replicas have still to show it.
        self._records: dict[int, tuple[str, int]] = {}
        self._changes: OrderedDict[int, Change] = OrderedDict()
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
            self._shown[region], _ = self._records[position]
            self._watch.arrived(self.name, self._changes.get(position), region=region)
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
        over: list[Write] = []
        while True:
            over += self.writers.take_over()
            try:
                changes = await self._stream.following()
            except FAILURES as error:
                _logger.warning("the journal of %s cannot be read yet: %s", self.name, error)
                await asyncio.sleep(_RETRY_S)
                continue
            for change in changes:
                self._take(change)
            if len(changes) < PAGE_RECORDS:
                # All that they made, if they made anything, has been read by now.
                self.writers.forget(over)
                over.clear()
            if changes:
                self._wake()
            else:
                await wait_for(self._doorbell, _POLL_S)

    def _take(self, change: Change) -> None:
        self._read += 1
        key = key_of(change["Keys"], self.key_names)
        origin = self.writers.take(key) or self._home
        self._records[self._read] = (change["SequenceNumber"], len(self._engines))
        self._keep(self._read, change)
        self.rules.committed(self._read, origin=origin, now_ms=self._now_ms())
        self._watch.committed(self.name, change, origin=origin)

    def _keep(self, position: int, change: Change) -> None:
        """Keep what a record says; if that is too much, let go what has been kept longest."""
        self._changes[position] = change
        while len(self._changes) > KEPT_CHANGES:
            self._changes.popitem(last=False)

    async def _recall(self, position: int) -> None:
        """Read what some records say once more. Raises: one of `FAILURES`."""
        number, _ = self._records[position]
        changes = await self._stream.again(number)
        if not changes:
            raise EngineError(f"the journal of {self.name} has let go of record {number}")
        for behind, change in enumerate(changes):
            self._keep(position + behind, change)

    async def _deliver(self, region: str) -> None:
        changed = self._changed[region]
        while True:
            self.shown(region)
            wait_ms = self.rules.next_ms(region) - self._now_ms()
            if wait_ms > 0:
                await wait_for(changed, None if math.isinf(wait_ms) else wait_ms / 1000)
                continue
            try:
                batch = await self._next_batch(region)
                await self._write(region, list(batch.values()))
            except FAILURES as error:
                _logger.warning("%s cannot take a copy of %s yet: %s", region, self.name, error)
                await asyncio.sleep(_RETRY_S)
                continue
            for position in batch:
                self._delivered(region, position)

    async def _next_batch(self, region: str) -> dict[int, Change]:
        """The first records that are due, as many as one batch takes; no key twice.

        Raises: one of `FAILURES`.
        """
        batch: dict[int, Change] = {}
        keys: set[Key] = set()
        due = self.rules.readable(region, now_ms=self._now_ms(), limit=_BATCH_ITEMS)
        for position in due:
            if position not in self._changes:
                await self._recall(position)
            change = self._changes[position]
            key = key_of(change["Keys"], self.key_names)
            if key in keys:
                break
            keys.add(key)
            batch[position] = change
        return batch

    async def _write(self, region: str, changes: list[Change]) -> None:
        if not changes:
            return
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
        number, left = self._records[position]
        if left == 1:
            del self._records[position]
            self._changes.pop(position, None)
        else:
            self._records[position] = (number, left - 1)


async def wait_for(event: asyncio.Event, timeout_s: float | None) -> None:
    """Wait until an event is set, or for some time; then clear it."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass
    event.clear()
