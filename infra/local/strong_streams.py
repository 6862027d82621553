"""The streams of strongly consistent tables: the journal's, as far as it has come to a replica.

Guarantees the same records, order and sequence numbers on every replica. An iterator is all
that a reader's position is; nothing is remembered here. Records may show a change before an
eventual read of the replica does.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from infra.local.engine_calls import Answer, EngineCalls, EngineError
from infra.local.journal import PAGE_RECORDS, STREAMS_PREFIX, Journal
from infra.local.replicas import ReplicatedTable
from infra.local.table_answers import internal_error, invalid, json_answer, refused

# Engines' own iterators begin otherwise.
_OURS = "replica-"
# What an iterator holds.
_POSITION: Mapping[str, type | tuple[type, ...]] = {
    "table": str,
    "region": str,
    "view": str,
    "kind": str,
    "number": (str, type(None)),
    "since_s": (int, float),
}
_ITERATOR_LIFE_S = 15 * 60
_NOT_SHOWN = {
    "KEYS_ONLY": ("NewImage", "OldImage"),
    "NEW_IMAGE": ("OldImage",),
    "OLD_IMAGE": ("NewImage",),
}


class StrongStreams:
    """Answers the calls on streams of strong tables; `tables` may gain and lose some."""

    def __init__(
        self,
        tables: Mapping[str, ReplicatedTable],
        *,
        journal: Journal,
        engines: Mapping[str, str],
        calls: EngineCalls,
        now_s: Callable[[], float],
    ) -> None:
        self._tables = tables
        self._journal = journal
        self._engines = engines
        self._calls = calls
        self._now_s = now_s

    def recognise(self, operation: str, request: Mapping[str, Any], region: str) -> bool:
        """Whether a call is on the stream of a strong table's replica."""
        if operation == "GetRecords":
            return str(request.get("ShardIterator", "")).startswith(_OURS)
        table = self._of(str(request.get("StreamArn", "")))
        return operation in {"DescribeStream", "GetShardIterator"} and (
            table is not None and region in table.replicas
        )

    async def answer(self, operation: str, request: dict[str, Any], region: str) -> Answer:
        """Serve a recognised call."""
        try:
            if operation == "GetRecords":
                return await self._records(request, region)
            table = self._of(str(request["StreamArn"]))
            assert table is not None, "only recognised calls are answered"
            if operation == "DescribeStream":
                return await self._describe(table, request, region)
            return await self._iterator(table, request, region)
        except EngineError as error:
            return error.answer or internal_error()

    def _of(self, stream_arn: str) -> ReplicatedTable | None:
        return self._tables.get(stream_arn.partition(":table/")[2].partition("/")[0])

    async def _describe(
        self, table: ReplicatedTable, request: dict[str, Any], region: str
    ) -> Answer:
        """The replica's own stream, with the numbers of the journal's."""
        description = (await self._replica("DescribeStream", request, region))["StreamDescription"]
        first = await self._first(table, region)
        for shard in description["Shards"]:
            shard["SequenceNumberRange"] = {"StartingSequenceNumber": first} if first else {}
        return json_answer({"StreamDescription": description})

    async def _first(self, table: ReplicatedTable, region: str) -> str | None:
        """The number of the oldest record that the replica shows."""
        if table.shown(region) is None:
            return None
        shards = (await self._of_journal(table))["Shards"]
        number: str | None = shards[0]["SequenceNumberRange"].get("StartingSequenceNumber")
        return number

    async def _iterator(
        self, table: ReplicatedTable, request: dict[str, Any], region: str
    ) -> Answer:
        # The replica's engine knows which streams and shards there are, and which views.
        stream = {"StreamArn": request["StreamArn"]}
        description = (await self._replica("DescribeStream", stream, region))["StreamDescription"]
        if request.get("ShardId") not in {shard["ShardId"] for shard in description["Shards"]}:
            return refused(
                "ResourceNotFoundException", "Requested resource not found: Shard does not exist"
            )
        kind, number = str(request.get("ShardIteratorType")), request.get("SequenceNumber")
        if kind == "LATEST":
            shown = table.shown(region)
            kind, number = ("AFTER_SEQUENCE_NUMBER", shown) if shown else ("TRIM_HORIZON", None)
        elif kind not in {"TRIM_HORIZON", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"}:
            return invalid(f"1 validation error detected: Value '{kind}' at 'shardIteratorType'")
        elif kind != "TRIM_HORIZON" and not str(number or "").isdecimal():
            return invalid(f"Invalid SequenceNumber for {kind}: {number}")
        position = {
            "table": table.name,
            "region": region,
            "view": description["StreamViewType"],
            "kind": kind,
            "number": number,
        }
        return json_answer({"ShardIterator": self._written(position)})

    async def _records(self, request: dict[str, Any], region: str) -> Answer:
        position = _position_in(str(request["ShardIterator"]))
        table = self._tables.get(position["table"]) if position else None
        if table is None or position["region"] != region:
            return invalid("Invalid ShardIterator")
        if self._now_s() - position["since_s"] > _ITERATOR_LIFE_S:
            return refused("ExpiredIteratorException", "The shard iterator has expired.")
        limit = request.get("Limit", PAGE_RECORDS)
        if not isinstance(limit, int) or not 1 <= limit <= PAGE_RECORDS:
            return invalid(f"Limit must be between 1 and {PAGE_RECORDS}, not {limit}")
        records = await self._read(table, position, region=region, limit=limit)
        if records:
            last = records[-1]["dynamodb"]["SequenceNumber"]
            position = {**position, "kind": "AFTER_SEQUENCE_NUMBER", "number": last}
        return json_answer({"Records": records, "NextShardIterator": self._written(position)})

    async def _read(
        self, table: ReplicatedTable, position: Mapping[str, Any], *, region: str, limit: int
    ) -> list[dict[str, Any]]:
        """The journal's records from a position on, as far as the replica shows them."""
        shown = table.shown(region)
        kind, number = position["kind"], position["number"]
        if shown is None or (kind == "AFTER_SEQUENCE_NUMBER" and int(number) >= int(shown)):
            return []
        journal = await self._of_journal(table)
        where = {
            "StreamArn": journal["StreamArn"],
            "ShardId": journal["Shards"][0]["ShardId"],
            "ShardIteratorType": kind,
        }
        if number is not None:
            where["SequenceNumber"] = number
        opened = await self._call_journal("GetShardIterator", where)
        page = await self._call_journal(
            "GetRecords", {"ShardIterator": opened["ShardIterator"], "Limit": limit}
        )
        records = []
        for record in page["Records"]:
            if int(record["dynamodb"]["SequenceNumber"]) > int(shown):
                break
            for image in _NOT_SHOWN.get(position["view"], ()):
                record["dynamodb"].pop(image, None)
            records.append({**record, "awsRegion": region})
        return records

    def _written(self, position: Mapping[str, Any]) -> str:
        """An iterator, of this moment."""
        content = orjson.dumps({**position, "since_s": self._now_s()})
        return _OURS + base64.urlsafe_b64encode(content).decode()

    async def _of_journal(self, table: ReplicatedTable) -> Any:
        answer = await self._call_journal("DescribeStream", {"StreamArn": table.stream_arn})
        return answer["StreamDescription"]

    async def _call_journal(self, operation: str, request: Mapping[str, Any]) -> Any:
        return await self._calls.json_api(
            self._journal.url,
            f"{STREAMS_PREFIX}{operation}",
            region=self._journal.region,
            request=request,
        )

    async def _replica(self, operation: str, request: Mapping[str, Any], region: str) -> Any:
        return await self._calls.json_api(
            self._engines[region], f"{STREAMS_PREFIX}{operation}", region=region, request=request
        )


def _position_in(iterator: str) -> dict[str, Any]:
    """The position that an iterator of ours holds; nothing if it is made up."""
    try:
        position = orjson.loads(base64.urlsafe_b64decode(iterator.removeprefix(_OURS)))
    except (binascii.Error, ValueError):
        return {}
    whole = isinstance(position, dict) and position.keys() == _POSITION.keys()
    if not whole or not all(isinstance(position[part], _POSITION[part]) for part in _POSITION):
        return {}
    return dict(position)
