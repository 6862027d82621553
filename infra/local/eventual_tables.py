"""DynamoDB calls on global tables, with the semantics of eventual consistency.

Every call is served by the called region's own replica; what it has written there is then
carried to the other replicas as the rules say. A write, the look at what it has made of the
item, and the copies that come from elsewhere exclude each other for each item of a replica,
so that the rules are told exactly what the replica holds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import ClientError

from infra.local.engine_calls import Answer, EngineCalls, EngineDown, EngineError, authorization
from infra.local.eventual_replicas import RETRY_S, EventualTable
from infra.local.table_answers import json_answer
from infra.local.table_calls import TARGET_PREFIX, Key, TableCall, key_of

_logger = logging.getLogger("wan.replicas")
_Item = Mapping[str, Any]
# Each item written: its table and key, by place; the places are what the locks are taken by,
# always in this order, so that no two calls wait for each other.
_Places = Mapping[tuple[str, Key], tuple[EventualTable, _Item]]


class EventualTables:
    """Serves the calls on eventually consistent tables; `tables` may gain and lose some."""

    def __init__(
        self,
        tables: Mapping[str, EventualTable],
        *,
        engines: Mapping[str, str],
        calls: EngineCalls,
    ) -> None:
        self._tables = tables
        self._engines = engines
        self._calls = calls
        self._writing: set[asyncio.Task[Answer]] = set()

    async def answer(self, call: TableCall) -> Answer:
        """Serve a call that names eventual tables, and maybe regional ones."""
        writes = call.writes or call.operation in {"BatchWriteItem", "TransactWriteItems"}
        if not writes or any(
            call.region not in self._tables[name].replicas for name in call.tables
        ):
            return await self._send(call)
        # A caller that goes away, or gets no answer, leaves a write that must be told of.
        outcome: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._write(call, outcome))
        self._writing.add(task)
        task.add_done_callback(self._written)
        await asyncio.wait({task, outcome}, return_when=asyncio.FIRST_COMPLETED)
        return outcome.result() if outcome.done() else task.result()

    def _written(self, task: asyncio.Task[Answer]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            # Looked at here, since its caller may have gone.
            task.exception()

    async def _write(self, call: TableCall, outcome: asyncio.Future[Answer]) -> Answer:
        places = self._places(call)
        engine = self._engines[call.region]
        life = self._calls.life_of(engine)
        async with AsyncExitStack() as locks:
            for (_, key), (table, _) in sorted(places.items(), key=lambda place: place[0]):
                await locks.enter_async_context(table.lock(call.region, key))
            if self._calls.life_of(engine) != life:
                # Its region was killed while it waited for its turn, and with it all in flight.
                raise EngineDown(f"{call.region} was killed before the write was made")
            if call.operation in {"PutItem", "DeleteItem"}:
                return await self._write_one(call, places, outcome)
            try:
                before = await self._images(call.region, places)
            except EngineError:
                before = None  # A key that is none: the call itself is told so.
            try:
                answer = await self._send(call)
            except (ClientError, TimeoutError) as error:
                # It may have been carried out: what counts is what the replica holds then. Its
                # caller does not wait for that.
                outcome.set_exception(error)
                await self._tell(call.region, places, before)
                raise
            if answer.ok:
                await self._tell(call.region, places, before)
            return answer

    async def _write_one(
        self, call: TableCall, places: _Places, outcome: asyncio.Future[Answer]
    ) -> Answer:
        """Put or delete one item, with no look at it: its old image comes with the answer."""
        ((table, attributes),) = places.values()
        wanted = call.request.get("ReturnValues", "NONE")
        asked = call
        if wanted == "NONE":
            request = {**call.request, "ReturnValues": "ALL_OLD"}
            asked = replace(call, request=request, body=orjson.dumps(request))
        try:
            answer = await self._send(asked)
        except (ClientError, TimeoutError) as error:
            outcome.set_exception(error)
            await self._tell(call.region, places, None)
            raise
        if not answer.ok:
            return answer
        content = answer.json()
        old = content.get("Attributes")
        new = call.request["Item"] if call.operation == "PutItem" else None
        if old != new:
            table.wrote(call.region, attributes, new)
        if wanted == "NONE" and content.pop("Attributes", None) is not None:
            return json_answer(content)
        return answer

    async def _tell(
        self, region: str, places: _Places, before: Mapping[tuple[str, Key], _Item] | None
    ) -> None:
        """Tell the rules of every item that is not as it was; of all, if that is not known."""
        after = await self._images_at_last(region, places)
        for place, (table, attributes) in places.items():
            new = after.get(place)
            if before is None or before.get(place) != new:
                table.wrote(region, attributes, new)

    async def _images_at_last(self, region: str, places: _Places) -> dict[tuple[str, Key], _Item]:
        """The items as a replica holds them, asked for until it answers, also when it is back."""
        while True:
            try:
                return await self._images(region, places)
            except (ClientError, TimeoutError) as error:
                _logger.warning("what %s has written is not known yet: %s", region, error)
                await asyncio.sleep(RETRY_S)

    async def _images(self, region: str, places: _Places) -> dict[tuple[str, Key], _Item]:
        """The items as a replica holds them. Raises: EngineError for a key that is none."""
        images: dict[tuple[str, Key], _Item] = {}
        by_table: dict[str, list[_Item]] = {}
        for (name, _), (table, attributes) in places.items():
            key = {part: attributes[part] for part in table.key_names if part in attributes}
            by_table.setdefault(name, []).append(key)
        for name, keys in by_table.items():
            table = self._tables[name]
            for item in await table.read(region, keys):
                images[name, key_of(item, table.key_names)] = item
        return images

    def _places(self, call: TableCall) -> _Places:
        places = {}
        for named, attributes in call.attributes_written():
            name = named.rpartition(":table/")[2]
            if (table := self._tables.get(name)) is not None:
                places[name, key_of(attributes, table.key_names)] = (table, attributes)
        return places

    async def _send(self, call: TableCall) -> Answer:
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
