"""Dead letters on running regions: what fails on the way is kept, shown, and goes on after all."""

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

from projections.letters import Letter
from tests.e2e.conftest import REGIONS, Running

US, EU, AP = REGIONS
LETTERS = "antiphon-letters"
_numbers = itertools.count(500)


def activation(command_id: str = "a") -> dict[str, Any]:
    """Return an activation of a subscriber that no other test uses."""
    return {
        "type": "ActivateSubscriber",
        "command_id": command_id,
        "producer": "e2e-letters",
        "data": {
            "imsi": f"26201{next(_numbers):010d}",
            "msisdn": "+4915112345678",
            "iccid": "8949020000012345670",
            "service_profile": "consumer-5g",
        },
    }


def send(running: Running, region: str, queue: str, body: str, **more: Any) -> None:
    sqs = running.aws("sqs", region)
    sqs.send_message(
        QueueUrl=sqs.get_queue_url(QueueName=queue)["QueueUrl"], MessageBody=body, **more
    )


def letter_of(running: Running, region: str, wanted: Callable[[Letter], bool]) -> Letter:
    """Return the letter that a region has, or gets within seconds."""
    store = running.wired(region).letters
    until_s = time.monotonic() + 20
    while time.monotonic() < until_s:
        opened = [store.get(letter.letter_id) for letter in store.all()]
        found = [letter for letter in opened if letter is not None and wanted(letter)]
        if found:
            return found[0]
        # No queue is the pause: one with a message in it does not wait.
        time.sleep(0.2)
    raise AssertionError(f"no such letter in {region}")


def test_a_message_that_is_no_command_is_kept_whole_in_the_dead_letters(running: Running):
    send(
        running,
        US,
        "antiphon-commands.fifo",
        "{broken",
        MessageGroupId="g",
        MessageDeduplicationId="broken",
    )

    letter = letter_of(running, US, lambda one: one.payload == "{broken")

    assert (letter.source, letter.attempts, letter.state) == ("commands", 1, "open")
    assert "malformed" in letter.error


def test_a_command_that_can_be_decided_after_all_is_replayed_once(running: Running):
    command = activation("expecting")
    imsi = command["data"]["imsi"]
    change = {
        "type": "ChangeServiceProfile",
        "command_id": "later",
        "producer": "e2e-letters",
        "expected_sequence": 1,
        "data": {"imsi": imsi, "service_profile": "gold"},
    }
    send(
        running,
        EU,
        "antiphon-commands.fifo",
        json.dumps(change),
        MessageGroupId=imsi,
        MessageDeduplicationId="expecting",
    )
    letter = letter_of(running, EU, lambda one: imsi in (one.payload or ""))
    assert "ExpectationNotMet" in letter.error
    listed = running.cli("dlq", "list", "--json")
    assert letter.letter_id in listed.output
    assert imsi not in listed.output
    assert imsi in running.cli("dlq", "show", letter.letter_id, "--reveal").output

    running.post(EU, command, Prefer="wait=20")
    for _ in range(2):
        replayed = running.cli("dlq", "replay", letter.letter_id, "--json")
        assert replayed.exit_code == 0, replayed.output
        assert json.loads(replayed.output)[0]["outcome"] == "done"

    told = running.post(EU, change, Prefer="wait=20").json()
    assert (told["duplicate"], told["sequence"], told["status"]) == (True, 2, "answered")


