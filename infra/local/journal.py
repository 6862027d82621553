"""The journal of a strong table: its stream, every record once and in order, and any of them again.

Keeps a position and no records. Whoever reads on after a failure goes on behind the last record
that was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.engine_calls import EngineCalls

STREAMS_PREFIX = "DynamoDBStreams_20120810."
# DynamoDB's own limit.
PAGE_RECORDS = 1000

# What a record says of its change: Keys, NewImage, SequenceNumber and so on.
Change = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Journal:
    """Where the one true copy of every strong table is."""

    url: str
    region: str


class JournalStream:
    """Reads the stream of one table's journal."""

    def __init__(self, stream_arn: str, *, journal: Journal, calls: EngineCalls) -> None:
        self._stream_arn = stream_arn
        self._journal = journal
        self._calls = calls
        self._iterator: str | None = None
        self._last: str | None = None

    async def following(self) -> list[Change]:
        """The next page of changes; one that is not full has all that there were.

        Raises: EngineError, aiohttp.ClientError, TimeoutError.
        """
        iterator, self._iterator = self._iterator, None
        if iterator is None:
            where = "TRIM_HORIZON" if self._last is None else "AFTER_SEQUENCE_NUMBER"
            iterator = await self._open(where, self._last)
        page = await self._page(iterator)
        self._iterator = page.get("NextShardIterator")
        changes = _changes_of(page)
        if changes:
            self._last = changes[-1]["SequenceNumber"]
        return changes

    async def again(self, number: str) -> list[Change]:
        """The change with a sequence number and those behind it, a page at most.

        Raises: EngineError, aiohttp.ClientError, TimeoutError.
        """
        return _changes_of(await self._page(await self._open("AT_SEQUENCE_NUMBER", number)))

    async def _open(self, kind: str, number: str | None) -> str:
        stream = {"StreamArn": self._stream_arn}
        shards = (await self._call("DescribeStream", stream))["StreamDescription"]["Shards"]
        where = {**stream, "ShardId": shards[0]["ShardId"], "ShardIteratorType": kind}
        if number is not None:
            where["SequenceNumber"] = number
        return str((await self._call("GetShardIterator", where))["ShardIterator"])

    async def _page(self, iterator: str) -> Any:
        return await self._call("GetRecords", {"ShardIterator": iterator, "Limit": PAGE_RECORDS})

    async def _call(self, operation: str, request: Mapping[str, Any]) -> Any:
        return await self._calls.json_api(
            self._journal.url,
            f"{STREAMS_PREFIX}{operation}",
            region=self._journal.region,
            request=request,
        )


def _changes_of(page: Mapping[str, Any]) -> list[Change]:
    return [record["dynamodb"] for record in page["Records"]]
