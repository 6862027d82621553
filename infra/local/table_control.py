"""Makes, changes, describes and ends global tables, as DynamoDB's control plane does.

One change at a time; a change is made as a whole before it is answered, so a replica is never
seen as being created. What DynamoDB refuses, and what concerns a region that is dead, is refused
before anything is done. What fails half-way is taken back, in every region that answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from infra.local.engine_calls import Answer, EngineCalls, EngineError
from infra.local.eventual_replicas import EventualTable
from infra.local.journal import Journal
from infra.local.network import Network
from infra.local.replicas import FAILURES, ReplicatedTable
from infra.local.running_tables import RunningTables
from infra.local.table_answers import Refused, internal_error, invalid, json_answer, refused
from infra.local.table_calls import TARGET_PREFIX
from infra.local.table_definitions import (
    Members,
    changes_members,
    check_can_be_strong,
    common_part,
    definition_of,
    members_after,
    read_change,
    replica_exists,
    with_members,
)

OPERATIONS = frozenset({"DescribeTable", "UpdateTable", "DeleteTable", "UpdateTimeToLive"})
# How long the last replica is given to get what the others hold, before they are deleted.
_CATCH_UP_S = 10.0
_CATCH_UP_PAUSE_S = 0.05
_EVERYTHING = "NEW_AND_OLD_IMAGES"

_logger = logging.getLogger("wan.tables")


class TableControl:
    """Serves the control plane; keeps `strong` and `eventual` as the tables are."""

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
        self._one_at_a_time = asyncio.Lock()
        self._running = RunningTables(
            strong,
            eventual,
            journal=journal,
            engines=engines,
            network=network,
            calls=calls,
            realistic=realistic,
        )

    async def run(self) -> None:
        """Let the tables replicate until cancelled."""
        await self._running.run()

    async def answer(self, operation: str, request: dict[str, Any], region: str) -> Answer:
        """Serve a call on a table that is global, or that is to become it."""
        name = str(request.get("TableName", "")).rpartition(":table/")[2]
        try:
            if operation == "DescribeTable":
                return self._described(await self._describe(name, region), region, "Table")
            async with self._one_at_a_time:
                return await self._change(operation, {**request, "TableName": name}, region)
        except Refused as error:
            return error.answer
        except FAILURES as error:
            _logger.warning("%s of %s in %s failed: %r", operation, name, region, error)
            said = error.answer if isinstance(error, EngineError) else None
            return said or internal_error()

    async def _change(self, operation: str, request: dict[str, Any], region: str) -> Answer:
        name = request["TableName"]
        members = self._running.members(name, region)
        if region not in members.replicas:
            message = f"Requested resource not found: Table: {name} not found"
            return refused("ResourceNotFoundException", message)
        if operation == "UpdateTable":
            if changes_members(request):
                return await self._update_members(request, members, region)
            return await self._update(request, members, region)
        if operation == "UpdateTimeToLive":
            if members.mode == "STRONG":
                return invalid(
                    "Time to Live is not supported on global tables with multi-Region strong "
                    "consistency"
                )
            self._check_alive(members.replicas)
            answers = {at: await self._call(at, operation, request) for at in members.replicas}
            return json_answer(answers[region])
        return await self._delete(name, members, region)

    async def _update_members(
        self, request: dict[str, Any], before: Members, region: str
    ) -> Answer:
        name = request["TableName"]
        description = await self._describe(name, region)
        change = read_change(request)
        after = members_after(
            before,
            change,
            name=name,
            here=region,
            known=self._engines,
            witnesses=self._network.links.regions,
        )
        self._check_alive({*before.replicas, *after.replicas})
        if before.mode is None and after.mode == "STRONG":
            await self._check_can_be_strong(description, region)
        if after.mode == "EVENTUAL" and change.created:
            description = await self._with_stream(description, region)
        await self._create(description, change.created)
        try:
            await self._begin(description, before, after, here=region)
        except FAILURES:
            await self._take_back(name, before, change.created)
            raise
        await self._leave(name, before, after, last=region)
        return self._described(await self._describe(name, region), region, "TableDescription")

    async def _check_can_be_strong(self, description: Mapping[str, Any], region: str) -> None:
        table = {"TableName": description["TableName"]}
        page = await self._call(region, "Scan", {**table, "Limit": 1, "ConsistentRead": True})
        ttl = await self._call(region, "DescribeTimeToLive", table)
        status = ttl["TimeToLiveDescription"]["TimeToLiveStatus"]
        check_can_be_strong(
            description, empty=not page["Items"], ttl=status in {"ENABLED", "ENABLING"}
        )

    async def _with_stream(self, description: dict[str, Any], region: str) -> dict[str, Any]:
        """Switch on the stream that every replica of an eventual table has."""
        name = description["TableName"]
        stream = description.get("StreamSpecification") or {}
        if not stream.get("StreamEnabled"):
            wanted = {"StreamEnabled": True, "StreamViewType": _EVERYTHING}
            request = {"TableName": name, "StreamSpecification": wanted}
            await self._call(region, "UpdateTable", request)
            return await self._describe(name, region)
        if stream.get("StreamViewType") != _EVERYTHING:
            raise Refused(
                invalid(
                    f"The stream of table {name} must have the view type {_EVERYTHING} before a "
                    "replica can be added"
                )
            )
        return description

    async def _create(self, description: Mapping[str, Any], regions: tuple[str, ...]) -> None:
        """Make the tables of new replicas, or none."""
        made: list[str] = []
        try:
            for region in regions:
                await self._call(region, "CreateTable", definition_of(description, view=None))
                made.append(region)
        except FAILURES as error:
            name = description["TableName"]
            await self._delete_tables(name, made)
            if "ResourceInUseException" in str(error):
                raise Refused(replica_exists(name)) from error
            raise

    async def _begin(
        self, description: Mapping[str, Any], before: Members, after: Members, *, here: str
    ) -> None:
        """Let the replicas that are there now take part in a global table."""
        name = description["TableName"]
        if after.mode == "STRONG" and before.mode is None:
            definition = definition_of(description, view=_EVERYTHING)
            made = await self._call_journal("CreateTable", definition)
            stream_arn = made["TableDescription"]["LatestStreamArn"]
            self._running.begin_strong(description, after, stream_arn=stream_arn)
        elif after.mode == "EVENTUAL":
            if before.mode is None:
                self._running.begin_eventual(description, first=here)
            for region in after.replicas:
                if region not in before.replicas:
                    await self._eventual[name].add_replica(region, source=here)

    async def _take_back(self, name: str, before: Members, created: Iterable[str]) -> None:
        """Leave a table as it was before it got replicas that could not take part."""
        if before.mode is None:
            self._running.end(name)
        else:
            for region in set(created) & set(self._eventual[name].replicas):
                self._eventual[name].remove_replica(region)
        await self._delete_tables(name, created)

    async def _delete_tables(self, name: str, regions: Iterable[str]) -> None:
        for region in regions:
            try:
                await self._call(region, "DeleteTable", {"TableName": name})
            except FAILURES as error:
                _logger.warning("the table %s is left over in %s: %s", name, region, error)

    def _check_alive(self, regions: Iterable[str]) -> None:
        """Raise Refused for a change that concerns a dead region: nobody there would make it."""
        if any(self._network.faults.is_killed(region) for region in regions):
            raise Refused(internal_error())

    async def _leave(self, name: str, before: Members, after: Members, *, last: str) -> None:
        """End replicas that a change has left out, and a global table that has one left."""
        gone = [region for region in before.replicas if region not in after.replicas]
        if before.mode == "STRONG" and after.mode is None:
            await self._catch_up(self._strong[name], last)
        if before.mode is not None and after.mode is None:
            self._running.end(name)
            if before.mode == "STRONG":
                await self._call_journal("DeleteTable", {"TableName": name})
        for region in gone:
            if after.mode == "EVENTUAL":
                self._eventual[name].remove_replica(region)
            await self._call(region, "DeleteTable", {"TableName": name})

    async def _catch_up(self, table: ReplicatedTable, region: str) -> None:
        """Wait until a replica has all that the journal holds. Raises: Refused if it does not."""
        table.ring()
        deadline = asyncio.get_running_loop().time() + _CATCH_UP_S
        await asyncio.sleep(_CATCH_UP_PAUSE_S)
        while sum(table.rules.pending(region).values()):
            if asyncio.get_running_loop().time() > deadline:
                raise Refused(
                    invalid(
                        f"The replica of {table.name} in {region} is behind the others, which "
                        "cannot be deleted before it has what they hold"
                    )
                )
            await asyncio.sleep(_CATCH_UP_PAUSE_S)

    async def _update(self, request: dict[str, Any], members: Members, region: str) -> Answer:
        """Change what all replicas have in common, and what only this one has."""
        stream = request.get("StreamSpecification")
        switches_off = isinstance(stream, dict) and not stream.get("StreamEnabled")
        if members.mode == "EVENTUAL" and switches_off:
            return invalid("The stream of a replica of a global table cannot be disabled")
        self._check_alive(members.replicas)
        await self._call(region, "UpdateTable", request)
        common = common_part(request)
        if len(common) > 1:
            for other in members.replicas:
                if other != region:
                    await self._call(other, "UpdateTable", common)
            common.pop("StreamSpecification", None)
            if members.mode == "STRONG" and len(common) > 1:
                await self._call_journal("UpdateTable", common)
        name = request["TableName"]
        return self._described(await self._describe(name, region), region, "TableDescription")

    async def _delete(self, name: str, members: Members, region: str) -> Answer:
        """Delete a replica; what the others hold stays."""
        if members.mode == "STRONG":
            return invalid(
                f"Table {name} is a replica of a global table with multi-Region strong "
                "consistency; delete the other replicas and the witness together first"
            )
        deleted = await self._call(region, "DeleteTable", {"TableName": name})
        if len(members.replicas) == 2:  # noqa: PLR2004 - this one and the last
            self._running.end(name)
        else:
            self._eventual[name].remove_replica(region)
        return json_answer(deleted)

    def _described(self, description: dict[str, Any], region: str, part: str) -> Answer:
        members = self._running.members(description["TableName"], region)
        if members.mode is not None and region in members.replicas:
            description = with_members(description, members, here=region)
        return json_answer({part: description})

    async def _describe(self, name: str, region: str) -> dict[str, Any]:
        answer = await self._call(region, "DescribeTable", {"TableName": name})
        description: dict[str, Any] = answer["Table"]
        return description

    async def _call(self, region: str, operation: str, request: Mapping[str, Any]) -> Any:
        return await self._calls.json_api(
            self._engines[region], f"{TARGET_PREFIX}{operation}", region=region, request=request
        )

    async def _call_journal(self, operation: str, request: Mapping[str, Any]) -> Any:
        return await self._calls.json_api(
            self._journal.url,
            f"{TARGET_PREFIX}{operation}",
            region=self._journal.region,
            request=request,
        )
