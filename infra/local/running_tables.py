"""The global tables that replicate now: begun once their replicas are there, and ended again.

Guarantees that a table which is begun replicates until it is ended or everything is. What is
made or deleted for it elsewhere is `table_control`'s business.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from typing import Any

from infra.local.engine_calls import EngineCalls
from infra.local.eventual_replicas import EventualTable
from infra.local.journal import Journal
from infra.local.network import Network
from infra.local.replicas import ReplicatedTable
from infra.local.replication import EventualReplication, StrongReplication
from infra.local.table_definitions import Members

# How long a change of an eventual table lies before it is sent, at most: "typically within a
# second" is how long DynamoDB says that replication takes.
PICKUP_MS = 300.0
# How long, at most, an eventual read of a strong table lags behind its stream.
READ_LAG_MS = 20.0


class RunningTables:
    """Keeps `strong` and `eventual` as the tables are."""

    def __init__(
        self,
        strong: dict[str, ReplicatedTable],
        eventual: dict[str, EventualTable],
        *,
        journal: Journal,
        engines: Mapping[str, str],
        network: Network,
        calls: EngineCalls,
        realistic: bool,
    ) -> None:
        """Args: realistic: whether replication takes its time beyond the way itself."""
        self._strong = strong
        self._eventual = eventual
        self._journal = journal
        self._engines = engines
        self._network = network
        self._calls = calls
        self._realistic = realistic
        self._tasks = asyncio.TaskGroup()
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Let the tables replicate until cancelled."""
        async with self._tasks:
            await asyncio.Event().wait()

    def begin_eventual(self, description: Mapping[str, Any], *, first: str) -> EventualTable:
        """Let a table of one replica be an eventual one; others are added to what is returned."""
        name = description["TableName"]
        rules = EventualReplication(
            self._network.links,
            replicas=[first],
            pickup_ms=PICKUP_MS if self._realistic else 0.0,
            chance=_chance_of(name),
        )
        table = EventualTable(
            name,
            rules,
            key_names=_key_names_of(description),
            engines=self._engines,
            calls=self._calls,
            now_ms=self._network.now_ms,
            watch=self._network.watch,
        )
        self._eventual[name] = table
        self._running[name] = self._tasks.create_task(table.run())
        return table

    def begin_strong(
        self, description: Mapping[str, Any], members: Members, *, stream_arn: str
    ) -> None:
        """Let a table whose replicas and journal are there be a strong one.

        Args:
            stream_arn: the stream of the journal's table.
        """
        name = description["TableName"]
        rules = StrongReplication(
            self._network.links,
            replicas=members.replicas,
            witness=members.witness,
            read_lag_ms=READ_LAG_MS if self._realistic else 0.0,
            chance=_chance_of(name),
        )
        table = ReplicatedTable(
            name,
            rules,
            journal=self._journal,
            engines={region: self._engines[region] for region in members.replicas},
            key_names=_key_names_of(description),
            stream_arn=stream_arn,
            witness=members.witness,
            calls=self._calls,
            now_ms=self._network.now_ms,
            watch=self._network.watch,
        )
        self._strong[name] = table
        self._running[name] = self._tasks.create_task(table.run())

    def end(self, name: str) -> None:
        """Let a table be no global one any more, if it is one."""
        self._strong.pop(name, None)
        self._eventual.pop(name, None)
        if (running := self._running.pop(name, None)) is not None:
            running.cancel()

    def members(self, name: str, region: str) -> Members:
        """Who takes part in a table; of one that is not global, the region alone."""
        if (strong := self._strong.get(name)) is not None:
            return Members(replicas=strong.replicas, witness=strong.witness, mode="STRONG")
        if (eventual := self._eventual.get(name)) is not None:
            return Members(replicas=eventual.replicas, mode="EVENTUAL")
        return Members(replicas=(region,))


def _key_names_of(description: Mapping[str, Any]) -> tuple[str, ...]:
    by_kind = {key["KeyType"]: key["AttributeName"] for key in description["KeySchema"]}
    return tuple(by_kind[kind] for kind in ("HASH", "RANGE") if kind in by_kind)


def _chance_of(name: str) -> random.Random:
    return random.Random(name)  # noqa: S311 - delays, nothing secret
