"""What a stream mapping sends to its on-failure destination, in Lambda's own form.

A queue gets where the records are in the stream; a bucket gets the records too.
Sent from the engine's own region; other kinds of destination are refused.
"""

from __future__ import annotations

import datetime
import time
import uuid
from typing import Any

import orjson

from infra.local.engine_calls import EngineCalls, authorization
from infra.local.shard import Discarded, StreamMapping


class OnFailureLetter:
    """One batch that was given up."""

    def __init__(self, mapping: StreamMapping, discarded: Discarded, *, shard_id: str) -> None:
        self._mapping = mapping
        self._discarded = discarded
        self._shard_id = shard_id
        self._at = datetime.datetime.fromtimestamp(time.time(), tz=datetime.UTC)
        self._id = str(uuid.uuid4())  # noqa: TID251 - Lambda makes one, and nothing depends on it

    async def send(self, calls: EngineCalls, engine_url: str, *, region: str) -> None:
        """Send it. Raises: EngineError, aiohttp.ClientError, TimeoutError, ValueError."""
        destination = self._mapping.destination or ""
        service, name = destination.split(":")[2], destination.rpartition(":")[2]
        if service == "s3":
            answer = await calls.send(
                "PUT",
                f"{engine_url}/{name}/{self._object_key()}",
                headers={"Authorization": authorization(region=region, service="s3")},
                body=orjson.dumps({**self._content(), "payload": self._payload()}),
            )
            if not answer.ok:
                answer.json()
        elif service == "sqs":
            account = destination.split(":")[4]
            await calls.json_api(
                engine_url,
                "AmazonSQS.SendMessage",
                region=region,
                request={
                    "QueueUrl": f"https://sqs.{region}.amazonaws.com/{account}/{name}",
                    "MessageBody": orjson.dumps(self._content()).decode(),
                },
            )
        else:
            raise ValueError(f"{destination} cannot be a destination here: S3 and SQS can")

    def _content(self) -> dict[str, Any]:
        records = self._discarded.records
        return {
            "requestContext": {
                "requestId": self._id,
                "functionArn": self._mapping.function_arn,
                "condition": self._discarded.condition,
                "approximateInvokeCount": self._discarded.attempts,
            },
            "version": "1.0",
            "timestamp": self._at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "DDBStreamBatchInfo": {
                "shardId": self._shard_id,
                "startSequenceNumber": records[0]["dynamodb"]["SequenceNumber"],
                "endSequenceNumber": records[-1]["dynamodb"]["SequenceNumber"],
                "batchSize": len(records),
                "streamArn": self._mapping.stream_arn,
            },
        }

    def _payload(self) -> str:
        return orjson.dumps({"Records": self._discarded.records}).decode()

    def _object_key(self) -> str:
        day, moment = self._at.strftime("%Y/%m/%d"), self._at.strftime("%Y-%m-%dT%H.%M.%S")
        return f"aws/lambda/{self._mapping.uuid}/{self._shard_id}/{day}/{moment}-{self._id}"
