"""The global tables of a running WAN: which there are, and every call that is about one.

Guarantees that a call on a table that was declared global gets the semantics of its mode, and
that any other call is left to the engines, untouched. Tables come and go with UpdateTable and
DeleteTable; nothing else is remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from infra.local.engine_calls import Answer, EngineCalls, authorization
from infra.local.eventual_replicas import EventualTable
from infra.local.eventual_tables import EventualTables
from infra.local.journal import STREAMS_PREFIX, Journal
from infra.local.network import Network
from infra.local.replicas import ReplicatedTable
from infra.local.strong_streams import StrongStreams
from infra.local.strong_tables import StrongTables
from infra.local.table_answers import invalid, malformed, merged
from infra.local.table_calls import (
    BATCHES,
    STATEMENTS,
    TARGET_PREFIX,
    TRANSACTIONS,
    TableCall,
    read_call,
)
from infra.local.table_control import OPERATIONS, TableControl
from infra.local.table_definitions import changes_members


@dataclass(frozen=True, kw_only=True)
class OtherCall:
    """A call on a table's definition or its stream."""

    target: str
    request: dict[str, Any]
    region: str


GlobalCall = TableCall | OtherCall


class GlobalTables:
    """Serves the calls on global tables."""

    def __init__(
        self,
        *,
        journal: Journal,
        engines: Mapping[str, str],
        network: Network,
        calls: EngineCalls,
        realistic: bool,
    ) -> None:
        self.strong: dict[str, ReplicatedTable] = {}
        self.eventual: dict[str, EventualTable] = {}
        self._engines = engines
        self._calls = calls
        self._strong_tables = StrongTables(
            self.strong, journal=journal, engines=engines, network=network, calls=calls
        )
        self._eventual_tables = EventualTables(self.eventual, engines=engines, calls=calls)
        self._streams = StrongStreams(
            self.strong,
            journal=journal,
            engines=engines,
            calls=calls,
            now_s=lambda: asyncio.get_running_loop().time(),
        )
        self._control = TableControl(
            self.strong,
            self.eventual,
            journal=journal,
            engines=engines,
            network=network,
            calls=calls,
            realistic=realistic,
        )
        network.on_change(self._links_changed)

    @property
    def tables(self) -> list[ReplicatedTable | EventualTable]:
        """All global tables that there are now."""
        return [*self.strong.values(), *self.eventual.values()]

    async def run(self) -> None:
        """Replicate until cancelled."""
        await self._control.run()

    def recognise(
        self, *, target: str, body: bytes, region: str, caller: str | None
    ) -> GlobalCall | None:
        """The call, if it is about a global table; anything else is left to the engines."""
        if target.startswith(STREAMS_PREFIX):
            return self._stream_call(target, body, region)
        if not target.startswith(TARGET_PREFIX):
            return None
        operation = target.removeprefix(TARGET_PREFIX)
        if operation in OPERATIONS:
            return self._control_call(target, body, region)
        if not any(
            name.encode() in body for tables in (self.strong, self.eventual) for name in tables
        ):
            return None
        return read_call(
            operation=operation, body=body, known=self._known, region=region, caller=caller
        )

    def agreeing(self, call: GlobalCall) -> tuple[str, ...]:
        """The regions of which a majority has to agree to a call; none if it needs none."""
        if isinstance(call, OtherCall):
            return ()
        strong = sorted(call.tables & self.strong.keys())
        if strong and (call.writes or call.reads_consistently or call.operation in BATCHES):
            return self.strong[strong[0]].rules.members
        return ()

    async def answer(self, call: GlobalCall) -> Answer:
        """Serve a recognised call."""
        if isinstance(call, OtherCall):
            operation = call.target.partition(".")[2]
            if call.target.startswith(STREAMS_PREFIX):
                return await self._streams.answer(operation, call.request, call.region)
            return await self._control.answer(operation, call.request, call.region)
        if not call.is_well_formed:
            return malformed()
        return await self._serve(call)

    async def read_stream(self, target: str, request: dict[str, Any], *, region: str) -> Any:
        """Call an operation on a replica's stream, whoever serves it. Raises: as `json_api`."""
        operation = target.removeprefix(STREAMS_PREFIX)
        if self._streams.recognise(operation, request, region):
            return (await self._streams.answer(operation, request, region)).json()
        return await self._calls.json_api(
            self._engines[region], target, region=region, request=request
        )

    def _known(self, named: str) -> str | None:
        """The global table that is meant by a name or an ARN."""
        name = named.rpartition(":table/")[2]
        return name if name in self.strong or name in self.eventual else None

    def _stream_call(self, target: str, body: bytes, region: str) -> OtherCall | None:
        request = _read(body)
        if not self._streams.recognise(target.removeprefix(STREAMS_PREFIX), request, region):
            return None
        return OtherCall(target=target, request=request, region=region)

    def _control_call(self, target: str, body: bytes, region: str) -> OtherCall | None:
        request = _read(body)
        known = self._known(str(request.get("TableName", ""))) is not None
        if known or (target.endswith(".UpdateTable") and changes_members(request)):
            return OtherCall(target=target, request=request, region=region)
        return None

    async def _serve(self, call: TableCall) -> Answer:
        strong = call.tables & self.strong.keys()
        if strong and call.operation in TRANSACTIONS:
            return await self._strong_tables.answer(call)
        if call.operation in STATEMENTS and call.writes:
            # No statement is understood here, so nobody would know which items to replicate.
            return invalid(
                "PartiQL statements that write to a global table are not available locally; use "
                "PutItem, UpdateItem or DeleteItem"
            )
        if call.operation in BATCHES:
            return await self._batch(call)
        if call.operation == "BatchExecuteStatement":
            # Each of its statements may read another table, wherever that is served.
            statements = call.statements(self._known)
            return merged(await asyncio.gather(*map(self._serve_one, statements)))
        return await self._serve_one(call)

    async def _serve_one(self, call: TableCall) -> Answer:
        if call.tables & self.strong.keys():
            return await self._strong_tables.answer(call)
        if call.tables:
            return await self._eventual_tables.answer(call)
        return await self._to_engine(call)

    async def _batch(self, call: TableCall) -> Answer:
        """Split a batch into what the journal serves and what the region's engine does."""
        strong, local = {}, {}
        for named, wanted in call.request["RequestItems"].items():
            name = self._known(named)
            writes = call.operation == "BatchWriteItem"
            if name in self.strong and (writes or wanted.get("ConsistentRead")):
                strong[name] = wanted
            else:
                local[name or named] = wanted
        parts: list[Awaitable[Answer]] = []
        if strong:
            parts.append(self._strong_tables.answer(call.part(strong)))
        if local:
            part = call.part(local)
            if part.tables & self.eventual.keys():
                parts.append(self._eventual_tables.answer(part))
            else:
                parts.append(self._to_engine(part))
        return merged(await asyncio.gather(*parts))

    async def _to_engine(self, call: TableCall) -> Answer:
        return await self._calls.send(
            "POST",
            f"{self._engines[call.region]}/",
            headers={
                "X-Amz-Target": f"{TARGET_PREFIX}{call.operation}",
                "Content-Type": "application/x-amz-json-1.0",
                "Authorization": authorization(region=call.region, service="dynamodb"),
            },
            body=call.body,
        )

    def _links_changed(self) -> None:
        for table in self.tables:
            table.links_changed()


def _read(body: bytes) -> dict[str, Any]:
    """A request's content; nothing if it is none, which its engine will say."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}
