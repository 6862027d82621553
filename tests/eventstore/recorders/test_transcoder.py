"""The transcoder beyond the library's contract: what JSON cannot hold, what the library writes."""

import enum
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import (
    DatetimeAsISO,
    DecimalAsStr,
    JSONTranscoder,
    TranscodingNotRegisteredError,
    UUIDAsHex,
)
from hypothesis import given
from hypothesis import strategies as st

from eventstore.recorders import OrjsonTranscoder

PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
)
# ISO text has no place for the fold of a time.
TIMES = st.datetimes(timezones=st.just(UTC)).map(lambda time: time.replace(fold=0))
TYPED = PLAIN | st.uuids() | st.decimals(allow_nan=False) | TIMES


def nested(values: Any, *, tuples: bool) -> Any:
    def within(held: Any) -> Any:
        lists = st.lists(held, max_size=3)
        keyed = st.dictionaries(st.text("ab_", max_size=2), held, max_size=3)
        return lists | keyed | (st.tuples(held, held) if tuples else st.nothing())

    return st.recursive(values, within, max_leaves=8)


def with_the_librarys_types(transcoder: JSONTranscoder) -> Any:
    for transcoding in (UUIDAsHex(), DecimalAsStr(), DatetimeAsISO()):
        transcoder.register(transcoding)
    return transcoder


@given(nested(TYPED, tuples=True))
def test_what_is_decoded_is_what_was_encoded(value: Any):
    transcoder = with_the_librarys_types(OrjsonTranscoder())

    decoded = transcoder.decode(transcoder.encode(value))

    assert decoded == value
    assert repr(decoded) == repr(value)


@given(nested(PLAIN, tuples=False))
def test_the_librarys_own_transcoder_reads_it_and_is_read(value: Any):
    ours, theirs = OrjsonTranscoder(), JSONTranscoder()

    assert theirs.decode(ours.encode(value)) == value
    assert ours.decode(theirs.encode(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        UUID("b2723fe2-c01a-40d2-875e-a3aac6a09ff5"),
        {"at": datetime(2026, 11, 24, tzinfo=UTC), "amount": [Decimal("1.50")]},
    ],
)
def test_registered_types_are_written_as_the_librarys_own_transcoder_does(value: Any):
    theirs = with_the_librarys_types(JSONTranscoder())

    assert with_the_librarys_types(OrjsonTranscoder()).encode(value) == theirs.encode(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"x": [float("-inf")]}])
def test_a_number_that_json_does_not_have_is_refused_not_turned_into_null(value: Any):
    with pytest.raises(ValueError, match="JSON has no number"):
        OrjsonTranscoder().encode(value)


@pytest.mark.parametrize("value", [2**64, {1: "a"}, "\ud83d"])
def test_what_would_not_come_back_is_refused(value: Any):
    with pytest.raises(TypeError):
        OrjsonTranscoder().encode(value)


class State(enum.StrEnum):
    ACTIVE = "active"


def test_a_subclass_without_a_transcoding_is_refused_not_turned_into_its_parent():
    with pytest.raises(TranscodingNotRegisteredError, match="State"):
        OrjsonTranscoder().encode({"state": State.ACTIVE})


@given(st.binary())
def test_garbage_is_a_value_error_or_a_value(garbage: bytes):
    transcoder = OrjsonTranscoder()
    try:
        value = transcoder.decode(garbage)
    except ValueError:
        return
    assert transcoder.decode(transcoder.encode(value)) == value


def test_a_name_without_a_transcoding_is_refused():
    with pytest.raises(TranscodingNotRegisteredError, match="uuid_hex"):
        OrjsonTranscoder().decode(b'{"_type_":"uuid_hex","_data_":"00"}')
