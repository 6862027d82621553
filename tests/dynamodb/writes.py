"""A write as it would be: planned from what stands there, before anything is changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.dynamodb.expressions import Names, holds, update, updated
from tests.dynamodb.requests import KNOWN_WITHIN, only_known
from tests.dynamodb.table import Table
from tests.dynamodb.values import Item, NotValid, Unsupported, copied

FAILED = "The conditional request failed"


@dataclass(frozen=True)
class Plan:
    """What stands at a key, what would stand there, and whether the condition allows it."""

    table: Table
    key: Item
    old: Item | None
    new: Item | None
    allowed: bool
    tells_old: bool

    def told(self) -> dict[str, Any]:
        """Return the item that a refusal carries, if the request asked for it."""
        return (
            {"Item": self.old if self.table.trusting else copied(self.old)}
            if self.tells_old and self.old is not None
            else {}
        )

    def reason(self) -> dict[str, Any]:
        """Return what a cancelled transaction says of this write."""
        if self.allowed:
            return {"Code": "None"}
        return {"Code": "ConditionalCheckFailed", "Message": FAILED, **self.told()}


def planned(table: Table, action: str, request: Mapping[str, Any]) -> Plan:
    """Plan a Put, Update, Delete or ConditionCheck.

    Returns:
        The plan; where it is not allowed, `new` is what stands there already.

    """
    if not table.trusting:
        only_known(action, request, KNOWN_WITHIN[action])
    names = Names(request, trusting=table.trusting)
    item = table.item_of(request["Item"]) if action == "Put" else None
    key = table.key.of_item(item) if item is not None else table.key_of(request["Key"])
    old = table.items.get(key)
    expression = request.get("ConditionExpression")
    tells_old = request.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    if expression is not None and not holds(expression, old or {}, names):
        return Plan(table, key, old, old, allowed=False, tells_old=tells_old)
    if action == "Update":
        item = _after_update(table, old or key, request, names)
    names.all_used()
    new = old if action == "ConditionCheck" else item
    return Plan(table, key, old, new, allowed=True, tells_old=tells_old)


def _after_update(table: Table, before: Item, request: Mapping[str, Any], names: Names) -> Item:
    if "UpdateExpression" not in request:
        raise Unsupported("an update without an UpdateExpression")
    touched = [names.name(one.name) for one in update(request["UpdateExpression"])]
    if len(set(touched)) != len(touched):
        raise NotValid("Invalid UpdateExpression: Two document paths overlap with each other")
    if set(touched) & set(table.key.attributes):
        raise NotValid("Cannot update attribute. This attribute is part of the key")
    return table.item_of(updated(request["UpdateExpression"], before, names))
