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
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import orjson
from multidict import CIMultiDict

from infra.local.engine_calls import Answer, EngineCalls, authorization
from infra.local.network import Dropped, Network
from infra.local.replicas import Journal, Key, ReplicatedTable, key_of
from infra.local.table_calls import (
    BATCHES,
    STATEMENTS,
    TARGET_PREFIX,
    TRANSACTIONS,
    TableCall,
    read_call,
)

# How long a call waits for its region to reach another before it is refused.
REFUSE_AFTER_S = 1.0

_Keys = Sequence[tuple[ReplicatedTable, Key]]


class StrongTables:
    """Serves the calls on a deployment's global tables."""

    def __init__(
        self,
        tables: Collection[ReplicatedTable],
        *,
        journal: Journal,
        engines: Mapping[str, str],
        network: Network,
        calls: EngineCalls,
    ) -> None:
        self._tables = {table.name: table for table in tables}
        self._needles = [table.name.encode() for table in tables]
        self._journal = journal
        self._engines = engines
        self._network = network
        self._calls = calls
        # The regions that are writing an item: in the journal, not acknowledged yet.
        self._being_written: dict[tuple[str, Key], list[str]] = {}

    def recognise(
        self, *, target: str, body: bytes, region: str, caller: str | None
    ) -> TableCall | None:
        """The call, if it is one on a global table; anything else is left to the engines."""
        if not target.startswith(TARGET_PREFIX):
            return None
        if not any(name in body for name in self._needles):
            return None
        return read_call(
            operation=target.removeprefix(TARGET_PREFIX),
            body=body,
            known=self._known,
            region=region,
            caller=caller,
        )

    async def answer(self, call: TableCall) -> Answer:
        """Serve a recognised call."""
        if call.operation in TRANSACTIONS:
            return _error(
                HTTPStatus.BAD_REQUEST,
                "com.amazon.coral.validate#ValidationException",
                "Transactional operations are not supported on global tables with "
                "multi-Region strong consistency",
            )
        if call.operation in STATEMENTS and call.writes:
            # The engine gives such a write no stream record, so it would reach no replica.
            return _error(
                HTTPStatus.BAD_REQUEST,
                "com.amazon.coral.validate#ValidationException",
                "PartiQL statements that write to a global table are not available locally",
            )
        if call.operation in BATCHES:
            return await self._batch(call)
        if call.writes:
            return await self._write(call)
        if call.reads_consistently:
            return await self._agreed(call, lambda: self._to_journal(call))
        return await self._to_replica(call)

    def _known(self, named: str) -> str | None:
        """The global table that is meant by a name or an ARN."""
        name = named.rpartition(":table/")[2]
        return name if name in self._tables else None

    async def _write(self, call: TableCall) -> Answer:
        """Write to the journal, unless another region is writing the same item."""
        keys = [
            (table, key_of(attributes, table.key_names))
            for name, attributes in call.attributes_written()
            for table in [self._tables[name]]
        ]
        begun = False

        async def put() -> Answer:
            nonlocal begun
            if self._is_written_elsewhere(keys, call.region):
                return _error(
                    HTTPStatus.CONFLICT,
                    "com.amazonaws.dynamodb.v20120810#ReplicatedWriteConflictException",
                    "The request was rejected because one or more items in the request "
                    "are being modified by a request in another Region.",
                )
            begun = True
            for table, key in keys:
                self._being_written.setdefault((table.name, key), []).append(call.region)
                table.writers.enter(key, call.region)
            answer = await self._to_journal(call)
            for table, key in keys:
                if not answer.ok:
                    table.writers.leave(key, call.region)
            for name in call.tables:
                self._tables[name].ring()
            return answer

        try:
            return await self._agreed(call, put)
        finally:
            if begun:
                self._end_write(keys, call.region)

    def _is_written_elsewhere(self, keys: _Keys, region: str) -> bool:
        return any(
            other != region
            for table, key in keys
            for other in self._being_written.get((table.name, key), ())
        )

    def _end_write(self, keys: _Keys, region: str) -> None:
        for table, key in keys:
            writing = self._being_written[table.name, key]
            writing.remove(region)
            if not writing:
                del self._being_written[table.name, key]

    async def _agreed(self, call: TableCall, act: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do something in the middle of the round trip to a majority."""
        try:
            await self._half_a_round_trip(call)
            answer = await act()
            await self._half_a_round_trip(call)
        except Dropped:
            return _error(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "com.amazonaws.dynamodb.v20120810#InternalServerError",
                "Internal server error",
            )
        return answer

    async def _half_a_round_trip(self, call: TableCall) -> None:
        """Raises: Dropped if the called region reaches no majority, before or after."""
        round_trip_ms = await self._network.majority_ms(call.region, within_s=REFUSE_AFTER_S)
        if call.caller is not None:
            await asyncio.sleep(round_trip_ms / 2000)
            await self._network.majority_ms(call.region, within_s=REFUSE_AFTER_S)

    async def _batch(self, call: TableCall) -> Answer:
        """Split a batch into what the journal serves and what the region's engine does."""
        strong, local = {}, {}
        for named, wanted in call.request["RequestItems"].items():
            name = self._known(named)
            if name and (call.operation == "BatchWriteItem" or wanted.get("ConsistentRead")):
                strong[name] = wanted
            else:
                local[named] = wanted
        parts: list[Awaitable[Answer]] = []
        if strong:
            part = _part_of(call, strong)
            if call.operation == "BatchWriteItem":
                parts.append(self._write(part))
            else:
                parts.append(self._agreed(part, lambda: self._to_journal(part)))
        if local:
            parts.append(self._to_replica(_part_of(call, local)))
        return _merge(await asyncio.gather(*parts))

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


def _part_of(call: TableCall, items: Mapping[str, Any]) -> TableCall:
    request = {**call.request, "RequestItems": items}
    tables = call.tables & items.keys()
    return replace(call, request=request, tables=tables, body=orjson.dumps(request))


def _merge(answers: list[Answer]) -> Answer:
    """One answer of a batch from its parts; the first error wins."""
    failed = next((answer for answer in answers if not answer.ok), None)
    if failed is not None or len(answers) == 1:
        return failed or answers[0]
    merged: dict[str, Any] = {}
    for answer in answers:
        for name, value in answer.json().items():
            if isinstance(value, list):
                merged.setdefault(name, []).extend(value)
            else:
                merged.setdefault(name, {}).update(value)
    return _json(HTTPStatus.OK, merged)


def _error(status: HTTPStatus, kind: str, message: str) -> Answer:
    return _json(status, {"__type": kind, "message": message})


def _json(status: HTTPStatus, content: Mapping[str, Any]) -> Answer:
    headers: CIMultiDict[str] = CIMultiDict({"Content-Type": "application/x-amz-json-1.0"})
    return Answer(status=status, headers=headers, body=orjson.dumps(content))
