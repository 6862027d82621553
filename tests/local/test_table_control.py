"""Changes of global tables that fail half-way: nothing of them is left."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import pytest

from infra.local.engine_calls import Answer, EngineCalls, EngineDown
from infra.local.eventual_replicas import EventualTable
from infra.local.faults import Faults
from infra.local.journal import Journal
from infra.local.network import Network
from infra.local.replicas import ReplicatedTable
from infra.local.replication import Links, round_trips
from infra.local.table_control import TableControl

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
JOURNAL = "http://journal"
DESCRIPTION = {
    "TableName": "t",
    "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
    "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    "LatestStreamArn": "arn",
}


class Engines(EngineCalls):
    """Engines that know which tables they have; `fails` says which calls get no answer."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: set[str] = {US}
        self.fails: set[tuple[str, str]] = set()
        self.changes: list[tuple[str, str]] = []

    async def json_api(
        self, engine_url: str, target: str, *, region: str, request: Mapping[str, Any]
    ) -> Any:
        operation = target.partition(".")[2]
        if (engine_url, operation) in self.fails:
            raise EngineDown(engine_url)
        match operation:
            case "DescribeTable":
                return {"Table": dict(DESCRIPTION)}
            case "Scan":
                return {"Items": []}
            case "DescribeTimeToLive":
                return {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
            case "CreateTable":
                self.changes.append((engine_url, operation))
                self.tables.add(engine_url)
                return {"TableDescription": dict(DESCRIPTION)}
            case "DeleteTable":
                self.changes.append((engine_url, operation))
                self.tables.discard(engine_url)
                return {}
        raise EngineDown(f"{operation} is not wanted here")


class Setting:
    """A table in us-east-1, and the control plane."""

    def __init__(self) -> None:
        self.engines = Engines()
        links = Links(REGIONS, round_trips_ms=round_trips(REGIONS, realistic=False))
        self.faults = Faults(links, seed=1)
        self.strong: dict[str, ReplicatedTable] = {}
        self.eventual: dict[str, EventualTable] = {}
        self.control = TableControl(
            self.strong,
            self.eventual,
            journal=Journal(url=JOURNAL, region=US),
            engines={region: region for region in REGIONS},
            network=Network(links, self.faults),
            calls=self.engines,
            realistic=False,
        )

    async def update(self, *created: str, **more: Any) -> Answer:
        updates = [{"Create": {"RegionName": region}} for region in created]
        request = {"TableName": "t", "ReplicaUpdates": updates, **more}
        return await self.control.answer("UpdateTable", request, US)


def played(scene: Callable[[Setting], Coroutine[Any, Any, None]]) -> None:
    async def play() -> None:
        setting = Setting()
        running = asyncio.create_task(setting.control.run())
        await asyncio.sleep(0)
        await scene(setting)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(play())


@pytest.mark.parametrize(
    ("mode", "fails"),
    [
        ("EVENTUAL", (AP, "CreateTable")),
        ("EVENTUAL", (US, "Scan")),
        ("STRONG", (AP, "CreateTable")),
        ("STRONG", (JOURNAL, "CreateTable")),
    ],
)
def test_a_table_whose_replicas_could_not_all_be_made_is_what_it_was(mode, fails):
    async def scene(setting: Setting) -> None:
        setting.engines.fails = {fails}
        answer = await setting.update(EU, AP, MultiRegionConsistency=mode)
        assert b"InternalServerError" in answer.body
        assert setting.engines.tables == {US}
        assert not setting.strong
        assert not setting.eventual
        setting.engines.fails = set()
        assert (await setting.update(EU, AP, MultiRegionConsistency=mode)).ok

    played(scene)


def test_a_replica_that_could_not_be_filled_is_taken_away_and_the_others_go_on():
    async def scene(setting: Setting) -> None:
        assert (await setting.update(EU)).ok
        setting.engines.fails = {(US, "Scan")}
        assert not (await setting.update(AP)).ok
        assert setting.engines.tables == {US, EU}
        assert setting.eventual["t"].replicas == (US, EU)

    played(scene)


@pytest.mark.parametrize("mode", ["EVENTUAL", "STRONG"])
def test_what_concerns_a_dead_region_is_refused_before_anything_is_made(mode):
    async def scene(setting: Setting) -> None:
        setting.faults.kill(AP)
        answer = await setting.update(EU, AP, MultiRegionConsistency=mode)
        assert b"InternalServerError" in answer.body
        assert setting.engines.changes == []

    played(scene)
