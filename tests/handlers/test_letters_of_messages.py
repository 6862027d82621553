"""Dead letters that are messages: commands, acknowledgements, deliveries; and bad orders."""

import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from eventstore.errors import StoreUnavailable
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS
IMSI = ACTIVATION["data"]["imsi"]


def message_attributes(**texts: str) -> dict[str, Any]:
    return {
        "messageAttributes": {
            name.replace("_", "-"): {"dataType": "String", "stringValue": text}
            for name, text in texts.items()
        }
    }


def buried(network: Network, command: Any, **headers: str) -> str:
    """Have the command queue bury a message, and the dead letters take it in; return its id."""
    body = command if isinstance(command, str) else json.dumps(command)
    record = {
        "messageId": f"m-{len(network.extras[AP, 'dead'])}",
        "body": body,
        "attributes": {"MessageGroupId": IMSI, "SentTimestamp": "1700000000000"},
        **message_attributes(**headers),
    }
    assert network[AP].take_from_queue(record) == []
    [message] = network.take(AP, "dead")
    return take_in(network, message, network.extras[AP, "dead"][-1])


def take_in(network: Network, body: str, more: dict[str, Any]) -> str:
    told = {name: value["StringValue"] for name, value in more["MessageAttributes"].items()}
    before = {one.letter_id: one.attempts for one in network[AP].letters.values()}
    assert not network[AP].bury(
        "dead",
        body,
        attributes={"MessageGroupId": more["MessageGroupId"], "SentTimestamp": "1800000000000"},
        **message_attributes(**told),
    )
    [letter_id] = [
        one.letter_id
        for one in network[AP].letters.values()
        if before.get(one.letter_id) != one.attempts
    ]
    return letter_id


def test_a_command_that_was_buried_is_a_letter_with_all_that_identifies_it(network: Network):
    letter_id = buried(
        network,
        {**ACTIVATION, "expected_sequence": 7},
        Idempotency_Key="order-7",
        X_Correlation_Id="c",
    )

    letter = network[AP].letters[letter_id]
    assert letter.source == "commands"
    assert letter.aggregate_id == network[AP].deps.keys.aggregate_id("sub", IMSI)
    assert json.loads(letter.payload or "")["expected_sequence"] == 7
    assert letter.attributes["Idempotency-Key"] == "order-7"
    assert letter.attributes["Antiphon-First-Received-Ms"] == "1700000000000"
    assert letter.correlation_id == "c"
    assert "ExpectationNotMet" in letter.error
    # A number stands in no key and in nothing that a listing shows.
    shown = replace(letter, payload=None, attributes={})
    assert IMSI not in repr(shown)


def test_a_replayed_command_is_the_same_command_and_is_decided_once(network: Network):
    unborn = {**ACTIVATION, "expected_sequence": 1}
    letter_id = buried(network, unborn, Idempotency_Key="order-7")
    # What it expects comes true by other hands.
    network.posted(command_id="first")

    assert network[AP].order("replay", letter_id)[0] == "done"
    assert network[AP].order("replay", letter_id)[0] == "done"

    [body] = network.take(AP, "commands")
    [more] = network.extras[AP, "commands"]
    told = {name: one["StringValue"] for name, one in more["MessageAttributes"].items()}
    assert (more["MessageGroupId"], told["Idempotency-Key"]) == (IMSI, "order-7")
    assert told["Antiphon-First-Received-Ms"] == "1700000000000"
    assert "Antiphon-Group" not in told
    record = {
        "messageId": "again",
        "body": body,
        "attributes": {"MessageGroupId": IMSI, "SentTimestamp": "1800000000000"},
        "messageAttributes": {name: {"stringValue": text} for name, text in told.items()},
    }
    assert network[AP].take_from_queue(record, {**record, "messageId": "twice"}) == []
    aggregate_id = network[AP].deps.keys.aggregate_id("sub", IMSI)
    assert len(list(network.log.read(aggregate_id, consistent=True))) == 2
    assert network[AP].letters[letter_id].payload is None


