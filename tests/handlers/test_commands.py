"""`POST /commands`: what it refuses, and that nothing is written then."""

import json
from typing import Any

import pytest

from handlers.edge import real_edge
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS
IMSI = ACTIVATION["data"]["imsi"]


def with_data(**fields: Any) -> dict[str, Any]:
    return {**ACTIVATION, "data": {**ACTIVATION["data"], **fields}}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "malformed"),
        ("", 400, "malformed"),
        ('"\\ud800"', 400, "malformed"),
        ("[" * 100_000, 400, "malformed"),
        ("NaN", 400, "malformed"),
        ("[]", 422, "invalid"),
        ("{}", 422, "invalid"),
        ({**ACTIVATION, "type": "DeleteSubscriber"}, 422, "invalid"),
        ({**ACTIVATION, "type": 7}, 422, "invalid"),
        ({**ACTIVATION, "producer": ""}, 422, "invalid"),
        ({**ACTIVATION, "expected_sequence": "1"}, 422, "invalid"),
        ({**ACTIVATION, "expected_sequence": -1}, 422, "invalid"),
        ({**ACTIVATION, "occurred_at": "2026-11-23T10:00:00"}, 422, "invalid"),
        ({**ACTIVATION, "surprise": 1}, 422, "invalid"),
        ({**ACTIVATION, "depends_on": "x" * 40}, 422, "invalid_token"),
        (with_data(imsi=262011234567890), 422, "invalid"),
        (with_data(imsi="000991234567890"), 422, "invalid"),
        (with_data(msisdn="+999123456"), 422, "invalid"),
        (with_data(iccid="8949020000012345671"), 422, "invalid"),
        (with_data(service_profile=None), 422, "invalid"),
        ("x" * 1_000_000, 413, "too_large"),
    ],
)
def test_what_cannot_be_decided_is_told_and_not_recorded(
    network: Network, body: Any, status: int, code: str
):
    got, problem = network[US].post(body)

    assert (got, problem["code"], problem["status"]) == (status, code, status)
    assert problem["detail"]
    aggregate_id = network[US].deps.keys.aggregate_id("sub", IMSI)
    assert network.log.head(aggregate_id, consistent=True) is None
    assert network.messages == {}


def test_each_invalid_field_is_named(network: Network):
    _, problem = network[US].post(with_data(msisdn="123", iccid="1"))

    assert {error["field"] for error in problem["errors"]} == {"data.msisdn", "data.iccid"}


def test_a_client_key_names_the_command_and_its_reuse_is_refused(network: Network):
    key = {"Idempotency-Key": "order-7"}
    _, first = network[US].post(ACTIVATION, key)
    # The same content under a new command id is the same command: the key names it.
    status, again = network[EU].post({**ACTIVATION, "command_id": "other"}, key)
    assert (status, again["duplicate"], again["commit"]) == (202, True, first["commit"])

    status, problem = network[EU].post(with_data(service_profile="gold"), key)
    assert (status, problem["code"]) == (422, "key_reused")


def test_an_idempotency_key_that_is_no_key_is_refused(network: Network):
    status, problem = network[US].post(ACTIVATION, {"Idempotency-Key": "a b"})
    assert (status, problem["code"]) == (422, "invalid")


def test_expected_sequence_is_that_of_the_last_change(network: Network):
    network[US].post(ACTIVATION)
    network[US].post({**ACTIVATION, "command_id": "no-op"})
    change = {
        "type": "ChangeServiceProfile",
        "command_id": "c",
        "producer": "crm-emea",
        "data": {"imsi": IMSI, "service_profile": "gold"},
    }

    status, problem = network[EU].post({**change, "expected_sequence": 2})
    assert (status, problem["code"]) == (409, "conflict")

    assert network[EU].post({**change, "expected_sequence": 1})[0] == 202
    # The first result is found before the precondition, which no longer holds, is asked.
    assert network[AP].post({**change, "expected_sequence": 1})[1]["duplicate"] is True


def test_a_warm_region_that_is_behind_does_not_refuse_a_right_expectation(network: Network):
    network[EU].post(ACTIVATION)
    change = {
        "type": "ChangeServiceProfile",
        "producer": "crm-emea",
        "data": {"imsi": IMSI, "service_profile": "gold"},
    }
    network[US].post({**change, "command_id": "2"})
    suspend = {
        "type": "SuspendSubscriber",
        "command_id": "3",
        "producer": "crm-emea",
        "expected_sequence": 2,
        "data": {"imsi": IMSI, "reason": "fraud"},
    }

    assert network[EU].post(suspend)[0] == 202


def test_a_dependency_must_be_in_the_log(network: Network):
    _, told = network[US].post(ACTIVATION)
    register = {
        "type": "RegisterNetworkElement",
        "command_id": "r",
        "producer": "oss",
        "data": {"element_id": "gnb-1", "kind": "gnb", "site": "ber-1", "plmn": "262-01"},
    }

    status, _ = network[EU].post({**register, "depends_on": told["consistency_token"]})
    assert status == 202

    unborn = network[US].deps.keys.seal(f"1|{told['aggregate_id']}|2|2".encode())
    status, problem = network[EU].post({**register, "command_id": "r2", "depends_on": unborn})
    assert (status, problem["code"]) == (409, "dependency_not_reached")


