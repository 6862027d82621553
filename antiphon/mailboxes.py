"""The producers' mailboxes: the queue `antiphon-answers` of every region.

Reads each queue by long polls in a thread of its own and deletes what it read, so play a
feed only where no other producer needs the answers. Only following along, without taking
anything away, is `answers`' work. Answers about somebody forgotten are taken away unread.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import orjson
from botocore.exceptions import BotoCoreError, ClientError

from antiphon.connection import Connection
from antiphon.ledger import Arrival

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

ANSWERS_QUEUE = "antiphon-answers"
BATCH = 10
# Short enough that a player which has everything does not wait long for its last poll.
POLL_S = 1
PAUSE_AFTER_FAILURE_S = 1.0
# While a whole mailbox is looked through.
OUT_OF_SIGHT_S = 300


class Mailbox:
    """One region's queue of answers."""

    def __init__(self, client: "SQSClient", *, region: str, queue_url: str) -> None:
        """Read the queue at `queue_url` as the mailbox of `region`."""
        self._client = client
        self._region = region
        self._queue_url = queue_url

    @classmethod
    def of(cls, connection: Connection, region: str) -> "Mailbox":
        """Open the mailbox that every region's stack has."""
        client = connection.sqs(region)
        queue_url = client.get_queue_url(QueueName=ANSWERS_QUEUE)["QueueUrl"]
        return cls(client, region=region, queue_url=queue_url)

    def take(self) -> list[Arrival]:
        """Wait up to POLL_S for answers, take them out of the queue and return them."""
        received = self._client.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=POLL_S
        )
        at_s = time.monotonic()
        messages = received.get("Messages", [])
        if messages:
            # A deletion of which nothing is heard may have been done: what was received is kept
            # either way, and at the worst comes once more.
            with suppress(BotoCoreError, ClientError):
                self._client.delete_message_batch(
                    QueueUrl=self._queue_url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                        for number, message in enumerate(messages)
                    ],
                )
        return [self._arrival(message, at_s) for message in messages]

    def _arrival(self, message: "MessageTypeDef", at_s: float) -> Arrival:
        return read_envelope(message["Body"], region=self._region, at_s=at_s)


def read_envelope(body: str, *, region: str, at_s: float) -> Arrival:
    """Read an answer from the EventBridge envelope that the queue carries."""
    envelope = orjson.loads(body)
    return Arrival(
        region=region, at_s=at_s, detail_type=envelope["detail-type"], detail=envelope["detail"]
    )


async def watch_mailbox(mailbox: Mailbox, arrived: Callable[[Arrival], None]) -> None:
    """Hand over every answer of a mailbox until cancelled; failures are waited out."""
    while True:
        try:
            arrivals = await asyncio.to_thread(mailbox.take)
        except (BotoCoreError, ClientError):
            # A region that is cut off or restarting: what is in its queue stays there.
            await asyncio.sleep(PAUSE_AFTER_FAILURE_S)
            continue
        for arrival in arrivals:
            arrived(arrival)


def erase_answers(connection: Connection, region: str, aggregate_id: str) -> int:
    """Delete the answers about an aggregate that wait in a region's mailbox; return how many.

    Whatever else lies there is put back at once, and in no order, as the queue has none.
    """
    client = connection.sqs(region)
    url = client.get_queue_url(QueueName=ANSWERS_QUEUE)["QueueUrl"]
    erased, kept = 0, []
    try:
        # Bounded: what was received is out of sight until this is over.
        while messages := _received(client, url):
            for message in messages:
                if aggregate_id in message["Body"]:
                    client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                    erased += 1
                else:
                    kept.append(message["ReceiptHandle"])
    finally:
        for handle in kept:
            client.change_message_visibility(
                QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=0
            )
    return erased


def _received(client: "SQSClient", url: str) -> list["MessageTypeDef"]:
    received = client.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=BATCH,
        WaitTimeSeconds=POLL_S,
        VisibilityTimeout=OUT_OF_SIGHT_S,
    )
    return received.get("Messages", [])
