"""DynamoDB calls on global tables, with the semantics of strong consistency.

Writes and consistent reads go to the journal and take the round trip to a
majority; eventual reads are served by the region's own replica; transactions
are refused. A region that reaches no other gets InternalServerError for writes
and consistent reads. If the cut comes while a write is waiting for its answer,
the write may be in the journal all the same: as on AWS, its outcome is unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from multidict import CIMultiDict

from infra.local.engine_calls import Answer, EngineCalls, authorization
from infra.local.network import Dropped, Network
from infra.local.replicas import Journal, Key, ReplicatedTable, key_of

# How long a call waits for its region to reach another before it is refused.
REFUSE_AFTER_S = 1.0

_SINGLE_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
_SINGLE_READS = frozenset({"GetItem", "Query", "Scan"})
_BATCHES = frozenset({"BatchGetItem", "BatchWriteItem"})
_TRANSACTIONS = frozenset({"TransactGetItems", "TransactWriteItems", "ExecuteTransaction"})
_STATEMENTS = frozenset({"ExecuteStatement", "BatchExecuteStatement"})
_PREFIX = "DynamoDB_20120810."


@dataclass(frozen=True, kw_only=True)
class TableCall:
    """A DynamoDB call of the data plane that has to do with a global table."""

    operation: str
    request: dict[str, Any]
    tables: frozenset[str]
    # The region that is called, and where it is called from (None: from outside).
    region: str
    caller: str | None
    headers: Mapping[str, str]
    body: bytes


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

    def recognise(
        self, *, body: bytes, headers: Mapping[str, str], region: str, caller: str | None
    ) -> TableCall | None:
        """The call, if it is one on a global table; anything else is left to the engines."""
        target = headers.get("X-Amz-Target", "")
        if not target.startswith(_PREFIX) or not any(name in body for name in self._needles):
            return None
        operation = target.removeprefix(_PREFIX)
        try:
            request = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
        tables = frozenset(
            name for named in _tables_named(operation, request) if (name := self._known(named))
        )
        if not tables:
            return None
        if ":" in request.get("TableName", ""):
            # An ARN names the region's replica; the journal knows the name only.
            request["TableName"] = self._known(request["TableName"])
            body = orjson.dumps(request)
        return TableCall(
            operation=operation,
            request=request,
            tables=tables,
            region=region,
            caller=caller,
            headers=headers,
            body=body,
        )

    async def answer(self, call: TableCall) -> Answer:
        """Serve a recognised call."""
        operation = call.operation
        if operation in _TRANSACTIONS:
            return _error(
                HTTPStatus.BAD_REQUEST,
                "com.amazon.coral.validate#ValidationException",
                "Transactional operations are not supported on global tables with "
                "multi-Region strong consistency",
            )
        if operation in _BATCHES:
            return await self._batch(call)
        if operation in _SINGLE_WRITES or (operation in _STATEMENTS and _writes(call)):
            return await self._write(call, self._keys_written(call))
        if any(part.get("ConsistentRead") for part in _parts(call)):
            return await self._agreed(call, lambda: self._to_journal(call, call.body))
        return await self._to_replica(call, call.body)

    def _known(self, named: str) -> str | None:
        """The global table that is meant by a name or an ARN."""
        name = named.rpartition(":table/")[2]
        return name if name in self._tables else None

    def _keys_written(self, call: TableCall) -> list[tuple[ReplicatedTable, Key]]:
        if call.operation not in _SINGLE_WRITES:
            return []
        (name,) = call.tables
        table = self._tables[name]
        attributes = call.request.get("Item") or call.request.get("Key") or {}
        return [(table, key_of(attributes, table.key_names))]

    async def _write(
        self, call: TableCall, keys: list[tuple[ReplicatedTable, Key]], body: bytes | None = None
    ) -> Answer:
        """Write to the journal, and see to it that the record's origin is known."""

        async def put() -> Answer:
            for table, key in keys:
                table.writers.enter(key, call.region)
            answer = await self._to_journal(call, call.body if body is None else body)
            if not answer.ok:
                for table, key in keys:
                    table.writers.leave(key, call.region)
            for name in call.tables:
                self._tables[name].ring()
            return answer

        return await self._agreed(call, put)

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
            body = orjson.dumps({**call.request, "RequestItems": strong})
            if call.operation == "BatchWriteItem":
                parts.append(self._write(call, self._keys_in_batch(strong), body))
            else:
                parts.append(self._agreed(call, lambda: self._to_journal(call, body)))
        if local:
            rest = orjson.dumps({**call.request, "RequestItems": local})
            parts.append(self._to_replica(call, rest))
        return _merge(await asyncio.gather(*parts))

    def _keys_in_batch(self, writes: Mapping[str, Any]) -> list[tuple[ReplicatedTable, Key]]:
        keys = []
        for name, requests in writes.items():
            table = self._tables[name]
            for request in requests:
                put, delete = request.get("PutRequest"), request.get("DeleteRequest")
                attributes = put["Item"] if put else (delete or {}).get("Key", {})
                keys.append((table, key_of(attributes, table.key_names)))
        return keys

    async def _to_journal(self, call: TableCall, body: bytes) -> Answer:
        return await self._send(call, self._journal.url, body, region=self._journal.region)

    async def _to_replica(self, call: TableCall, body: bytes) -> Answer:
        return await self._send(call, self._engines[call.region], body, region=call.region)

    async def _send(self, call: TableCall, url: str, body: bytes, *, region: str) -> Answer:
        return await self._calls.send(
            "POST",
            f"{url}/",
            headers={
                "X-Amz-Target": f"{_PREFIX}{call.operation}",
                "Content-Type": "application/x-amz-json-1.0",
                "Authorization": authorization(region=region, service="dynamodb"),
            },
            body=body,
        )


def _tables_named(operation: str, request: Mapping[str, Any]) -> Iterator[str]:
    """The tables that a call of the data plane names; none for any other call."""
    if operation in _SINGLE_WRITES | _SINGLE_READS:
        yield str(request.get("TableName", ""))
    elif operation in _BATCHES:
        yield from request.get("RequestItems", {})
    elif operation in {"TransactGetItems", "TransactWriteItems"}:
        for item in request.get("TransactItems", []):
            yield from (str(part.get("TableName", "")) for part in item.values())
    elif operation == "ExecuteTransaction":
        yield from _tables_in(request.get("TransactStatements", []))
    elif operation == "BatchExecuteStatement":
        yield from _tables_in(request.get("Statements", []))
    elif operation == "ExecuteStatement":
        yield from _tables_in([request])


def _tables_in(statements: list[Mapping[str, Any]]) -> Iterator[str]:
    """Every word of some PartiQL statements: one of them is the table's name."""
    for statement in statements:
        for word in str(statement.get("Statement", "")).split():
            yield word.strip("\"'();,").partition('"')[0]


def _writes(call: TableCall) -> bool:
    """Whether any PartiQL statement of a call writes."""
    return any(
        not str(statement.get("Statement", "")).lstrip().upper().startswith("SELECT")
        for statement in _parts(call)
    )


def _parts(call: TableCall) -> list[dict[str, Any]]:
    """The statements of a PartiQL batch, which is served as a whole; else the request itself."""
    parts: list[dict[str, Any]] = call.request.get("Statements", [call.request])
    return parts


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