def test_a_reply_that_waits_carries_event_b(network: Network):
    _, told = network[US].post(ACTIVATION)
    network.settle()

    status, again = network[EU].post(ACTIVATION, {"Prefer": "wait=5"})

    assert (status, again["status"]) == (200, "answered")
    assert again["answer"] == network[US].answers[0]
    assert again["commit"] == told["commit"]


def test_correlation_and_trace_are_carried_to_event_b(network: Network):
    traceparent = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
    network[US].post(ACTIVATION, {"X-Correlation-Id": "order-7", "traceparent": traceparent})
    network.settle()

    [answer] = network[US].answers
    assert (answer["correlation_id"], answer["traceparent"]) == ("order-7", traceparent)


def record(
    message_id: str, body: Any, group: str = "g", sent_ms: int | None = None
) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    return {
        "messageId": message_id,
        "body": text,
        "attributes": {
            "MessageGroupId": group,
            "SentTimestamp": str(sent_ms or real_edge(threads=1).now_ms()),
        },
        "messageAttributes": {"X-Correlation-Id": {"stringValue": "from-queue"}},
    }


def test_a_command_by_queue_is_decided_once_and_answered(network: Network):
    assert network[AP].take_from_queue(record("m1", ACTIVATION), record("m2", ACTIVATION)) == []
    network.settle()

    [answer] = network[AP].answers
    assert answer["correlation_id"] == "from-queue"


def test_a_message_that_can_never_be_decided_moves_to_the_dead_letters_whole(network: Network):
    assert network[AP].take_from_queue(record("m1", "{"), record("m2", ACTIVATION)) == []

    assert network.take(AP, "dead") == ["{"]
    [more] = network.extras[AP, "dead"]
    assert "malformed" in more["MessageAttributes"]["Antiphon-Error"]["StringValue"]
    assert network.log.head(network[AP].deps.keys.aggregate_id("sub", IMSI), consistent=True)


def test_behind_a_failure_the_messages_of_its_group_wait(network: Network):
    unborn = network[US].deps.keys.seal(f"1|{'sub.' + 'a' * 26}|2|2".encode())
    early = {**ACTIVATION, "depends_on": unborn}
    other = {**ACTIVATION, "data": {**ACTIVATION["data"], "imsi": "262011234567891"}}

    failed = network[AP].take_from_queue(
        record("m1", early), record("m2", ACTIVATION), record("m3", other, group="h")
    )

    assert failed == ["m1", "m2"]


def test_another_region_proves_the_answer_itself_and_the_origin_publishes_that_body(
    network: Network,
):
    network[US].post(ACTIVATION)
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    network.take(US, "acks")

    status, told = network[EU].post(ACTIVATION, {"Prefer": "wait=5"})

    assert (status, told["status"], told["duplicate"]) == (200, "answered", True)
    assert network[US].answers == []
    network[US].later(ms=60_000)
    network[US].sweep()
    assert network[US].answers == [told["answer"]]


def test_another_region_proves_nothing_while_one_has_not_applied_it(network: Network):
    network[US].post(ACTIVATION)
    network.take(AP, "lane")
    network.settle()

    status, told = network[EU].post(ACTIVATION, {"Prefer": "wait=1"})

    assert (status, told["status"], told["answer"]) == (202, "accepted", None)


def test_a_buried_command_keeps_what_identifies_it(network: Network):
    with_key = record("m1", ACTIVATION, sent_ms=1_700_000_000_000)
    with_key["messageAttributes"]["Idempotency-Key"] = {"stringValue": "order-7"}
    other = record("m2", with_data(service_profile="gold"), sent_ms=1_700_000_000_000)
    other["messageAttributes"]["Idempotency-Key"] = {"stringValue": "order-7"}

    assert network[AP].take_from_queue(with_key, other) == []

    [more] = network.extras[AP, "dead"]
    told = {name: value["StringValue"] for name, value in more["MessageAttributes"].items()}
    assert told["Idempotency-Key"] == "order-7"
    assert told["Antiphon-First-Received-Ms"] == "1700000000000"
    assert "KeyReused" in told["Antiphon-Error"]


def test_headers_by_queue_are_held_to_the_same_rules(network: Network):
    odd = record("m1", ACTIVATION)
    odd["messageAttributes"] = {
        "X-Correlation-Id": {"stringValue": "a\r\nSet-Cookie: x=1"},
        "traceparent": {"stringValue": "junk 262011234567890"},
    }
    network[AP].take_from_queue(odd)

    commit = network.log.head(network[AP].deps.keys.aggregate_id("sub", IMSI), consistent=True)
    assert commit is not None
    assert commit.correlation_id.isalnum()
    assert commit.traceparent is not None
    assert "262011234567890" not in commit.traceparent


def test_a_message_that_there_is_no_time_for_comes_again_undecided(network: Network):
    class NearlyOver:
        def get_remaining_time_in_millis(self) -> int:
            return 5_000

    told = network[AP]._command_queue({"Records": [record("m1", ACTIVATION)]}, NearlyOver())

    assert told == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert network.take("m1", "retried") == [json.dumps(ACTIVATION)]
    aggregate_id = network[AP].deps.keys.aggregate_id("sub", IMSI)
    assert network.log.head(aggregate_id, consistent=True) is None
