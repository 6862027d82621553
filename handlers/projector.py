"""Batches from the event table's stream and from the fast lane, to one projector.

Reported as failed are the records of aggregates that failed; the event source mapping comes
again from the lowest of them on, and applying the others again changes nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger

from eventstore.commits import Commit, from_item
from eventstore.errors import CorruptLog
from handlers.dependencies import Dependencies
from projections.acknowledgements import MalformedMessage
from projections.lane import read_lane

logger = Logger(service="projector")


def make_handler(deps: Dependencies) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of both event sources; it reports the records to deliver again."""

    def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
        arrived: dict[str, list[Commit]] = {}
        failed: list[str] = []
        for record in event["Records"]:
            name, read = _reader_of(record)
            try:
                arrived[name] = read(record)
            except (CorruptLog, MalformedMessage) as error:
                logger.exception("record cannot be read", record=name, reason=str(error))
                failed.append(name)
        failures = deps.projector.apply(c for commits in arrived.values() for c in commits)
        for aggregate_id, failure in failures.items():
            logger.error("aggregate stopped", aggregate_id=aggregate_id, exc_info=failure)
        failed += [
            name
            for name, commits in arrived.items()
            if any(commit.aggregate_id in failures for commit in commits)
        ]
        return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}

    return handle


def _reader_of(
    record: Mapping[str, Any],
) -> tuple[str, Callable[[Mapping[str, Any]], list[Commit]]]:
    if record["eventSource"] == "aws:sqs":
        return record["messageId"], _read_message
    return record["dynamodb"]["SequenceNumber"], _read_stream_record


def _read_message(record: Mapping[str, Any]) -> list[Commit]:
    return read_lane(record["body"])


def _read_stream_record(record: Mapping[str, Any]) -> list[Commit]:
    if record["eventName"] != "INSERT":
        # Nothing of ours changes or removes a commit: somebody has tampered with the log.
        logger.error(
            "the log was changed",
            event_name=record["eventName"],
            position=record["dynamodb"]["Keys"]["q"]["N"],
            aggregate_id=record["dynamodb"]["Keys"]["a"]["S"],
        )
        return []
    return [from_item(record["dynamodb"]["NewImage"])]