def test_a_command_that_fails_again_is_the_same_letter_with_one_attempt_more(network: Network):
    first = buried(network, "{")
    network[AP].order("replay", first)
    [body] = network.take(AP, "commands")

    assert buried(network, body) == first

    letter = network[AP].letters[first]
    assert (letter.attempts, letter.state, letter.payload) == (2, "open", "{")
    # SQS must not take the second replay for a repetition of the first.
    network[AP].order("replay", first)
    once, again = network.extras[AP, "commands"]
    assert once["MessageDeduplicationId"] != again["MessageDeduplicationId"]


def test_a_command_that_was_buried_twice_is_one_attempt(network: Network):
    about = {"MessageGroupId": IMSI, "SentTimestamp": "1700000000000"}
    told = message_attributes(Antiphon_Message_Id="m1", Antiphon_Error="invalid: x")
    for _ in range(2):
        assert network[AP].bury("dead", "{", attributes=about, **told) == []

    assert [letter.attempts for letter in network[AP].letters.values()] == [1]


def test_a_replay_that_cannot_be_sent_leaves_the_letter_as_it_is(network: Network):
    letter_id = buried(network, "{")
    network.unreachable.add(AP)

    assert network[AP].order("replay", letter_id)[0] == "unavailable"

    letter = network[AP].letters[letter_id]
    assert (letter.state, letter.payload, letter.attempts) == ("open", "{", 1)


def test_a_replay_that_is_refused_is_one_attempt_more(network: Network):
    letter_id = buried(network, "{")

    def refuse(*_: Any, **__: Any) -> None:
        raise ClientError({"Error": {"Code": "InvalidParameterValue"}}, "SendMessage")

    network[AP].deps.queues.send = refuse  # type: ignore[method-assign]
    outcome, why = network[AP].order("replay", letter_id)

    assert (outcome, why) == ("failed", "it was refused with InvalidParameterValue")
    letter = network[AP].letters[letter_id]
    assert (letter.attempts, letter.state, letter.payload) == (2, "open", "{")


def test_a_crash_between_sending_and_ending_loses_no_command(network: Network):
    letter_id = buried(network, "{")

    def crash(*_: Any, **__: Any) -> bool:
        raise RuntimeError("gone")

    letters = network[AP].deps.letters
    finish, letters.finish = letters.finish, crash  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        network[AP].order("replay", letter_id)
    letters.finish = finish  # type: ignore[method-assign]

    assert network[AP].order("replay", letter_id)[0] == "done"
    first, second = network.extras[AP, "commands"]
    assert first["MessageDeduplicationId"] == second["MessageDeduplicationId"]


def test_a_message_that_sqs_moved_by_itself_says_since_when_it_is_under_way(network: Network):
    assert not network[AP].bury(
        "dead",
        json.dumps(ACTIVATION),
        attributes={
            "MessageGroupId": IMSI,
            "SentTimestamp": "1800000000000",
            "ApproximateFirstReceiveTimestamp": "1700000000000",
        },
    )

    [letter] = network[AP].letters.values()
    assert letter.attributes["Antiphon-First-Received-Ms"] == "1700000000000"
    assert "given up" in letter.error


def test_a_command_that_is_dropped_is_gone_and_who_and_why_stays(network: Network):
    letter_id = buried(network, "{")
    assert network[AP].order("drop", letter_id, by=" ", reason="x")[0] == "refused"
    assert network[AP].order("drop", letter_id, by="eva", reason="")[0] == "refused"

    assert network[AP].order("drop", letter_id, by="eva", reason="sent by mistake")[0] == "dropped"

    assert network[AP].order("replay", letter_id)[0] == "dropped"
    assert network[AP].order("drop", letter_id, by="ben", reason="x")[0] == "dropped"
    assert network.messages[AP, "commands"] == []
    assert network[AP].letters[letter_id].payload is None
    [audit] = network[AP].deps.letters.dropped()
    assert (audit.letter_id, audit.dropped_by, audit.reason) == (
        letter_id,
        "eva",
        "sent by mistake",
    )


