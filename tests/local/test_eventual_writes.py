"""Writes to MREC tables, each with its region's engine dying at the worst moment."""

import asyncio
from collections.abc import Mapping

import orjson
import pytest
from aiohttp import ClientError
from multidict import CIMultiDict

from infra.local.engine_calls import Answer, EngineCalls, EngineDown
from infra.local.eventual_replicas import EventualTable
from infra.local.eventual_tables import EventualTables
from infra.local.replication import EventualReplication, Links, round_trips
from infra.local.table_calls import TableCall
from infra.local.watching import Watch

US, EU = REGIONS = ("us-east-1", "eu-west-1")
ENGINES = {region: f"http://{region}" for region in REGIONS}
KEY = {"k": {"S": "k"}}


class Engines(EngineCalls):
    """Engines that hold one item each; a call can be made to end its region first, or after."""

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[str, dict | None] = dict.fromkeys(ENGINES.values())
        self.made: list[str] = []
        self.dies_before: str | None = None
        self.dies_after: str | None = None

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        base = url.rstrip("/")
        operation = headers["X-Amz-Target"].partition(".")[2]
        if base in self._cut_off or operation == self.dies_before:
            await self._end(base)
        answer = self._carry_out(base, operation, orjson.loads(body))
        if operation == self.dies_after:
            await self._end(base)
        return Answer(status=200, headers=CIMultiDict(), body=orjson.dumps(answer))

    async def _end(self, base: str) -> None:
        self.dies_before = self.dies_after = None
        if base not in self._cut_off:
            await self.cut_off(base)
        raise EngineDown(base)

    def _carry_out(self, base: str, operation: str, request: dict) -> dict:
        self.made.append(operation)
        item = self.items[base]
        match operation:
            case "BatchGetItem":
                return {"Responses": {"t": [item] if item else []}}
            case "PutItem":
                self.items[base] = request["Item"]
            case "UpdateItem":
                self.items[base] = {**KEY, "v": {"S": "updated"}}
        return {"Attributes": item} if item else {}


class Setting:
    """One table with a replica in two regions, and a caller of the first."""

    def __init__(self) -> None:
        self.engines = Engines()
        links = Links(REGIONS, round_trips_ms=round_trips(REGIONS, realistic=False))
        self.table = EventualTable(
            "t",
            EventualReplication(links, replicas=REGIONS),
            key_names=("k",),
            engines=ENGINES,
            calls=self.engines,
            now_ms=lambda: asyncio.get_running_loop().time() * 1000,
            watch=Watch(REGIONS),
        )
        self._tables = EventualTables({"t": self.table}, engines=ENGINES, calls=self.engines)

    async def write(self, operation: str, **request: object) -> Answer:
        content = {"TableName": "t", **request}
        call = TableCall(
            operation=operation,
            request=content,
            tables=frozenset({"t"}),
            region=US,
            caller=None,
            body=orjson.dumps(content),
        )
        return await self._tables.answer(call)

    def under_way(self) -> int:
        return self.table.rules.pending(EU)[US]


@pytest.mark.parametrize(
    ("operation", "request_"),
    [("PutItem", {"Item": KEY}), ("UpdateItem", {"Key": KEY, "UpdateExpression": "SET v = :v"})],
)
def test_a_write_whose_region_dies_while_it_waits_for_its_turn_is_never_made(operation, request_):
    async def scene() -> None:
        setting = Setting()
        async with setting.table.lock(US, b'[{"S":"k"}]'):
            waiting = asyncio.create_task(setting.write(operation, **request_))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await setting.engines.cut_off(ENGINES[US])
            setting.engines.reconnect(ENGINES[US])
        with pytest.raises(ClientError):
            await waiting
        assert setting.engines.made == []

    asyncio.run(scene())


def test_an_update_whose_region_dies_before_it_is_made_ends_and_is_not_made_later():
    async def scene() -> None:
        setting = Setting()
        setting.engines.dies_before = "BatchGetItem"
        async with asyncio.timeout(5):
            with pytest.raises(ClientError):
                await setting.write("UpdateItem", Key=KEY, UpdateExpression="SET v = :v")
        setting.engines.reconnect(ENGINES[US])
        await asyncio.sleep(0.3)
        assert setting.engines.made == []

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("operation", "request_"),
    [("PutItem", {"Item": KEY}), ("UpdateItem", {"Key": KEY, "UpdateExpression": "SET v = :v"})],
)
def test_a_write_that_was_made_and_whose_answer_was_lost_is_replicated_once_its_region_is_back(
    operation, request_
):
    async def scene() -> None:
        setting = Setting()
        setting.engines.dies_after = operation
        with pytest.raises(ClientError):
            await setting.write(operation, **request_)
        assert setting.under_way() == 0
        setting.engines.reconnect(ENGINES[US])
        await asyncio.sleep(0.5)
        assert setting.under_way() == 1

    asyncio.run(scene())
