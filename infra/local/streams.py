"""Dispatches the replicas' streams to the functions, in place of the engines' own mappings.

For every DynamoDB mapping that is switched off in a region's engine: reads the
replica's stream four times a second and invokes the function as Lambda's mapping
does (see `shard`). A region whose engine or functions are down is tried again
for as long as it takes; that costs no attempt.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Any, Protocol

import orjson
from aiohttp import ClientError

from infra.local.engine_calls import EngineCalls, EngineError, authorization
from infra.local.on_failure import OnFailureLetter
from infra.local.shard import Discarded, Record, Shard, StreamMapping

POLL_S = 0.25
# Mappings are part of the deployment: looked for often until there are any.
_DISCOVER_S = 0.5
_REDISCOVER_S = 10.0
# The pause before a failed batch is handed over again doubles up to its longest.
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0
_PAGE_RECORDS = 1000

_logger = logging.getLogger("wan.streams")


class ReadStream(Protocol):
    """Calls an operation on a region's stream."""

    def __call__(self, target: str, request: dict[str, Any], *, region: str) -> Awaitable[Any]:
        """Give the parsed answer. Raises: EngineError, aiohttp.ClientError, TimeoutError."""


class StreamDispatcher:
    """One region's stream mappings."""

    def __init__(
        self, *, region: str, engine_url: str, calls: EngineCalls, read: ReadStream
    ) -> None:
        """Args: read: calls an operation on a stream, whoever serves that stream."""
        self._region = region
        self._engine_url = engine_url
        self._calls = calls
        self._read = read
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Dispatch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                if (mappings := await self._mappings()) is not None:
                    self._follow(mappings, tasks)
                await asyncio.sleep(_REDISCOVER_S if self._running else _DISCOVER_S)

    def _follow(self, mappings: list[StreamMapping], tasks: asyncio.TaskGroup) -> None:
        """Read for these mappings from now on, and for none that is not among them any more."""
        for uuid in self._running.keys() - {mapping.uuid for mapping in mappings}:
            self._running.pop(uuid).cancel()
        for mapping in mappings:
            if mapping.uuid not in self._running:
                reader = _ShardReader(
                    self._region, self._engine_url, mapping, calls=self._calls, read=self._read
                )
                self._running[mapping.uuid] = tasks.create_task(reader.run())

    async def _mappings(self) -> list[StreamMapping] | None:
        """The region's mappings that are dispatched here; None while it does not say."""
        try:
            answer = await self._calls.send(
                "GET",
                f"{self._engine_url}/2015-03-31/event-source-mappings/",
                headers={"Authorization": authorization(region=self._region, service="lambda")},
                body=b"",
            )
            found = answer.json()["EventSourceMappings"]
        except (ClientError, TimeoutError, EngineError) as error:
            _logger.debug("%s: no mappings yet: %s", self._region, error)
            return None
        return [
            StreamMapping.of(configuration)
            for configuration in found
            if ":dynamodb:" in configuration.get("EventSourceArn", "")
            # An enabled mapping is the engine's own business.
            and configuration.get("State") == "Disabled"
        ]


class _ShardReader:
    """Reads the one shard that an engine's stream has, and runs it through the function."""

    def __init__(
        self,
        region: str,
        engine_url: str,
        mapping: StreamMapping,
        *,
        calls: EngineCalls,
        read: ReadStream,
    ) -> None:
        self._region = region
        self._engine_url = engine_url
        self._mapping = mapping
        self._calls = calls
        self._read_stream = read
        self._shard = Shard(mapping)
        self._shard_id = ""
        self._iterator: str | None = None
        self._last_sequence: str | None = None
        self._pause_s = _FIRST_PAUSE_S

    async def run(self) -> None:
        """Read and dispatch until cancelled."""
        while True:
            try:
                if self._shard.has_room:
                    await self._read()
                if self._shard.batch():
                    await self._dispatch()
                else:
                    await asyncio.sleep(POLL_S)
            except (ClientError, TimeoutError, EngineError) as error:
                _logger.warning("%s: the stream waits: %s", self._region, error)
                self._iterator = None
                await self._pause()

    async def _read(self) -> None:
        if self._iterator is None:
            self._iterator = await self._open()
        page = await self._read_stream(
            "DynamoDBStreams_20120810.GetRecords",
            {"ShardIterator": self._iterator, "Limit": _PAGE_RECORDS},
            region=self._region,
        )
        self._iterator = page.get("NextShardIterator")
        records = page["Records"]
        if records:
            self._last_sequence = records[-1]["dynamodb"]["SequenceNumber"]
            self._shard.add(
                [{**record, "eventSourceARN": self._mapping.stream_arn} for record in records]
            )

    async def _open(self) -> str:
        arn = self._mapping.stream_arn
        described = await self._read_stream(
            "DynamoDBStreams_20120810.DescribeStream", {"StreamArn": arn}, region=self._region
        )
        self._shard_id = described["StreamDescription"]["Shards"][0]["ShardId"]
        position = (
            {"ShardIteratorType": "TRIM_HORIZON"}
            if self._last_sequence is None
            else {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "SequenceNumber": self._last_sequence,
            }
        )
        opened = await self._read_stream(
            "DynamoDBStreams_20120810.GetShardIterator",
            {"StreamArn": arn, "ShardId": self._shard_id, **position},
            region=self._region,
        )
        return str(opened["ShardIterator"])

    async def _dispatch(self) -> None:
        if (discarded := self._shard.too_old(now_s=time.time())) is not None:
            await self._keep(discarded)
            return
        batch = self._shard.batch()
        answer = await self._invoke(batch)
        outcome = self._shard.failed() if answer is None else self._shard.answered(answer)
        if outcome is not None:
            await self._keep(outcome)
        elif self._shard.batch()[:1] == batch[:1]:
            await self._pause()
        else:
            self._pause_s = _FIRST_PAUSE_S

    async def _invoke(self, batch: list[Record]) -> Any | None:
        """Hand a batch to the function. Returns: its answer, None if it raised."""
        answer = await self._calls.send(
            "POST",
            f"{self._engine_url}/2015-03-31/functions/{self._mapping.function}/invocations",
            headers={
                "Authorization": authorization(region=self._region, service="lambda"),
                "Content-Type": "application/json",
            },
            body=orjson.dumps({"Records": batch}),
        )
        if answer.status != HTTPStatus.OK:
            # Throttled, or no such function: it did not run.
            raise EngineError(f"{answer.status}: {answer.body.decode(errors='replace')}")
        if "X-Amz-Function-Error" in answer.headers:
            _logger.warning(
                "%s: %s failed: %s",
                self._region,
                self._mapping.function,
                answer.body.decode(errors="replace"),
            )
            return None
        return orjson.loads(answer.body) or {}

    async def _keep(self, discarded: Discarded) -> None:
        """Send what the mapping gave up to its destination, however long that takes."""
        _logger.error(
            "%s: %s gave up %d records: %s",
            self._region,
            self._mapping.function,
            len(discarded.records),
            discarded.condition,
        )
        letter = OnFailureLetter(self._mapping, discarded, shard_id=self._shard_id)
        while self._mapping.destination is not None:
            try:
                await letter.send(self._calls, self._engine_url, region=self._region)
            except (ClientError, TimeoutError, EngineError) as error:
                _logger.warning("%s: the destination waits: %s", self._region, error)
                await self._pause()
            else:
                return

    async def _pause(self) -> None:
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
