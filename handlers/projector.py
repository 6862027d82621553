"""Batches from the event table's stream and from the fast lane, to one projector.

Reported as failed are the records of aggregates that failed in passing; the event source
mapping comes again from the lowest of them on, and applying the others again changes nothing.
What would fail again is set aside as a dead letter, so that it holds up nobody else.
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
            except MalformedMessage as error:
                logger.exception("message cannot be read", message_id=name, reason=str(error))
                failed.append(name)
            except CorruptLog as error:
                failed += [name] if _set_aside(deps, record, error) else []
        failures = deps.projector.apply(c for commits in arrived.values() for c in commits)
        for aggregate_id, failure in failures.again.items():
            logger.warning("aggregate to come again", aggregate_id=aggregate_id, exc_info=failure)
        for aggregate_id, failure in failures.aside.items():
            logger.error("aggregate set aside", aggregate_id=aggregate_id, exc_info=failure)
        failed += [
            name
            for name, commits in arrived.items()
            if any(commit.aggregate_id in failures.again for commit in commits)
        ]
        return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}

    return handle


def _set_aside(deps: Dependencies, record: Mapping[str, Any], error: CorruptLog) -> bool:
    """Set the aggregate of a corrupt commit aside; True if that must be tried again."""
    key = record["dynamodb"]["Keys"]
    aggregate_id, position = key["a"]["S"], int(key["q"]["N"])
    logger.error("commit cannot be read", aggregate_id=aggregate_id, exc_info=error)
    return bool(deps.projector.set_aside(aggregate_id, position=position, error=error))


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
