"""A configuration's parameters: names, scalars, bounds, and when two are the same."""

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.configuration import (
    MAX_INTEGER,
    MAX_PARAMETERS,
    MAX_PARAMETERS_BYTES,
    Parameters,
    canonical,
)

PARAMETERS = TypeAdapter(Parameters)


def complaints(value):
    with pytest.raises(ValidationError) as caught:
        PARAMETERS.validate_python(value)
    return [error["msg"] for error in caught.value.errors()]


@pytest.mark.parametrize(
    "value", [True, 0, -7, MAX_INTEGER, 3.5, -0.0, 1e-300, "", "3500 MHz", "Größe"]
)
def test_a_scalar_passes_as_it_is(value):
    (passed,) = PARAMETERS.validate_python({"n": value}).values()
    assert (type(passed), repr(passed)) == (type(value), repr(value))


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        [1],
        {"a": 1},
        MAX_INTEGER + 1,
        1e300,
        math.inf,
        math.nan,
        "a\nb",
        "\x00",
        "\ud800",
    ],
)
def test_what_is_no_scalar_is_refused_in_one_sentence(value):
    (message,) = complaints({"n": value})
    assert message.startswith("a parameter's value is")


def test_an_integer_that_a_reader_of_json_would_round_is_refused_by_name():
    body = b'{"id": 1234567890123456789012345678901234567890}'
    (message,) = complaints(orjson.loads(body))
    assert message.startswith("a parameter's value is")


@pytest.mark.parametrize("name", ["", "1a", "a b", "a" * 65, "ä", "a\n", "_a"])
def test_a_parameter_has_a_name_as_3gpp_writes_it(name):
    (message,) = complaints({name: 1})
    assert message.startswith("a parameter's name is")


def test_there_is_at_least_one_parameter_and_there_are_at_most_64():
    assert len(PARAMETERS.validate_python({f"p{n}": n for n in range(MAX_PARAMETERS)})) == 64
    assert "1 to 64" in complaints({})[0]
    assert "1 to 64" in complaints({f"p{n}": n for n in range(MAX_PARAMETERS + 1)})[0]


def test_the_bytes_as_json_are_bounded_also_where_a_character_takes_several():
    room = MAX_PARAMETERS_BYTES - len(canonical({"n": ""}))
    for character, size in (("a", 1), ("é", 2), ('"', 2), ("😀", 4)):
        assert PARAMETERS.validate_python({"n": character * (room // size)})
        assert "6000 bytes" in complaints({"n": character * (room // size + 1)})[0]


def test_the_order_of_names_makes_no_difference_and_the_type_of_a_value_does():
    assert canonical({"a": 1, "b": 2}) == canonical({"b": 2, "a": 1})
    assert len({canonical({"a": value}) for value in (1, True, 1.0, "1")}) == 4


SCALARS = (
    st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(-MAX_INTEGER, MAX_INTEGER)
    | st.text(st.characters(categories=["L", "N", "P"]), max_size=20)
)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), SCALARS, min_size=1))
def test_parameters_are_the_same_after_a_way_through_json(parameters):
    there = PARAMETERS.validate_python(parameters)
    stored = PARAMETERS.dump_json(there)
    assert canonical(PARAMETERS.validate_json(stored)) == canonical(parameters)
    assert canonical(PARAMETERS.validate_python(orjson.loads(stored))) == canonical(parameters)
