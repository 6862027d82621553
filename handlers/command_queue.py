"""The queue `antiphon-commands.fifo`: commands for producers that would rather send than wait.

The body is that of `POST /commands`; the message attributes `Idempotency-Key`,
`X-Correlation-Id` and `traceparent` stand for the headers. The message group should be the
aggregate's own number or id. What cannot be decided moves to the dead-letter queue, whole and
with its reason, and does not hold up its group.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from eventstore.aws_errors import error_code
from eventstore.errors import (
    EventStoreError,
    ExpectationNotMet,
    InvalidToken,
    KeyReused,
    Superseded,
    TooLarge,
)
from handlers.access import Refused
from handlers.commands import MARGIN_S, decide, time_left_s
from handlers.dependencies import Dependencies
from handlers.envelope import BadCommand, CommandReader
from handlers.measuring import of_failure

logger = Logger(service="command_queue")

# Parts of `Dependencies` that are built before the first event.
NEEDS = ("event_store", "queues", "control")

FIRST_RECEIVED = "Antiphon-First-Received-Ms"
ERROR = "Antiphon-Error"
MESSAGE_ID = "Antiphon-Message-Id"
# What makes a message the same command again, wherever it is moved.
CARRIED = ("Idempotency-Key", "X-Correlation-Id", "traceparent")
# Told to nobody if merely retried: the same message can never be decided.
_UNDECIDABLE = (
    *(BadCommand, Refused),
    *(ExpectationNotMet, KeyReused, InvalidToken, Superseded, TooLarge),
)


def make_handler(deps: Dependencies) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of the queue's batches; it reports the messages to deliver again."""
    reader = CommandReader(deps.registry, max_bytes=deps.settings.body_bytes)

    def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
        failed: list[str] = []
        held_up: set[str] = set()
        for record in event["Records"]:
            group = record["attributes"].get("MessageGroupId", "")
            # Behind a failure of its group a message waits, or it would overtake. And what
            # there is no time for comes again, before the function is ended in the middle.
            late = time_left_s(context) < deps.settings.append_s + MARGIN_S
            if late or group in held_up or not _take_one(deps, reader, record):
                held_up.add(group)
                failed.append(record["messageId"])
                deps.queues.retry_soon(record)
        return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}

    return handle


def _take_one(deps: Dependencies, reader: CommandReader, record: Mapping[str, Any]) -> bool:
    """Decide one message's command; False if it must come again."""
    attributes = record.get("messageAttributes") or {}
    try:
        body = record["body"].encode()
        request = reader.read(
            body,
            idempotency_key=_attribute(attributes, "Idempotency-Key"),
            correlation_id=_attribute(attributes, "X-Correlation-Id"),
            traceparent=_attribute(attributes, "traceparent"),
            xray=record["attributes"].get("AWSTraceHeader"),
            first_received_ms=_first_received_ms(record),
        )
        deps.access.by_queue(record).check_sends(request)
        if not deps.control.current().takes_queued(deps.settings.region):
            return False
        decision = decide(deps, request, body)
    except _UNDECIDABLE as error:
        deps.meter.tell(of_failure(error))
        return _bury(deps, record, error)
    except EventStoreError as error:
        deps.meter.tell(of_failure(error))
        logger.warning("command not taken", message_id=record["messageId"], reason=str(error))
        return False
    logger.info(
        "command decided",
        outcome=decision.commit.outcome,
        commit=decision.commit.commit_id,
        duplicate=decision.duplicate,
    )
    return True


def _bury(deps: Dependencies, record: Mapping[str, Any], error: Exception) -> bool:
    """Move a message that can never be decided to the dead letters, whole and with its reason.

    What identifies the command goes with it, so that sending it on later is the same command.
    """
    code = getattr(error, "code", type(error).__name__)
    logger.error("command undecidable", message_id=record["messageId"], code=code)
    fields = getattr(error, "errors", [])
    details = "; ".join(f"{one['field']}: {one['message']}" for one in fields)
    attributes = {
        name: value
        for name in CARRIED
        if (value := _attribute(record.get("messageAttributes") or {}, name))
    }
    attributes[FIRST_RECEIVED] = str(_first_received_ms(record))
    attributes[ERROR] = f"{code}: {error} {details}".rstrip()[:1000]
    attributes[MESSAGE_ID] = record["messageId"]
    try:
        deps.queues.send(
            deps.settings.region,
            deps.settings.dead_commands_queue,
            record["body"],
            MessageGroupId=record["attributes"].get("MessageGroupId", "antiphon"),
            MessageDeduplicationId=record["messageId"],
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value}
                for name, value in attributes.items()
            },
        )
    except EventStoreError:
        return False
    except ClientError as refused:
        # Too large with its reason beside it: it comes again until the queue moves it by itself.
        logger.error("cannot be buried", message_id=record["messageId"], code=error_code(refused))
        return False
    return True


def _first_received_ms(record: Mapping[str, Any]) -> int:
    """Return when the command first came in: a message that was moved says so itself."""
    sent_ms = int(record["attributes"]["SentTimestamp"])
    told = _attribute(record.get("messageAttributes") or {}, FIRST_RECEIVED) or ""
    fits = told.isascii() and told.isdigit() and len(told) < 16  # noqa: PLR2004 - ms since 1970
    return min(sent_ms, int(told)) if fits else sent_ms


def _attribute(attributes: Mapping[str, Any], name: str) -> str | None:
    value = attributes.get(name, {}).get("stringValue")
    return value if isinstance(value, str) else None