def test_a_poisoned_aggregate_stops_alone_and_goes_on_from_the_log_once_repaired(running: Running):
    poisoned, other = activation(), activation()
    aggregate_id = running.post(US, poisoned, Prefer="wait=20").json()["aggregate_id"]
    table = running.aws("dynamodb", US)
    [first] = table.query(
        TableName="antiphon-events",
        KeyConditionExpression="a = :a",
        ExpressionAttributeValues={":a": {"S": aggregate_id}},
        ConsistentRead=True,
    )["Items"]
    following = {
        **first,
        "q": {"N": "2"},
        "p": {"N": "1"},
        "k": {"B": b"k" * 16},
        "c": {"S": "poison"},
        # Nothing of it is sealed.
        "f": {"N": "1"},
    }
    unheard = {"t": {"S": "Subscriber.Unheard"}, "v": {"N": "1"}, "d": {"B": b"{}"}}
    table.put_item(TableName="antiphon-events", Item={**following, "e": {"L": [{"M": unheard}]}})

    letter_id = f"projector.{aggregate_id}"
    for region in REGIONS:
        letter = letter_of(running, region, lambda one: one.letter_id == letter_id)
        assert (letter.commit_id, letter.correlation_id) == (f"{aggregate_id}.2", "poison")
        assert "CorruptLog" in letter.error
    assert running.post(EU, other, Prefer="wait=20").json()["status"] == "answered"
    assert "1 in antiphon-letters" in running.cli("status").output
    refused = running.cli("dlq", "drop", letter_id, "--reason", "no time", "--yes")
    assert (refused.exit_code, "rebuild" in refused.output) == (1, True)
    still = running.cli("dlq", "replay", letter_id, "--wait", "20", "--json")
    assert still.exit_code == 1
    assert {one["outcome"] for one in json.loads(still.output)} == {"failed"}

    # Repaired: what follows is a change that the subscriber knows.
    changed = {
        "t": {"S": "Subscriber.ServiceProfileChanged"},
        "v": {"N": "1"},
        "d": {"B": b'{"service_profile":"gold"}'},
    }
    table.put_item(TableName="antiphon-events", Item={**following, "e": {"L": [{"M": changed}]}})
    for _ in range(2):
        replayed = running.cli("dlq", "replay", letter_id, "--wait", "20", "--json")
        assert replayed.exit_code == 0, replayed.output
        assert {one["outcome"] for one in json.loads(replayed.output)} == {"done"}

    imsi = poisoned["data"]["imsi"]
    for region in REGIONS:
        view = running.get(region, f"/subscribers/{imsi}").json()
        assert (view["service_profile"], view["applied_sequence"]) == ("gold", 2)
    # The repair itself changed the log, which nothing of Antiphon does: that is a letter too.
    tampered = letter_of(running, AP, lambda one: one.letter_id == f"log.{aggregate_id}.2")
    assert tampered.source == "log"
    dropped = running.cli("dlq", "drop", tampered.letter_id, "--reason", "the repair", "--yes")
    assert dropped.exit_code == 0, dropped.output


def test_records_that_the_stream_gives_up_are_letters(running: Running):
    told = running.post(US, activation(), Prefer="wait=20").json()
    record = {
        "eventName": "INSERT",
        "dynamodb": {"Keys": {"a": {"S": told["aggregate_id"]}, "q": {"N": "1"}}},
    }
    content = {
        "requestContext": {"condition": "MaxRecordAgeExceeded", "approximateInvokeCount": 9},
        "payload": json.dumps({"Records": [record]}),
    }
    s3 = running.aws("s3", EU)
    s3.put_object(
        Bucket="antiphon-discarded-000000000000-eu-west-1",
        Key="aws/lambda/mapping/shard/2026=1/one",
        Body=json.dumps(content).encode(),
    )

    letter = letter_of(running, EU, lambda one: one.letter_id == f"stream.{told['aggregate_id']}")

    assert (letter.commit_id, letter.error) == (
        told["commit"],
        "MaxRecordAgeExceeded after 9 deliveries",
    )
    assert (letter.kept_at or "").endswith("eu-west-1/aws/lambda/mapping/shard/2026=1/one")
    replayed = running.cli("dlq", "replay", "--source", "stream", "--region", EU, "--json")
    assert json.loads(replayed.output)[0]["outcome"] == "done", replayed.output


def test_an_undelivered_answer_is_put_into_the_mailbox(running: Running):
    told = running.post(AP, activation("undelivered"), Prefer="wait=20").json()
    event = {"source": "antiphon", "detail-type": "CommandAnswered", "detail": told["answer"]}
    sqs = running.aws("sqs", AP)
    send(running, AP, "antiphon-answers-dead", json.dumps({**event, "marked": "again"}))
    letter = letter_of(running, AP, lambda one: one.source == "bus")
    assert letter.commit_id == told["commit"]

    assert running.cli("dlq", "replay", letter.letter_id).exit_code == 0

    url = sqs.get_queue_url(QueueName="antiphon-answers")["QueueUrl"]
    for _ in range(20):
        mail = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        if any("marked" in message["Body"] for message in mail.get("Messages", [])):
            return
    raise AssertionError("it was not delivered")


def test_what_is_dropped_is_gone_and_who_and_why_is_kept(running: Running):
    send(running, US, "antiphon-acks-dead", "not an acknowledgement")
    letter = letter_of(running, US, lambda one: one.source == "acks")

    dropped = running.cli(
        "dlq", "drop", letter.letter_id, "--reason", "a test", "--by", "eva", "--yes"
    )

    assert dropped.exit_code == 0, dropped.output
    assert letter.letter_id not in running.cli("dlq", "list").output
    told = json.loads(running.cli("dlq", "list", "--dropped", "--json").output)
    [audit] = [one for one in told if one["letter"] == letter.letter_id]
    assert (audit["dropped_by"], audit["reason"]) == ("eva", "a test")
