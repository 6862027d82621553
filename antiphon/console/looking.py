"""What can be asked of the running system: its network, and what waits in each region.

A few cheap reads, every couple of seconds while somebody looks. A region that is dead is not
asked; of one that does not answer only that is told.
"""

import asyncio
import time
from typing import Any

import orjson
from aiohttp import ClientError

from antiphon.connection import WAN_PATH
from antiphon.console.settings import ConsoleSettings
from antiphon.letters import LETTERS_TABLE
from antiphon.reading import PENDING_INDEX, RESPONSES_TABLE
from infra.local.engine_calls import Answer, EngineCalls, EngineError
from projections.response_items import ACK

LOOK_TIMEOUT_S = 4.0
HOMES_TIMEOUT_S = 2.0
# Held answers that are told one by one; all are counted, up to a page of the index.
MOST_HELD_TOLD = 50
MS_PER_S = 1000
EVENTUAL = "EVENTUAL"
_SCAN = "DynamoDB_20120810.Scan"


class Looking:
    """Looks at one running system."""

    def __init__(self, settings: ConsoleSettings, calls: EngineCalls) -> None:
        self._settings = settings
        self._calls = calls

    async def look(self) -> dict[str, Any]:
        """Tell the network and the regions. Raises: ClientError, TimeoutError, EngineError."""
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            network = await self.network()
        killed = {one["region"] for one in network["faults"] if one["killed"]}
        regions = self._settings.regions
        told = await asyncio.gather(
            *(self._region(region, is_killed=region in killed) for region in regions)
        )
        return {"network": network, "regions": list(told)}

    async def network(self) -> dict[str, Any]:
        """The state of the network, as the WAN's control tells it."""
        answer = await self._calls.send(
            "GET", f"{self._settings.aws_endpoint}{WAN_PATH}", headers={}, body=b""
        )
        told: dict[str, Any] = answer.json()
        return told

    async def _region(self, region: str, *, is_killed: bool) -> dict[str, Any]:
        told: dict[str, Any] = {"region": region, "health": "killed", "held": [], "letters": None}
        if is_killed:
            return told
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                health, held, letters = await asyncio.gather(
                    self._health(region), self._held(region), self._letters(region)
                )
        except (ClientError, TimeoutError, EngineError) as error:
            return told | {"health": f"no answer ({type(error).__name__})"}
        return told | {"letters": letters, **health, **held}

    async def _health(self, region: str) -> dict[str, Any]:
        """What the region says of itself: `active`, or its state; and what it is home of."""
        answer = await self._get(region, "/health")
        try:
            told = orjson.loads(answer.body)
            health, has_homes = str(told["state"]), told.get("mode") == EVENTUAL
        except (ValueError, KeyError, TypeError):
            return {"health": f"HTTP {answer.status}"}
        if not has_homes:
            return {"health": health}
        try:
            async with asyncio.timeout(HOMES_TIMEOUT_S):
                status = await self._get(region, "/status")
        except TimeoutError:
            # A region that is cut off cannot read them; everything else of it is told all the same.
            return {"health": health}
        homes = orjson.loads(status.body)["homes"] if status.ok else None
        return {"health": health, "homes": homes and homes[region]}

    async def _get(self, region: str, path: str) -> Answer:
        url = f"{self._settings.url(region)}{path}"
        headers = self._settings.credentials(region, "GET", url, b"")
        return await self._calls.send("GET", url, headers=headers, body=b"")

    async def _held(self, region: str) -> dict[str, Any]:
        """The answers that a region owes: how many, and of the first ones who has applied them."""
        page = await self._scan(region, TableName=RESPONSES_TABLE, IndexName=PENDING_INDEX)
        due = sorted((int(item["due"]["N"]), item["c"]["S"]) for item in page["Items"])
        first = [commit for _, commit in due[:MOST_HELD_TOLD]]
        return {
            "pending": len(due),
            "more": "LastEvaluatedKey" in page,
            "oldest_due_ms": due[0][0] if due else None,
            "at_ms": int(time.time() * MS_PER_S),
            "held": await asyncio.gather(*(self._who_applied(region, one) for one in first)),
        }

    async def _who_applied(self, region: str, commit: str) -> dict[str, Any]:
        found = await self._ask(
            "DynamoDB_20120810.GetItem",
            region,
            TableName=RESPONSES_TABLE,
            Key={"c": {"S": commit}},
        )
        item = found.get("Item", {})
        applied = {
            name.removeprefix(ACK): int(value["N"])
            for name, value in item.items()
            if name.startswith(ACK)
        }
        return {"commit": commit, "applied_at_ms": applied, "has_body": "body" in item}

    async def _letters(self, region: str) -> int:
        """Count the letters that somebody has still to deal with: those without an end."""
        page = await self._scan(
            region,
            TableName=LETTERS_TABLE,
            FilterExpression="attribute_not_exists(ed)",
            Select="COUNT",
        )
        return int(page["Count"])

    async def _scan(self, region: str, **request: Any) -> dict[str, Any]:
        return await self._ask(_SCAN, region, **request)

    async def _ask(self, target: str, region: str, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self._calls.json_api(
            self._settings.aws_endpoint, target, region=region, request=request
        )
        return answer
