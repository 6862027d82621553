"""DynamoDB's attribute values as its low-level client takes them: check, copy, order, measure.

Holds what the developer guide says of item sizes, numbers and key order. Sets are left out:
nothing of ours stores one, and whoever does is told at once.
"""

import re
from collections.abc import Mapping
from decimal import Context, Decimal
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
    match kind:
        case "S" | "BOOL" | "NULL":
            return {kind: raw}
        case "N":
            return {"N": _number(raw)}
        case "B":
            return {"B": bytes(raw)}
        case "L":
            return {"L": [_copied(entry) for entry in raw]}
        case "M":
            return {"M": copied(raw)}
        case _:
            raise Unsupported(f"values of type {kind}")


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
    match value:
        case {"S": text}:
            return text.encode("utf-8", "surrogatepass")
        case {"N": number}:
            return Decimal(number)
        case {"B": raw}:
            return raw
        case _:
            raise NotValid("Type mismatch for key")


def size_of(item: Mapping[str, Value]) -> int:
    """Return the bytes of an item, names included, as limits and capacity count them."""
    return sum(len(name.encode()) + _size_of(value) for name, value in item.items())


def _size_of(value: Value) -> int:
    match value:
        case {"S": text}:
            return len(text.encode("utf-8", "surrogatepass"))
        case {"N": number}:
            digits = len(str(number).lstrip("-").replace(".", "").strip("0"))
            return 1 + (digits + 1) // 2 + int(number.startswith("-"))
        case {"B": raw}:
            return len(raw)
        case {"L": entries}:
            return 3 + sum(1 + _size_of(entry) for entry in entries)
        case {"M": entries}:
            return 3 + len(entries) + size_of(entries)
        case _:
            return 1
