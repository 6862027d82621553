"""The producers' client sends until a command is decided, in whichever region that can be."""

from datetime import UTC, datetime

import httpx
import pytest

from antiphon.client import NotRecorded, Producer, Undecided
from domain.subscriber import ActivateSubscriber, SuspendSubscriber
from handlers.published import Problem
from tests.client.conftest import Carrier
from tests.handlers.network import REGIONS, Network

US, EU, AP = REGIONS
IMSI = "262011234567890"
ACTIVATE = ActivateSubscriber(
    imsi=IMSI,
    msisdn="+4915112345678",
    iccid="8949020000012345670",
    service_profile="consumer-5g",
)


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout("nothing came", request=request)


def busy(code: str, status: int = 503) -> httpx.Response:
    problem = Problem(type="about:blank", title="t", status=status, code=code, detail="later")
    return httpx.Response(status, content=problem.model_dump_json())


def test_a_command_is_recorded_and_its_reply_read(producer: Producer, network: Network):
    reply = producer.send(ACTIVATE, command_id="a", occurred_at=datetime(2026, 11, 24, tzinfo=UTC))

    assert (reply.status, reply.region, reply.sequence) == ("accepted", US, 1)
    assert (reply.duplicate, reply.answer) == (False, None)


def test_a_refusal_by_the_domain_is_a_reply(producer: Producer):
    reply = producer.send(SuspendSubscriber(imsi=IMSI, reason="fraud"), command_id="a")

    assert (reply.status, reply.reason) == ("rejected", "unknown_subscriber")
    assert reply.message


def test_a_lost_reply_is_found_in_the_next_region(producer: Producer, carrier: Carrier):
    def decided_but_lost(request: httpx.Request) -> httpx.Response:
        carrier.deliver(request)
        return lost(request)

    carrier.faults = [decided_but_lost]

    reply = producer.send(ACTIVATE, command_id="a")

    assert carrier.asked == [US, EU]
    assert (reply.status, reply.duplicate, reply.sequence) == ("accepted", True, 1)
    assert len(set(carrier.bodies)) == 1, "the same bytes are the same command"


@pytest.mark.parametrize(
    "response",
    [
        busy("unavailable"),
        busy("busy", 429),
        busy("conflict", 409),
        busy("dependency_not_reached", 409),
        httpx.Response(502, text="<html>Bad gateway</html>"),
    ],
    ids=["unavailable", "busy", "conflict", "dependency", "gateway"],
)
def test_what_passes_is_sent_again(producer: Producer, carrier: Carrier, response: httpx.Response):
    carrier.faults = [lambda _: response]

    assert producer.send(ACTIVATE, command_id="a").status == "accepted"
    assert carrier.asked == [US, EU]


def test_what_never_passes_is_an_error_at_once(producer: Producer, carrier: Carrier):
    with pytest.raises(NotRecorded, match=r"invalid.*command_id") as raised:
        producer.send(ACTIVATE, command_id="not one word")

    assert raised.value.problem.code == "invalid"
    assert carrier.asked == [US]


def test_an_expectation_that_is_not_met_is_an_error_at_once(producer: Producer, carrier: Carrier):
    producer.send(ACTIVATE, command_id="a")
    suspend = SuspendSubscriber(imsi=IMSI, reason="fraud")

    with pytest.raises(NotRecorded, match="conflict"):
        producer.send(suspend, command_id="b", expected_sequence=0)

    assert len(carrier.asked) == 2


def test_when_no_region_has_a_result_the_last_reason_is_told(carrier: Carrier):
    producer = Producer([f"http://{US}"], name="crm", patience_s=0.2, transport=carrier)
    carrier.faults = [lost] * 100

    with pytest.raises(Undecided, match=f"http://{US} gave no reply"):
        producer.send(ACTIVATE, command_id="a")


def test_a_region_is_left_the_time_that_it_asks_for(producer: Producer, carrier: Carrier):
    carrier.faults = [
        lambda _: httpx.Response(503, headers={"Retry-After": "60"}),
    ]

    with pytest.raises(Undecided):
        # A minute is more patience than this producer has.
        producer.send(ACTIVATE, command_id="a")

    assert carrier.asked == [US]


def test_an_answer_is_waited_for_in_any_region(
    producer: Producer, carrier: Carrier, network: Network
):
    reply = producer.send(ACTIVATE, command_id="a")
    assert producer.wait(reply, wait_s=0) is None
    network.settle()
    carrier.faults = [lost]

    answer = producer.wait(reply, wait_s=5)

    assert answer is not None
    assert answer.command.command_id == "a"
    assert answer.as_of_sequence >= reply.sequence
    assert set(answer.regions) == set(REGIONS)


def test_a_reply_that_was_held_has_the_answer(
    producer: Producer, carrier: Carrier, network: Network
):
    reply = producer.send(ACTIVATE, command_id="a")
    network.settle()
    answered = reply.model_copy(update={"answer": producer.wait(reply, wait_s=5)})
    asked = len(carrier.asked)

    assert producer.wait(answered, wait_s=5) == answered.answer is not None
    assert len(carrier.asked) == asked


def test_what_cannot_be_asked_for_is_said(producer: Producer):
    with pytest.raises(ValueError, match="0 to 20"):
        producer.send(ACTIVATE, command_id="a", wait_s=21)
    with pytest.raises(ValueError, match="at least one region"):
        Producer([], name="crm")
