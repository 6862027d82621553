"""What a query asks for: one partition, and bounds on the attribute that sorts it."""

from collections.abc import Callable
from typing import Any

from tests.dynamodb.expressions import Clause, Names, condition
from tests.dynamodb.table import Bounds, KeySchema, Table
from tests.dynamodb.values import NotValid, Unsupported, kind_of, order_of

_NOT_A_KEY_CONDITION = "Query condition missed key schema element"


def key_condition(
    expression: str, *, table: Table, key: KeySchema, names: Names
) -> tuple[Any, Bounds]:
    """Return the partition and the bounds that a KeyConditionExpression names."""
    partition: Any = None
    bounds = Bounds()
    asked: set[str] = set()
    for clause in condition(expression):
        if clause.operator.startswith("attribute") or clause.operands[0].startswith(":"):
            raise Unsupported(f"{expression!r} as a key condition")
        name = names.name(clause.operands[0])
        if name not in key.attributes or name in asked:
            raise NotValid(_NOT_A_KEY_CONDITION)
        asked.add(name)
        values = _operands(clause, table.kinds[name], names)
        if name == key.attributes[0]:
            if clause.operator != "=":
                raise NotValid("Query key condition not supported")
            [partition] = values
        else:
            bounds = _bounds(clause.operator, values)
    if key.attributes[0] not in asked:
        raise NotValid(f"{_NOT_A_KEY_CONDITION}: {key.attributes[0]}")
    return partition, bounds


def _operands(clause: Clause, kind: str, names: Names) -> list[Any]:
    values = [names.value(operand, {}) for operand in clause.operands[1:]]
    if any(value is None or kind_of(value) != kind for value in values):
        raise NotValid(
            "One or more parameter values were invalid: Condition parameter type"
            " does not match schema type"
        )
    return [order_of(value) for value in values if value is not None]


def _bounds(operator: str, values: list[Any]) -> Bounds:
    low, high = values[0], values[-1]
    if low > high:
        raise NotValid("The BETWEEN operator requires an upper bound at or above the lower one")
    if operator not in _BOUNDS:
        raise NotValid("Query key condition not supported")
    return _BOUNDS[operator](low, high)


def _from(low: Any) -> Callable[[tuple[Any, ...]], bool]:
    return lambda place: place[0] >= low


def _beyond(high: Any) -> Callable[[tuple[Any, ...]], bool]:
    return lambda place: place[0] > high


def _beyond_prefix(prefix: Any) -> Callable[[tuple[Any, ...]], bool]:
    return lambda place: place[0] > prefix and not place[0].startswith(prefix)


_BOUNDS: dict[str, Callable[[Any, Any], Bounds]] = {
    "=": lambda low, high: Bounds(_from(low), _beyond(high)),
    "<": lambda _, high: Bounds(passed=_from(high)),
    "<=": lambda _, high: Bounds(passed=_beyond(high)),
    ">": lambda low, _: Bounds(reached=_beyond(low)),
    ">=": lambda low, _: Bounds(reached=_from(low)),
    "BETWEEN": lambda low, high: Bounds(_from(low), _beyond(high)),
    "begins_with": lambda low, _: Bounds(_from(low), _beyond_prefix(low)),
}
