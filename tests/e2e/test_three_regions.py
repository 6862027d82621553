"""As a producer, an operator and an engineer use it: over HTTP and AWS's APIs, all of it real."""

import itertools
import json
import time
from typing import Any

import pytest

from tests.e2e.conftest import REGIONS, Running

US, EU, AP = REGIONS
_numbers = itertools.count()


def activation(command_id: str = "a") -> dict[str, Any]:
    """Return an activation of a subscriber that no other test uses."""
    return {
        "type": "ActivateSubscriber",
        "command_id": command_id,
        "producer": "e2e",
        "data": {
            "imsi": f"26201{next(_numbers):010d}",
            "msisdn": "+4915112345678",
            "iccid": "8949020000012345670",
            "service_profile": "consumer-5g",
        },
    }


def change(imsi: str, command_id: str, profile: str) -> dict[str, Any]:
    return {
        "type": "ChangeServiceProfile",
        "command_id": command_id,
        "producer": "e2e",
        "data": {"imsi": imsi, "service_profile": profile},
    }


def test_event_a_in_any_region_is_answered_with_event_b(running: Running):
    for region in REGIONS:
        told = running.post(region, activation(), Prefer="wait=20").json()

        assert told["status"] == "answered"
        assert sorted(told["answer"]["regions"]) == sorted(REGIONS)
        assert told["answer"]["origin"] == region
        assert told["answer"]["as_of_sequence"] >= told["sequence"] == 1


def test_a_token_reads_its_own_write_in_the_farthest_region(running: Running):
    command = activation()
    imsi = command["data"]["imsi"]
    running.post(US, command, Prefer="wait=20")

    for number in range(5):
        told = running.post(US, change(imsi, str(number), f"p-{number}")).json()
        read = running.get(
            AP, f"/subscribers/{imsi}", Consistency_Token=told["consistency_token"]
        ).json()

        assert read["applied_sequence"] >= told["sequence"]
        assert read["service_profile"] == f"p-{number}"
    strong = running.get(AP, f"/subscribers/{imsi}?consistency=strong").json()
    assert strong["service_profile"] == "p-4"


def test_a_duplicate_in_another_region_waits_for_the_same_answer(running: Running):
    command = activation()
    first = running.post(EU, command, Prefer="wait=20").json()

    again = running.post(AP, command, Prefer="wait=20").json()

    assert again["duplicate"] is True
    assert again["answer"] == first["answer"]
    status = running.get(US, f"/commands/{first['commit']}").json()
    assert (status["status"], status["answer"]) == ("answered", first["answer"])


def test_while_a_region_is_cut_off_nothing_is_answered_and_then_everything_is(running: Running):
    command = activation()
    imsi = command["data"]["imsi"]
    running.post(US, command, Prefer="wait=20")
    assert running.cli("wan", "cut", AP).exit_code == 0
    try:
        cut = [
            running.post(US, change(imsi, "during-1", "gold"), Prefer="wait=3").json(),
            running.post(EU, change(imsi, "during-2", "silver"), Prefer="wait=3").json(),
        ]
        isolated = running.post(AP, activation())

        assert [told["status"] for told in cut] == ["accepted", "accepted"]
        assert [told["answer"] for told in cut] == [None, None]
        assert (isolated.status_code, isolated.json()["code"]) == (503, "unavailable")
        # It still serves what it has, and never pretends to have more.
        assert running.get(AP, f"/subscribers/{imsi}").json()["applied_sequence"] == 1
        late = running.get(
            AP,
            f"/subscribers/{imsi}?wait_ms=100",
            Consistency_Token=cut[1]["consistency_token"],
        )
        assert (late.status_code, late.json()["code"]) == (503, "not_caught_up")
    finally:
        assert running.cli("wan", "heal").exit_code == 0

    for region, told in ((US, cut[0]), (EU, cut[1])):
        answer = _answer(running, region, told["commit"])
        assert sorted(answer["regions"]) == sorted(REGIONS)
        assert answer["as_of_sequence"] >= told["sequence"]


def _answer(running: Running, region: str, commit: str) -> dict[str, Any]:
    """Follow a command's status until it is answered, for 40 s at most."""
    until_s = time.monotonic() + 40
    while time.monotonic() < until_s:
        status = running.get(region, f"/commands/{commit}").json()
        if status["answer"] is not None:
            answer: dict[str, Any] = status["answer"]
            return answer
        # No queue is the pause: one with a message in it does not wait.
        time.sleep(0.2)
    raise AssertionError(f"{commit} was not answered")


