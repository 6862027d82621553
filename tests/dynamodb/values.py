"""DynamoDB's attribute values as its low-level client takes them: check, copy, order, measure.

Holds what the developer guide says of item sizes, numbers and key order. Sets are left out:
nothing of ours stores one, and whoever does is told at once.
"""

import re
from collections.abc import Mapping
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

Value = dict[str, Any]
Item = dict[str, Value]

MAX_DIGITS = 38
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_MAX_EXPONENT = 126
_MIN_EXPONENT = -130
# The usual context would round to 28 digits.
EXACT = Context(prec=200)


class Unsupported(Exception):
    """The code under test asks for something that this engine does not know: teach it."""


class NotValid(ValueError):
    """DynamoDB refuses this with a ValidationException of this message."""


def copied(item: Mapping[str, Value]) -> Item:
    """Return an item of one's own, as DynamoDB keeps it: numbers in one form."""
    return {name: _copied(value) for name, value in item.items()}


def _copied(value: Value) -> Value:
    if len(value) != 1:
        raise NotValid("Supplied AttributeValue must contain exactly one of the supported types")
    [(kind, raw)] = value.items()
    # The commonest first: every value of every request comes through here.
    if kind == "S" or kind == "BOOL" or kind == "NULL":  # noqa: PLR1714 - the fastest form
        return {kind: raw}
    if kind == "N":
        return {"N": _number(raw)}
    if kind == "M":
        return {"M": {name: _copied(entry) for name, entry in raw.items()}}
    if kind == "B":
        return {"B": bytes(raw)}
    if kind == "L":
        return {"L": [_copied(entry) for entry in raw]}
    raise Unsupported(f"values of type {kind}")


@lru_cache(maxsize=4096)
def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise NotValid(f"The parameter cannot be converted to a numeric value: {text}")
    number = Decimal(text).normalize(EXACT)
    if len(number.as_tuple().digits) > MAX_DIGITS:
        raise NotValid("Attempting to store more than 38 significant digits in a Number")
    if number and not _MIN_EXPONENT <= number.adjusted() < _MAX_EXPONENT:
        raise NotValid("Number overflow or underflow")
    return f"{number:f}" if number else "0"


def kind_of(value: Value) -> str:
    """Return the type of a value: S, N, B and so on."""
    [kind] = value
    return kind


def order_of(value: Value) -> Any:
    """Return what puts values of one key attribute in order."""
    [(kind, raw)] = value.items()
    if kind == "S":
        # Code points are in the order of their UTF-8 bytes, which is DynamoDB's.
        return raw
    if kind == "N":
        # Most are whole and short; an int and a Decimal have one order and one hash.
        return int(raw) if raw.isdecimal() else Decimal(raw)
    if kind == "B":
        return raw
    raise NotValid("Type mismatch for key")


def size_of(item: Mapping[str, Value]) -> int:
    """Return the bytes of an item, names included, as limits and capacity count them."""
    return sum(_bytes_of(name) + _size_of(value) for name, value in item.items())


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _size_of(value: Value) -> int:
    [(kind, raw)] = value.items()
    if kind == "S":
        return _bytes_of(raw)
    if kind == "N":
        return _size_of_number(raw)
    if kind == "M":
        return 3 + len(raw) + size_of(raw)
    if kind == "B":
        return len(raw)
    if kind == "L":
        return 3 + sum(1 + _size_of(entry) for entry in raw)
    return 1


@lru_cache(maxsize=4096)
def _size_of_number(number: str) -> int:
    digits = len(str(number).lstrip("-").replace(".", "").strip("0"))
    return 1 + (digits + 1) // 2 + int(number.startswith("-"))
