"""Whatever a decoder is given, it returns what it decodes or raises its own error."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.registry import REGISTRY
from eventstore.commits import (
    LAST_MS,
    REFUSED,
    Commit,
    RecordedEvent,
    from_item,
    parse_commit_id,
    to_image,
    to_item,
)
from eventstore.consistency import ConsistencyToken, read_token, token_at, token_of
from eventstore.errors import CorruptLog, InvalidToken
from eventstore.identity import Keys
from eventstore.requests import CommandRequest
from handlers.envelope import BadCommand, CommandReader
from handlers.problems import BAD_COMMANDS
from projections.acknowledgements import (
    AckMessage,
    MalformedMessage,
    messages_by_region,
    read_message,
)
from projections.lane import Delivery, lane_messages, read_lane
from tests.commits import AGGREGATE, a_commit
from tests.garbage.strategies import bodies, spoiled, texts, torn, values
from tests.handlers.network import ACTIVATION

KEYS = Keys(b"a secret of the tests")
READER = CommandReader(REGISTRY, max_bytes=128 * 1024)
COMMIT = a_commit(events=2, traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
CONFIGURATION = {
    "type": "ApplyConfiguration",
    "command_id": "c1",
    "producer": "oss",
    "occurred_at": None,
    "depends_on": "x",
    "expected_sequence": 3,
    "data": {"element_id": "gnb-1", "base_revision": 0, "parameters": {"a": [1, {"b": "c"}]}},
}


def refused(data: bytes) -> Commit:
    return replace(COMMIT, events=(RecordedEvent(REFUSED, 1, data),))


many = settings(max_examples=300, deadline=None)


def label(text: str) -> bool:
    return 1 <= len(text) <= 128 and all("!" <= c <= "~" for c in text)


@many
@given(
    body=bodies(ACTIVATION) | bodies(CONFIGURATION) | st.binary(max_size=60),
    headers=st.tuples(*[st.none() | texts] * 3),
)
def test_a_command_is_read_or_refused_with_a_code(body: str | bytes, headers: tuple[Any, ...]):
    key, correlation_id, traceparent = headers
    try:
        request = READER.read(
            body, idempotency_key=key, correlation_id=correlation_id, traceparent=traceparent
        )
    except BadCommand as bad:
        # A problem with a status of its own, told to whoever sent it.
        BAD_COMMANDS[bad.code]
        return
    assert isinstance(request, CommandRequest)
    # What is let through can be kept: it fits the store's text, and a header of the reply.
    assert label(request.command_id)
    assert label(request.producer)
    assert label(request.correlation_id)
    assert request.idempotency_key is None or label(request.idempotency_key)
    request.command.model_dump_json().encode()


@many
@given(text=texts | torn(token_of(KEYS, COMMIT)) | st.binary(max_size=80).map(KEYS.seal))
@example(text=KEYS.seal(b"\x80"))
@example(text=KEYS.seal(b"1|sub|1"))
@example(text=KEYS.seal(f"1|{AGGREGATE}|-1|2".encode()))
@example(text=KEYS.seal(f"1|{AGGREGATE}|1_0|1_0".encode()))
def test_a_consistency_token_is_read_or_invalid(text: str):
    try:
        token = read_token(KEYS, text)
    except InvalidToken:
        return
    assert isinstance(token, ConsistencyToken)
    assert text == token_at(
        KEYS,
        aggregate_id=token.aggregate_id,
        position=token.position,
        last_position=token.last_position,
    )


@many
@given(commit_id=texts | torn(COMMIT.commit_id))
@example(commit_id=f"{AGGREGATE}.01")
@example(commit_id=f"{AGGREGATE}.\N{ARABIC-INDIC DIGIT ONE}")
@example(commit_id=f"{COMMIT.commit_id}\n")
def test_a_commit_id_names_a_place_or_nothing(commit_id: str):
    place = parse_commit_id(commit_id)
    if place is not None:
        aggregate_id, position = place
        assert commit_id == f"{aggregate_id}.{position}"
        assert 1 <= position < 10**18


@many
@given(item=values | spoiled(to_image(COMMIT)) | spoiled(to_item(COMMIT)))
@example(item=to_item(COMMIT) | {"k": {"B": 10**15}})
@example(item=to_item(COMMIT) | {"k": {"B": b"short"}})
@example(item=to_item(COMMIT) | {"a": {"S": "x" * 3000}})
@example(item=to_item(COMMIT) | {"q": {"N": "\N{ARABIC-INDIC DIGIT ONE}"}})
@example(item=to_item(COMMIT) | {"q": {"N": "1_0"}})
@example(item=to_item(COMMIT) | {"q": {"N": 1.5}})
@example(item=to_item(COMMIT) | {"q": {"N": "9" * 39}})
@example(item=to_item(COMMIT) | {"p": {"N": "1"}})
@example(item=to_item(COMMIT) | {"r": {"N": "9" * 18}})
@example(item=to_item(COMMIT) | {"e": {"L": []}})
@example(item=to_item(refused(b"[]")))
@example(item=to_item(refused(b"{}")))
@example(item=to_item(refused(b"{")))
@example(item=to_item(refused(b'{"reason":1,"message":null}')))
def test_a_stored_commit_is_read_or_corrupt(item: Any):
    try:
        commit = from_item(item)
    except CorruptLog:
        return
    assert isinstance(commit, Commit)
    assert commit.outcome != "rejected" or commit.refusal
    # What is read can be written again, named, and found at the place that it names.
    assert from_item(to_image(commit)) == commit
    assert parse_commit_id(commit.commit_id) == (commit.aggregate_id, commit.position)
    assert 0 <= commit.predecessor < commit.position <= commit.last_position < 10**18


@many
@given(body=bodies({"again": False, "commits": [to_image(COMMIT), to_image(a_commit(3))]}))
def test_a_message_of_the_lane_is_read_or_malformed(body: str):
    try:
        delivery = read_lane(body)
    except MalformedMessage:
        return
    assert isinstance(delivery, Delivery)
    assert all(isinstance(commit, Commit) for commit in delivery.commits)


[ACK_BODY] = messages_by_region(
    [COMMIT, a_commit(3)],
    answering=lambda origin: origin,
    region="eu-west-1",
    applied_at_ms=1_700_000_000_000,
)["us-east-1"]


@many
@given(body=bodies(AckMessage.model_validate_json(ACK_BODY).model_dump(mode="json")))
@example(body=ACK_BODY.replace("1700000000000", "9" * 30))
def test_an_acknowledgement_is_read_or_malformed(body: str):
    try:
        message = read_message(body)
    except MalformedMessage:
        return
    assert isinstance(message, AckMessage)
    for ack in message.acks:
        assert parse_commit_id(ack.commit) is not None
    # A time that no clock shows would be kept as one, and told to the producer.
    assert 0 <= message.applied_at_ms <= LAST_MS
    assert all(0 <= ack.recorded_at_ms <= LAST_MS for ack in message.acks)


def test_what_is_valid_passes_them_all():
    assert from_item(to_item(COMMIT)) == from_item(to_image(COMMIT)) == COMMIT
    assert [d for body in lane_messages([COMMIT]) for d in read_lane(body).commits] == [COMMIT]
    assert read_token(KEYS, token_of(KEYS, COMMIT)) == ConsistencyToken(AGGREGATE, 1, 2)
    assert read_message(ACK_BODY).acks[0].commit == COMMIT.commit_id
    assert parse_commit_id(COMMIT.commit_id) == (AGGREGATE, 1)


@pytest.mark.parametrize("bits", range(8))
def test_no_bit_of_a_token_may_change(bits: int):
    token = token_of(KEYS, COMMIT)
    for where in range(len(token)):
        flipped = token[:where] + chr(ord(token[where]) ^ (1 << bits)) + token[where + 1 :]
        with pytest.raises(InvalidToken):
            read_token(KEYS, flipped)