def test_a_command_by_queue_arrives_in_the_mailbox_as_an_answer(running: Running):
    sqs = running.aws("sqs", EU)
    commands = sqs.get_queue_url(QueueName="antiphon-commands.fifo")["QueueUrl"]
    mailbox = sqs.get_queue_url(QueueName="antiphon-answers")["QueueUrl"]
    command = activation("by-queue")
    sqs.send_message(
        QueueUrl=commands,
        MessageBody=json.dumps(command),
        MessageGroupId=command["data"]["imsi"],
        MessageDeduplicationId="one",
    )

    envelope = _receive(sqs, mailbox, "by-queue")

    assert envelope["detail-type"] == "CommandAnswered"
    assert envelope["source"] == "antiphon"
    assert envelope["detail"]["state"]["imsi"] == command["data"]["imsi"]


def _receive(sqs: Any, mailbox: str, command_id: str) -> dict[str, Any]:
    # The answers of every test before may lie in the mailbox, in front of this one.
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        told = sqs.receive_message(QueueUrl=mailbox, WaitTimeSeconds=2, MaxNumberOfMessages=10)
        for message in told.get("Messages", []):
            sqs.delete_message(QueueUrl=mailbox, ReceiptHandle=message["ReceiptHandle"])
            envelope: dict[str, Any] = json.loads(message["Body"])
            if envelope["detail"]["command"]["command_id"] == command_id:
                return envelope
    raise AssertionError(f"no answer to {command_id}")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b"\xff\xfe", 400, "malformed"),
        (b"[]", 422, "invalid"),
        (b'{"type": "NoSuchCommand"}', 422, "invalid"),
        (b" " * 1_000_000, 413, "too_large"),
    ],
)
def test_bad_input_gets_its_error_through_the_whole_way(
    running: Running, body: bytes, status: int, code: str
):
    told = running.post(US, body)

    assert (told.status_code, told.json()["code"]) == (status, code)
    assert told.headers["content-type"] == "application/problem+json"


def test_the_api_documents_itself(running: Running):
    assert "/subscribers/{imsi}" in running.get(EU, "/openapi.json").json()["paths"]
    page = running.get(EU, "/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "SwaggerUIBundle" in page.text


def test_a_feed_is_played_judged_and_verified_and_verify_can_say_no(running: Running):
    played = running.cli("feed", "--generate", "40", "--rate", "20", "--seed", "7")
    assert played.exit_code == 0, played.output
    clean = running.cli("verify")
    assert clean.exit_code == 0, clean.output

    table = running.aws("dynamodb", AP)
    item = next(
        item
        for item in table.scan(TableName="antiphon-views")["Items"]
        if item["k"]["S"].startswith("subscriber-view") and "x" in item
    )
    # In clear, as versions before the sealing wrote: what it says is wrong all the same.
    altered = {name: value for name, value in item.items() if name != "x"}
    altered["d"] = {"S": json.dumps({"status": "activ3"})}
    table.put_item(TableName="antiphon-views", Item=altered)
    told = running.cli("verify", "--settle", "2")
    assert told.exit_code == 1
    assert AP in told.output

    responses = running.aws("dynamodb", EU)
    [answer, *_] = responses.scan(TableName="antiphon-responses")["Items"]
    responses.delete_item(TableName="antiphon-responses", Key={"c": answer["c"]})
    planned = running.cli("verify", "--settle", "2", "--repair", "--dry-run", "--json")
    assert planned.exit_code == 1
    assert {mend["how"] for mend in json.loads(planned.output)["mends"]} == {"refold", "answer"}
    repaired = running.cli("verify", "--settle", "2", "--repair", "--yes")
    assert repaired.exit_code == 0, repaired.output
    assert table.get_item(TableName="antiphon-views", Key=_key(item))["Item"] == item

    log = running.aws("dynamodb", US)
    [commit, *_] = log.scan(TableName="antiphon-events", ConsistentRead=True)["Items"]
    log.delete_item(TableName="antiphon-events", Key={"a": commit["a"], "q": commit["q"]})
    told = running.cli("verify", "--settle", "2")
    assert told.exit_code == 1
    assert commit["a"]["S"] in told.output
    log.put_item(TableName="antiphon-events", Item=commit)
    assert running.cli("verify").exit_code == 0


def _key(view: dict[str, Any]) -> dict[str, Any]:
    return {"k": view["k"], "s": view["s"]}


def test_what_a_cut_link_holds_back_is_not_settled_and_no_violation(running: Running):
    assert running.cli("wan", "cut", AP).exit_code == 0
    try:
        assert running.post(US, activation()).status_code == 202
        told = running.cli("verify", "--settle", "2")
        assert told.exit_code == 3, told.output
        assert f"{AP} is cut" in told.output
    finally:
        assert running.cli("wan", "heal").exit_code == 0
    healed = running.cli("verify", "--settle", "20")
    assert healed.exit_code == 0, healed.output
