"""The expressions that our code uses, and no more: conditions joined by AND, and updates.

Conditions: attribute_exists, attribute_not_exists, begins_with, BETWEEN, comparisons.
Updates: SET of values, attributes and if_not_exists; REMOVE; ADD of numbers.
Anything else is `Unsupported`: a wrong guess here would let a wrong program pass.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from tests.dynamodb.values import (
    EXACT,
    Item,
    NotValid,
    Unsupported,
    Value,
    copied,
    kind_of,
    order_of,
)

_TOKEN = re.compile(r"\s*(?:([A-Za-z_]\w*|[#:]\w+|<=|>=|<>|[=<>(),])|(\S))")
_COMPARISONS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_FUNCTIONS = {"attribute_exists": 1, "attribute_not_exists": 1, "begins_with": 2}
_ACTIONS = ("SET", "REMOVE", "ADD")
_ORDERED = frozenset({"S", "N", "B"})


@dataclass(frozen=True)
class Clause:
    """One comparison or function: its operator and its operands, as written."""

    operator: str
    operands: tuple[str, ...]


@dataclass(frozen=True)
class Assignment:
    """One action of an update: what it does, to which attribute, with what."""

    action: str
    name: str
    operands: tuple[str, ...] = ()


class Names:
    """What stands behind #names and :values of one request, and which of them were used."""

    def __init__(self, request: Mapping[str, Any], *, trusting: bool = False) -> None:
        """Take a request; a `trusting` reader takes its values as they are."""
        self.trusting = trusting
        self._names: Mapping[str, str] = request.get("ExpressionAttributeNames", {})
        values = request.get("ExpressionAttributeValues", {})
        self._values: Item = values if trusting else copied(values)
        self._unused = set() if trusting else {*self._names, *self._values}

    def name(self, token: str) -> str:
        """Return the attribute that a token names."""
        if token.startswith("#"):
            if token not in self._names:
                raise NotValid(f"An expression attribute name is not defined: {token}")
            self._unused.discard(token)
            return self._names[token]
        if not token.isidentifier():
            raise Unsupported(f"{token!r} as an attribute")
        return token

    def value(self, token: str, item: Mapping[str, Value]) -> Value | None:
        """Return the value of an operand, None for an attribute that the item lacks."""
        if not token.startswith(":"):
            return item.get(self.name(token))
        if token not in self._values:
            raise NotValid(f"An expression attribute value is not defined: {token}")
        self._unused.discard(token)
        return self._values[token]

    def all_used(self) -> None:
        """Refuse a request that defines what it does not use, as DynamoDB does."""
        if self._unused:
            raise NotValid(f"Value unused in expressions: {', '.join(sorted(self._unused))}")


def holds(expression: str, item: Mapping[str, Value], names: Names) -> bool:
    """Say whether a condition holds for an item ({} if there is none)."""
    # Every clause is looked at, so that each name counts as used.
    held = [_clause_holds(clause, item, names) for clause in condition(expression)]
    return all(held)


def _clause_holds(clause: Clause, item: Mapping[str, Value], names: Names) -> bool:
    if clause.operator in {"attribute_exists", "attribute_not_exists"}:
        there = names.name(clause.operands[0]) in item
        return there == (clause.operator == "attribute_exists")
    values = [names.value(operand, item) for operand in clause.operands]
    if clause.operator == "=":
        return None not in values and values[0] == values[1]
    if clause.operator == "<>":
        return values[0] != values[1]
    kinds = {kind_of(value) for value in values if value is not None}
    if None in values or len(kinds) > 1 or not kinds <= _ORDERED:
        return False
    return _ORDERINGS[clause.operator](*(order_of(value) for value in values if value))


_ORDERINGS: dict[str, Callable[..., bool]] = {
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "BETWEEN": lambda one, low, high: low <= one <= high,
    "begins_with": lambda one, start: one.startswith(start),
}