def test_a_message_too_large_to_be_buried_with_its_reason_comes_again(network: Network):
    send = network[AP].deps.queues.send

    def refuse(region: str, queue: str, body: str, **more: Any) -> None:
        if queue == "dead":
            raise ClientError({"Error": {"Code": "InvalidParameterValue"}}, "SendMessage")
        send(region, queue, body, **more)

    network[AP].deps.queues.send = refuse  # type: ignore[method-assign]
    broken = {
        "messageId": "m1",
        "body": "{",
        "attributes": {"MessageGroupId": "g", "SentTimestamp": "1700000000000"},
    }
    good = {**broken, "messageId": "m2", "body": json.dumps(ACTIVATION)}
    good["attributes"] = {"MessageGroupId": "h", "SentTimestamp": "1700000000000"}

    assert network[AP].take_from_queue(broken, good) == ["m1"]


# Acknowledgements, the lane, the bus.


@pytest.mark.parametrize(("dead", "queue"), [("acks-dead", "acks"), ("lane-dead", "lane")])
def test_a_message_that_its_function_cannot_read_is_sent_again_as_it_was(
    network: Network, dead: str, queue: str
):
    assert network[US].bury(dead, "not what it should be") == []
    [letter] = network[US].letters.values()
    assert (letter.source, letter.payload) == (queue, "not what it should be")

    assert network[US].order("replay", letter.letter_id)[0] == "done"

    assert network.take(US, queue) == ["not what it should be"]


def test_acknowledgements_that_were_given_up_are_sent_again(network: Network):
    commit = network.posted()
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    for body in network.take(US, "acks"):
        network[US].bury("acks-dead", body)
    assert {letter.aggregate_id for letter in network[US].letters.values()} == {commit.aggregate_id}

    for letter_id in network[US].letters:
        assert network[US].order("replay", letter_id)[0] == "done"
    network.settle()

    assert len(network[US].answers) == 1


def test_an_answer_that_the_bus_could_not_deliver_goes_to_the_mailbox(network: Network):
    commit = network.posted()
    network.settle()
    [answer] = network[US].answers
    event = json.dumps({"source": "antiphon", "detail-type": "CommandAnswered", "detail": answer})
    attributes = {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "not allowed"}
    told = {name: {"stringValue": text} for name, text in attributes.items()}

    for _ in range(2):
        assert network[US].bury("answers-dead", event, messageAttributes=told) == []

    [letter] = network[US].letters.values()
    assert (letter.source, letter.commit_id, letter.attempts) == ("bus", commit.commit_id, 2)
    assert letter.error == "NO_PERMISSIONS: not allowed"
    assert letter.correlation_id == answer["correlation_id"]
    assert network[US].order("replay", letter.letter_id)[0] == "done"
    assert network.take(US, "answers") == [event]


def test_an_answer_too_large_for_a_letter_is_delivered_from_its_stored_body(network: Network):
    network.posted()
    network.settle()
    [answer] = network[US].answers
    event = {"source": "antiphon", "detail-type": "CommandAnswered", "detail": answer}
    network[US].bury("answers-dead", json.dumps({**event, "padding": "x" * 400_000}))
    [letter] = network[US].letters.values()
    assert letter.payload is None

    assert network[US].order("replay", letter.letter_id)[0] == "done"

    [delivered] = network.take(US, "answers")
    assert json.loads(delivered) == event


# What the function does with what is no letter.


def test_what_cannot_be_taken_in_now_stays_in_its_queue(network: Network):
    class Throttled:
        def __getattr__(self, name: str) -> Any:
            raise StoreUnavailable("throttled")

    letters = network[US].deps.letters
    network[US].deps.__dict__["letters"] = Throttled()
    assert len(network[US].bury("acks-dead", "x")) == 1
    network[US].deps.__dict__["letters"] = letters
    assert len(network[US].bury("somebody-elses", "x")) == 1
    assert len(network[US].bury("discarded", "{")) == 1
    assert network[US].letters == {}


@pytest.mark.parametrize("order", ["replay", "look", "drop"])
def test_an_order_on_a_letter_that_is_not_there_says_so(network: Network, order: str):
    outcome, why = network[US].order(order, "commands.nothing", by="eva", reason="x")
    assert (outcome, why) == ("unknown", "us-east-1 has no letter commands.nothing")


@pytest.mark.parametrize(
    "event", [{"order": "burn", "letter": "x"}, {"order": "replay"}, {"order": "look", "letter": 7}]
)
def test_what_is_no_order_is_refused(network: Network, event: dict[str, Any]):
    assert network[US]._dead_letters(event, None)["outcome"] == "refused"
