"""DynamoDB calls on global tables, with the semantics of strong consistency.

Writes and consistent reads go to the journal and take the round trip to a
majority; eventual reads are served by the region's own replica; transactions
are refused, and so is a write of an item that another region is writing. A
region that reaches no other gets InternalServerError for writes and consistent
reads. If the cut comes while a write is waiting for its answer, the write may
be in the journal all the same: as on AWS, its outcome is unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from infra.local.engine_calls import Answer, EngineCalls, authorization
from infra.local.journal import Journal
from infra.local.network import Dropped, Network
from infra.local.replicas import ReplicatedTable
from infra.local.table_answers import internal_error, invalid, refused
from infra.local.table_calls import TARGET_PREFIX, TRANSACTIONS, Key, TableCall, key_of

# How long a call waits for its region to reach another before it is refused.
REFUSE_AFTER_S = 1.0

_Keys = Mapping[ReplicatedTable, list[Key]]


class StrongTables:
    """Serves the calls on strongly consistent tables; `tables` may gain and lose some."""

    def __init__(
        self,
        tables: Mapping[str, ReplicatedTable],
        *,
        journal: Journal,
        engines: Mapping[str, str],
        network: Network,
        calls: EngineCalls,
    ) -> None:
        self._tables = tables
        self._journal = journal
        self._engines = engines
        self._network = network
        self._calls = calls

    async def answer(self, call: TableCall) -> Answer:
        """Serve a call whose global tables are all strong ones."""
        if call.operation in TRANSACTIONS:
            return invalid(
                "Transactional operations are not supported on global tables with "
                "multi-Region strong consistency"
            )
        if any(call.region not in self._tables[name].replicas for name in call.tables):
            # A witness has nothing to read or write; its engine says that there is no table.
            return await self._to_replica(call)
        if call.operation == "BatchWriteItem" or call.writes:
            return await self._write(call)
        if call.operation == "BatchGetItem" or call.reads_consistently:
            return await self._agreed(call, lambda: self._to_journal(call))
        return await self._to_replica(call)

    async def _write(self, call: TableCall) -> Answer:
        """Write to the journal, unless another region is writing the same item."""
        keys: dict[ReplicatedTable, list[Key]] = {}
        for named, attributes in call.attributes_written():
            table = self._tables[named.rpartition(":table/")[2]]
            keys.setdefault(table, []).append(key_of(attributes, table.key_names))
        begun: dict[ReplicatedTable, list[Key]] = {}

        async def put() -> Answer:
            for table, written in keys.items():
                if not table.rules.begin_write(written, call.region):
                    return refused(
                        "ReplicatedWriteConflictException",
                        "The request was rejected because one or more items in the request "
                        "are being modified by a request in another Region.",
                        HTTPStatus.CONFLICT,
                    )
                begun[table] = written
            return await self._to_journal_as_writer(call, keys)

        try:
            return await self._agreed(call, put)
        finally:
            for table, written in begun.items():
                table.rules.end_write(written, call.region)

    async def _to_journal_as_writer(self, call: TableCall, keys: _Keys) -> Answer:
        """Write, and let the tables know whose record it is that the journal shows next."""
        writes = [
            (table, table.writers.enter(key, call.region))
            for table, written in keys.items()
            for key in written
        ]
        try:
            return await self._to_journal(call)
        finally:
            for table, write in writes:
                table.writers.over(write)
                table.ring()

    async def _agreed(self, call: TableCall, act: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do something in the middle of the round trip to a majority."""
        try:
            await self._half_a_round_trip(call)
            answer = await act()
            await self._half_a_round_trip(call)
        except Dropped:
            return internal_error()
        return answer

    async def _half_a_round_trip(self, call: TableCall) -> None:
        """Raises: Dropped if the called region reaches no majority, before or after."""
        round_trip_ms = await self._majority_ms(call)
        if call.caller is not None:
            await asyncio.sleep(round_trip_ms / 2000)
            await self._majority_ms(call)

    async def _majority_ms(self, call: TableCall) -> float:
        """The round trip to a majority of each table's members. Raises: Dropped."""
        return max(
            [
                await self._network.majority_ms(
                    call.region, self._tables[name].rules.members, within_s=REFUSE_AFTER_S
                )
                for name in call.tables
            ]
        )

    async def _to_journal(self, call: TableCall) -> Answer:
        return await self._send(call, self._journal.url, region=self._journal.region)

    async def _to_replica(self, call: TableCall) -> Answer:
        return await self._send(call, self._engines[call.region], region=call.region)

    async def _send(self, call: TableCall, url: str, *, region: str) -> Answer:
        return await self._calls.send(
            "POST",
            f"{url}/",
            headers={
                "X-Amz-Target": f"{TARGET_PREFIX}{call.operation}",
                "Content-Type": "application/x-amz-json-1.0",
                "Authorization": authorization(region=region, service="dynamodb"),
            },
            body=call.body,
        )
