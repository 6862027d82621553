"""Sending between regions: a message whose region refuses for now is nobody's failure."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from eventstore.errors import StoreUnavailable
from handlers.edge import Edge, real_edge
from handlers.queues import Queues
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS
ACCOUNT = "000000000000"


class Refusing:
    """SQS clients of every region that answer each call with one error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def sqs(self, _region: str) -> Any:
        return self

    def send_message(self, **_: Any) -> Any:
        raise self._error

    def change_message_visibility(self, **_: Any) -> Any:
        raise self._error


def throttled(status: int = 400) -> ClientError:
    response = {
        "Error": {"Code": "RequestThrottled"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "SendMessage")  # type: ignore[arg-type]


def queues(network: Network, error: Exception) -> Queues:
    edge: Edge = real_edge(threads=2)
    return Queues(Refusing(error), network[US].deps.settings, edge)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error", [throttled(400), throttled(403), ReadTimeoutError(endpoint_url="sqs")]
)
def test_a_region_that_refuses_for_now_is_unavailable(network: Network, error: Exception):
    with pytest.raises(StoreUnavailable):
        queues(network, error).send(EU, "acks", "{}")


def test_origins_that_refuse_for_now_have_not_heard(network: Network):
    sending = queues(network, throttled())

    assert sending.acknowledge({EU: ["{}"], AP: ["{}"]}) == {EU, AP}


@pytest.mark.parametrize(
    "error",
    [
        throttled(),
        ReadTimeoutError(endpoint_url="sqs"),
        # What SQS says to a receipt that has run out.
        ClientError(
            {"Error": {"Code": "InvalidParameterValue"}},
            "ChangeMessageVisibility",
        ),
    ],
)
def test_a_message_that_cannot_be_retried_soon_fails_nothing(network: Network, error: Exception):
    record = {
        "eventSourceARN": f"arn:aws:sqs:{US}:{ACCOUNT}:antiphon-commands.fifo",
        "receiptHandle": "run out",
    }

    queues(network, error).retry_soon(record)


def test_throttled_queues_leave_the_answer_to_the_sweeper(network: Network):
    network[US].post(ACTIVATION)
    deps = network[AP].deps
    refusing = queues(network, throttled())
    object.__setattr__(deps.projector, "acknowledge", refusing.acknowledge)
    object.__setattr__(deps.projector, "redeliver", lambda cs: refusing.redeliver(AP, cs))

    assert network[AP].project(*network.take(AP, "lane")) != [], "it comes again"
    network.settle()
    assert network[US].answers == []

    network[US].later(ms=60_000)
    network[US].sweep()
    assert len(network[US].answers) == 1
