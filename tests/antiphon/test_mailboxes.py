"""A mailbox: what was received is handed over, whatever becomes of its deletion."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from antiphon.mailboxes import Mailbox


class Queue:
    """An SQS client of one queue with one answer, whose deletions fail."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def receive_message(self, **_: Any) -> dict[str, Any]:
        envelope = {"detail-type": "CommandAnswered", "detail": {"command": {"commit": "sub.a.1"}}}
        return {"Messages": [{"Body": json.dumps(envelope), "ReceiptHandle": "one"}]}

    def delete_message_batch(self, **_: Any) -> None:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        ConnectionClosedError(endpoint_url="sqs"),
        ClientError({"Error": {"Code": "RequestThrottled"}}, "DeleteMessageBatch"),
    ],
)
def test_an_answer_whose_deletion_got_lost_is_handed_over(error: Exception):
    queue: Any = Queue(error)
    mailbox = Mailbox(queue, region="us-east-1", queue_url="https://sqs/antiphon-answers")

    [arrival] = mailbox.take()

    assert arrival.commit == "sub.a.1"
