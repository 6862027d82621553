"""Batches from the acknowledgement queue, to the responder."""

from collections.abc import Callable
from itertools import chain
from typing import Any

from aws_lambda_powertools import Logger

from eventstore.errors import described
from handlers.dependencies import Dependencies
from handlers.measuring import of_acknowledgements, of_answers
from projections.acknowledgements import AckMessage, MalformedMessage, read_message
from projections.failures import RESPONDER

logger = Logger(service="responder")

# Parts of `Dependencies` that are built before the first event.
NEEDS = ("responder",)


def make_handler(deps: Dependencies) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of the queue's batches; it reports the messages to deliver again."""

    def handle(event: dict[str, Any], _context: Any) -> dict[str, Any]:
        messages: dict[str, AckMessage] = {}
        failed: list[str] = []
        for record in event["Records"]:
            try:
                messages[record["messageId"]] = read_message(record["body"])
            except MalformedMessage as error:
                logger.error("message cannot be read", reason=str(error))
                failed.append(record["messageId"])
        heard_at_ms = deps.edge.now_ms()
        heard = deps.responder.hear(messages.values())
        acknowledged = of_acknowledgements(messages.values(), heard_at_ms=heard_at_ms)
        deps.meter.tell(chain(acknowledged, of_answers(heard.published)))
        if heard.again:
            logger.warning("answers to come again", commits=len(heard.again))
        for commit_id, why in heard.unanswerable.items():
            logger.error("cannot be answered", commit=commit_id, reason=described(why))
        deps.file_unanswerable(heard.unanswerable, source=RESPONDER)
        failed += [
            message_id
            for message_id, message in messages.items()
            if any(ack.commit in heard.again for ack in message.acks)
        ]
        return {"batchItemFailures": [{"itemIdentifier": one} for one in failed]}

    return handle
