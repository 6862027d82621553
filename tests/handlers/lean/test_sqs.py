"""Messages are sent as boto3 sends them, and fail as boto3's do."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.conftest import RealEngine
from tests.handlers.lean.conftest import TRIES, Build
from tests.handlers.lean.server import Server, Step, refuses, resets, says, says_nothing

TOLD = {"MessageId": "m-1", "MD5OfMessageBody": "9dd4e461268c8034f5c8564e155c67a6"}
MESSAGE = {
    "QueueUrl": "https://sqs.eu-west-1.amazonaws.com/000000000000/lane",
    "MessageBody": "ä text with \U0001f600",
    "DelaySeconds": 5,
}
OLD_CODE = {"x_amzn_query_error": "AWS.SimpleQueueService.NonExistentQueue;Sender"}

SCRIPTS: dict[str, list[Step]] = {
    "taken": [says(200, TOLD)],
    "reset, then taken": [resets, says(200, TOLD)],
    "never an answer": [says_nothing] * TRIES,
    "500, then taken": [refuses(500, "InternalFailure"), says(200, TOLD)],
    "throttled": [refuses(400, "RequestThrottled")] * TRIES,
    "no such queue": [refuses(400, "QueueDoesNotExist", **OLD_CODE)],
    "not allowed": [refuses(403, "AccessDeniedException")],
}


@pytest.mark.parametrize("fault", SCRIPTS)
def test_a_message_ends_as_boto3s_does(fault: str, build: Build, serve: Callable[..., Server]):
    outcomes = []
    for transport in ("boto3", "lean"):
        server = serve(*SCRIPTS[fault])
        client = build(transport, server.url, service="sqs")
        outcomes.append(
            (ending_of(client), [(one.body, marks(one.headers)) for one in server.asked])
        )

    assert outcomes[0] == outcomes[1]
    assert all(body == MESSAGE for body, _ in outcomes[1][1])


def marks(headers: dict[str, str]) -> list[str]:
    names = ("x-amz-target", "content-type", "x-amzn-query-mode")
    return [headers[name] for name in names]


def ending_of(client: Any) -> tuple[str, Any]:
    try:
        answer = client.send_message(**MESSAGE)
    except ClientError as error:
        told = error.response["ResponseMetadata"]["RetryAttempts"]
        return type(error).__name__, (error.response["Error"], told)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is to be the other's
        return type(error).__name__, None
    return "", (answer["MessageId"], answer["ResponseMetadata"]["RetryAttempts"])


def test_a_message_arrives(engine: RealEngine, build: Build):
    given = Credentials("test", "test")
    lean = build("lean", engine.url, service="sqs", credentials=given, read_timeout=30)
    url = lean.create_queue(QueueName="of-the-lean-client")["QueueUrl"]

    lean.send_message(QueueUrl=url, MessageBody=json.dumps({"a": "ä"}))

    found = lean.receive_message(QueueUrl=url)["Messages"]
    assert [json.loads(one["Body"]) for one in found] == [{"a": "ä"}]
