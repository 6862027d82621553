"""Consume answers out of a queue, each once however often it is delivered.

A message leaves the queue only after the inbox has kept its answer together with what that led
to. So a crash at any point loses nothing and does nothing twice.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from antiphon.client.inbox import Inbox
from handlers.published import Answer

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

BATCH = 10
POLL_S = 20


class NotAnAnswer(ValueError):
    """A message that holds no answer; it stays in the queue, for you to look at."""


class Answers:
    """The answers that a rule of the bus puts into a queue.

    Args:
        client: SQS, in the queue's region; its read time-out must be longer than 20 s.
        queue_url: a queue of your own, filled by a rule of your own.
        inbox: which answers were worked on already.

    """

    def __init__(self, client: "SQSClient", *, queue_url: str, inbox: Inbox) -> None:
        self._client = client
        self._queue_url = queue_url
        self._inbox = inbox

    def take(self, handle: Callable[[Answer], None], *, wait_s: int = POLL_S) -> int:
        """Wait up to `wait_s` seconds for answers; return how many new ones were handled.

        `handle` runs in the inbox's transaction. If it raises, that is undone, the message
        stays, comes again after the queue's visibility time-out, and the error goes on to
        the caller.

        Raises:
            NotAnAnswer: something else is in the queue.

        """
        received = self._client.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=wait_s
        )
        handled = 0
        for message in received.get("Messages", []):
            answer = _answer(message["Body"])
            with self._inbox.once(answer.answer_id) as new:
                if new:
                    handle(answer)
            handled += new
            self._client.delete_message(
                QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"]
            )
        return handled


def _answer(body: str) -> Answer:
    try:
        envelope: Any = orjson.loads(body)
        return Answer.model_validate(envelope["detail"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise NotAnAnswer(f"a message holds no answer of Antiphon's: {error}") from error
