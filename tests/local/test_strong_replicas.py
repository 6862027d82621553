"""How a strong table's journal is copied: whose each record is, and what is kept meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from infra.local.engine_calls import EngineCalls
from infra.local.journal import PAGE_RECORDS, Journal
from infra.local.replicas import KEPT_CHANGES, ReplicatedTable
from infra.local.replication import Links, StrongReplication, round_trips
from infra.local.table_calls import key_of
from infra.local.watching import Watch

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
JOURNAL = Journal(url="http://journal", region=US)


class Engines(EngineCalls):
    """A journal's stream, as a list, and replicas that take copies."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[dict[str, Any]] = []
        self.replicas: dict[str, dict[str, str]] = {region: {} for region in REGIONS}
        self.copied: dict[str, list[str]] = {region: [] for region in REGIONS}

    def append(self, key: str, value: str) -> None:
        image = {"k": {"S": key}, "v": {"S": value}}
        number = f"{len(self.records) + 1:021}"
        self.records.append(
            {"Keys": {"k": {"S": key}}, "NewImage": image, "SequenceNumber": number}
        )

    async def json_api(
        self, engine_url: str, target: str, *, region: str, request: Mapping[str, Any]
    ) -> Any:
        match target.partition(".")[2]:
            case "DescribeStream":
                return {"StreamDescription": {"Shards": [{"ShardId": "s"}]}}
            case "GetShardIterator":
                number = int(request.get("SequenceNumber", 1))
                after = request["ShardIteratorType"] == "AFTER_SEQUENCE_NUMBER"
                return {"ShardIterator": str(number if after else number - 1)}
            case "GetRecords":
                begin = int(request["ShardIterator"])
                page = self.records[begin : begin + request["Limit"]]
                records = [{"dynamodb": change} for change in page]
                return {"Records": records, "NextShardIterator": str(begin + len(page))}
            case "BatchWriteItem":
                for put in request["RequestItems"]["t"]:
                    item = put["PutRequest"]["Item"]
                    self.replicas[region][item["k"]["S"]] = item["v"]["S"]
                    self.copied[region].append(item["v"]["S"])
                return {"UnprocessedItems": {}}
            case other:
                raise AssertionError(other)


class Setting:
    """One strong table, and what its writers do."""

    def __init__(self) -> None:
        self.engines = Engines()
        self.links = Links(REGIONS, round_trips_ms=round_trips(REGIONS, realistic=False))
        self.table = ReplicatedTable(
            "t",
            StrongReplication(self.links),
            journal=JOURNAL,
            engines={region: region for region in REGIONS},
            key_names=("k",),
            stream_arn="arn",
            witness=None,
            calls=self.engines,
            now_ms=lambda: asyncio.get_running_loop().time() * 1000,
            watch=Watch(REGIONS),
        )

    def write(self, region: str, key: str, value: str | None) -> None:
        """Write an item; None writes what is there, which makes no record."""
        write = self.table.writers.enter(key_of({"k": {"S": key}}, ("k",)), region)
        if value is not None:
            self.engines.append(key, value)
        self.table.writers.over(write)
        self.table.ring()

    def cut(self, region: str) -> None:
        self.links.cut(region)
        self.table.links_changed()

    def heal(self) -> None:
        self.links.heal()
        self.table.links_changed()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.table.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @staticmethod
    async def until(condition: Callable[[], bool]) -> None:
        for _ in range(2_000):
            if condition():
                return
            await asyncio.sleep(0.005)
        raise AssertionError("did not come about")


def test_what_records_say_is_kept_for_some_only_and_read_again_for_a_replica_far_behind():
    async def scene() -> None:
        setting = Setting()
        count = KEPT_CHANGES + 2 * PAGE_RECORDS
        async with setting.running():
            setting.cut(AP)
            for number in range(count):
                setting.write(US, f"k{number % 7}", str(number))
            await setting.until(lambda: len(setting.engines.copied[EU]) == count)
            assert sum(setting.table.rules.pending(AP).values()) == count
            assert len(setting.table._changes) == KEPT_CHANGES
            setting.heal()
            await setting.until(lambda: len(setting.engines.copied[AP]) == count)
            assert setting.engines.copied[AP] == [str(number) for number in range(count)]
            assert setting.engines.replicas[AP] == setting.engines.replicas[EU]
            assert (len(setting.table._changes), len(setting.table._records)) == (0, 0)

    asyncio.run(scene())


def test_writes_that_change_nothing_are_forgotten_and_the_next_record_is_of_its_own_writer():
    async def scene() -> None:
        setting = Setting()
        async with setting.running():
            for _ in range(100):
                setting.write(US, "k", None)
            await setting.until(lambda: setting.table.writers.remembered() == 0)
            setting.cut(US)
            setting.write(EU, "k", "v")
            await setting.until(lambda: setting.engines.copied[AP] == ["v"])
            # Had it been taken for one of us-east-1's, it would be there already.
            assert setting.table.rules.pending(US) == {US: 0, EU: 1, AP: 0}
            assert setting.engines.copied[US] == []

    asyncio.run(scene())