def updated(expression: str, item: Mapping[str, Value], names: Names) -> Item:
    """Return the item after an update; every operand is read from the item before it."""
    after = dict(item)
    for assignment in update(expression):
        name = names.name(assignment.name)
        values = [names.value(operand, item) for operand in assignment.operands]
        match assignment.action:
            case "REMOVE":
                after.pop(name, None)
            case "ADD":
                after[name] = {
                    "N": str(EXACT.add(_number(item.get(name, {"N": "0"})), _number(values[0])))
                }
            case _:
                found = next((value for value in values if value is not None), None)
                if found is None:
                    raise NotValid(
                        "The provided expression refers to an attribute that is not there"
                    )
                after[name] = found
    return after if names.trusting else copied(after)


def _number(value: Value | None) -> Decimal:
    if value is None or kind_of(value) != "N":
        raise Unsupported("ADD of anything but numbers")
    return Decimal(value["N"])


@lru_cache(maxsize=512)
def condition(expression: str) -> tuple[Clause, ...]:
    """Return the clauses of a condition, joined by AND."""
    tokens = _Tokens(expression)
    clauses = [_clause(tokens)]
    while tokens.more():
        tokens.take("AND")
        clauses.append(_clause(tokens))
    return tuple(clauses)


def _clause(tokens: "_Tokens") -> Clause:
    first = tokens.next()
    if first in _FUNCTIONS:
        operands = tokens.arguments()
        if len(operands) != _FUNCTIONS[first]:
            raise NotValid(f"Incorrect number of operands for {first}")
        return Clause(first, operands)
    operator = tokens.next()
    if operator in _COMPARISONS:
        return Clause(operator, (first, tokens.operand()))
    if operator == "BETWEEN":
        low = tokens.operand()
        tokens.take("AND")
        return Clause("BETWEEN", (first, low, tokens.operand()))
    raise Unsupported(f"{operator!r} in {tokens.text!r}")


@lru_cache(maxsize=512)
def update(expression: str) -> tuple[Assignment, ...]:
    """Return the actions of an update expression."""
    tokens = _Tokens(expression)
    assignments: list[Assignment] = []
    while tokens.more():
        action = tokens.next()
        if action not in _ACTIONS:
            raise Unsupported(f"{action!r} in {expression!r}")
        assignments.append(_assignment(action, tokens))
        while tokens.peek() == ",":
            tokens.take(",")
            assignments.append(_assignment(action, tokens))
    return tuple(assignments)


def _assignment(action: str, tokens: "_Tokens") -> Assignment:
    name = tokens.operand()
    if action == "REMOVE":
        return Assignment(action, name)
    if action == "ADD":
        return Assignment(action, name, (tokens.operand(),))
    tokens.take("=")
    if tokens.peek() == "if_not_exists":
        tokens.next()
        return Assignment(action, name, tokens.arguments())
    return Assignment(action, name, (tokens.operand(),))


class _Tokens:
    """The tokens of one expression, taken from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        found = _TOKEN.findall(text)
        if any(strange for _, strange in found):
            raise Unsupported(f"{text!r} as an expression")
        self._left: list[str] = [token for token, _ in found]

    def more(self) -> bool:
        return bool(self._left)

    def peek(self) -> str:
        return self._left[0] if self._left else ""

    def next(self) -> str:
        if not self._left:
            raise NotValid(f"Invalid expression: {self.text}")
        return self._left.pop(0)

    def operand(self) -> str:
        token = self.next()
        if not (token.isidentifier() or token[0] in "#:") or self.peek() == "(":
            raise Unsupported(f"{token!r} as an operand in {self.text!r}")
        return token

    def take(self, wanted: str) -> None:
        if (token := self.next()) != wanted:
            raise Unsupported(f"{token!r} where {wanted!r} is expected in {self.text!r}")

    def arguments(self) -> tuple[str, ...]:
        self.take("(")
        taken = [self.operand()]
        while self.peek() == ",":
            self.take(",")
            taken.append(self.operand())
        self.take(")")
        return tuple(taken)
