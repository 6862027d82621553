"""Batches from the event table's stream and from the fast lane, to one projector.

Reported as failed are the records of aggregates that failed in passing; the event source
mapping comes again from the lowest of them on, and applying the others again changes nothing.
What would fail again is set aside as a dead letter, so that it holds up nobody else.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger

from eventstore.commits import from_item
from eventstore.errors import CorruptLog, described
from handlers.dependencies import Dependencies
from handlers.measuring import of_batch
from handlers.metrics import LOG_CHANGES, counted
from projections.acknowledgements import MalformedMessage
from projections.failures import log_changed, set_aside
from projections.lane import Delivery, read_lane

logger = Logger(service="projector")

# Parts of `Dependencies` that are built before the first event.
NEEDS = ("projector",)


def make_handler(deps: Dependencies) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of both event sources; it reports the records to deliver again."""

    def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
        arrived: dict[str, Delivery] = {}
        failed: list[str] = []
        for record in event["Records"]:
            name, read = _reader_of(record)
            if _changes_the_log(record):
                failed += [] if _keep_what_was_there(deps, record) else [name]
                continue
            try:
                arrived[name] = read(record)
            except MalformedMessage as error:
                logger.error("message cannot be read", message_id=name, reason=str(error))
                failed.append(name)
            except CorruptLog as error:
                failed += [] if _set_aside(deps, record, error) else [name]
        failures = deps.projector.apply(arrived.values())
        deps.meter.tell(of_batch(failures))
        for aggregate_id, failure in failures.again.items():
            reason = described(failure)
            logger.warning("aggregate to come again", aggregate_id=aggregate_id, reason=reason)
        for aggregate_id, failure in failures.aside.items():
            reason = described(failure)
            logger.error("aggregate set aside", aggregate_id=aggregate_id, reason=reason)
        failed += [
            name
            for name, delivery in arrived.items()
            if any(commit.aggregate_id in failures.again for commit in delivery.commits)
        ]
        return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}

    return handle


def _set_aside(deps: Dependencies, record: Mapping[str, Any], error: CorruptLog) -> bool:
    """Set the aggregate of a corrupt commit aside; False if that must be tried again."""
    key = record["dynamodb"]["Keys"]
    aggregate_id = key["a"]["S"]
    logger.error("commit cannot be read", aggregate_id=aggregate_id, reason=str(error))
    return deps.projector.file(set_aside(aggregate_id, int(key["q"]["N"]), error))


def _changes_the_log(record: Mapping[str, Any]) -> bool:
    return bool(record["eventSource"] != "aws:sqs" and record["eventName"] != "INSERT")


def _keep_what_was_there(deps: Dependencies, record: Mapping[str, Any]) -> bool:
    """Keep what a change of the log destroyed; False if that must be tried again.

    Nothing of ours changes or removes a commit: somebody has tampered with the log.
    """
    key = record["dynamodb"]["Keys"]
    deps.meter.tell(counted(LOG_CHANGES, 1))
    logger.error(
        "the log was changed",
        event_name=record["eventName"],
        position=key["q"]["N"],
        aggregate_id=key["a"]["S"],
    )
    return deps.projector.file(log_changed(record))


def _reader_of(
    record: Mapping[str, Any],
) -> tuple[str, Callable[[Mapping[str, Any]], Delivery]]:
    if record["eventSource"] == "aws:sqs":
        return record["messageId"], _read_message
    return record["dynamodb"]["SequenceNumber"], _read_stream_record


def _read_message(record: Mapping[str, Any]) -> Delivery:
    return read_lane(record["body"])


def _read_stream_record(record: Mapping[str, Any]) -> Delivery:
    return Delivery((from_item(record["dynamodb"].get("NewImage", {})),))
