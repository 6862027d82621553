"""What a DynamoDB call of the data plane is about: which tables, which keys, read or write.

Only reads requests; nothing here calls anything or knows about regions' state.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import orjson

TARGET_PREFIX = "DynamoDB_20120810."
SINGLE_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
BATCHES = frozenset({"BatchGetItem", "BatchWriteItem"})
STATEMENTS = frozenset({"ExecuteStatement", "BatchExecuteStatement", "ExecuteTransaction"})
TRANSACTIONS = frozenset({"TransactGetItems", "TransactWriteItems", "ExecuteTransaction"})
_SINGLE_READS = frozenset({"GetItem", "Query", "Scan"})

# What can be a table's name in a PartiQL statement, quoted or not.
_NAME = re.compile(r"[A-Za-z0-9_.-]+")

# A primary key, whatever its attributes are.
Key = bytes
# DynamoDB's numbers have up to 38 digits.
_EXACT = Context(prec=38)

# Gives the name of the global table that a name or an ARN means, or None.
KnownTable = Callable[[str], str | None]


@dataclass(frozen=True, kw_only=True)
class TableCall:
    """A DynamoDB call of the data plane that has to do with a global table.

    Attributes:
        tables: the global tables that it names.
        region: the region that is called.
        caller: the region that it is called from; None for the outside world.
    """

    operation: str
    request: dict[str, Any]
    tables: frozenset[str]
    region: str
    caller: str | None
    body: bytes

    @property
    def writes(self) -> bool:
        """Whether a call that is no batch writes anything."""
        return self.operation in SINGLE_WRITES or (
            self.operation in STATEMENTS
            and any(
                not str(part.get("Statement", "")).lstrip().upper().startswith("SELECT")
                for part in self._parts()
            )
        )

    @property
    def is_well_formed(self) -> bool:
        """Whether everything that it reads or writes can be understood at all."""
        try:
            if self.operation == "BatchGetItem":
                return all(isinstance(keys, dict) for keys in self.request["RequestItems"].values())
            return all(isinstance(attributes, dict) for _, attributes in self.attributes_written())
        except (AttributeError, KeyError, TypeError):
            return False

    @property
    def reads_consistently(self) -> bool:
        """Whether a call that is no batch asks for a strong read."""
        return any(part.get("ConsistentRead") for part in self._parts())

    def attributes_written(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Table as named and key-bearing attributes of each item written or checked.

        PartiQL does not say.
        """
        if self.operation in SINGLE_WRITES:
            (table,) = self.tables
            yield table, self.request.get("Item") or self.request.get("Key") or {}
        elif self.operation == "BatchWriteItem":
            for table, requests in self.request["RequestItems"].items():
                for request in requests:
                    put, delete = request.get("PutRequest"), request.get("DeleteRequest")
                    yield table, put["Item"] if put else (delete or {}).get("Key", {})
        elif self.operation == "TransactWriteItems":
            for item in self.request["TransactItems"]:
                for part in item.values():
                    yield part["TableName"], part.get("Item") or part.get("Key") or {}

    def part(self, items: Mapping[str, Any]) -> TableCall:
        """The call of a batch for some of its tables only."""
        request = {**self.request, "RequestItems": items}
        return replace(
            self, request=request, tables=self.tables & items.keys(), body=orjson.dumps(request)
        )

    def statements(self, known: KnownTable) -> list[TableCall]:
        """The calls of a PartiQL batch, one for each of its statements, in their order."""
        calls = []
        for statement in self.request["Statements"]:
            request = {**self.request, "Statements": [statement]}
            tables = frozenset(name for word in _words([statement]) if (name := known(word)))
            calls.append(replace(self, request=request, tables=tables, body=orjson.dumps(request)))
        return calls

    def _parts(self) -> list[dict[str, Any]]:
        """The statements of a PartiQL batch, which is served as a whole; else the request."""
        of_batch = self.request.get("Statements", [self.request])
        parts: list[dict[str, Any]] = self.request.get("TransactStatements", of_batch)
        return parts


def key_of(attributes: Mapping[str, Any], names: Iterable[str]) -> Key:
    """One byte string for a primary key, from an item or from a key.

    Different ways to write one number give one key, as they do in DynamoDB.
    """
    return orjson.dumps([_plain(attributes.get(name)) for name in names])


def _plain(attribute: Any) -> Any:
    """An attribute with its number, if it is one, in one way of writing."""
    number = attribute.get("N") if isinstance(attribute, dict) else None
    if not isinstance(number, str):
        return attribute
    try:
        return {"N": str(Decimal(number).normalize(_EXACT))}
    except InvalidOperation:
        return attribute


def read_call(
    *, operation: str, body: bytes, known: KnownTable, region: str, caller: str | None
) -> TableCall | None:
    """Read a call. Returns: None if it has nothing to do with a global table, or is no call."""
    try:
        request = orjson.loads(body)
        tables = frozenset(name for named in _named(operation, request) if (name := known(named)))
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        return None
    if not tables:
        return None
    if ":" in request.get("TableName", ""):
        # An ARN names the region's replica; the journal knows the name only.
        request["TableName"] = known(request["TableName"])
        body = orjson.dumps(request)
    return TableCall(
        operation=operation,
        request=request,
        tables=tables,
        region=region,
        caller=caller,
        body=body,
    )


def _named(operation: str, request: Mapping[str, Any]) -> Iterator[str]:
    """The tables that a call of the data plane names; none for any other call."""
    if operation in SINGLE_WRITES | _SINGLE_READS:
        yield str(request.get("TableName", ""))
    elif operation in BATCHES:
        yield from request.get("RequestItems", {})
    elif operation in {"TransactGetItems", "TransactWriteItems"}:
        for item in request.get("TransactItems", []):
            yield from (str(part.get("TableName", "")) for part in item.values())
    elif operation == "ExecuteTransaction":
        yield from _words(request.get("TransactStatements", []))
    elif operation == "BatchExecuteStatement":
        yield from _words(request.get("Statements", []))
    elif operation == "ExecuteStatement":
        yield from _words([request])


def _words(statements: list[Mapping[str, Any]]) -> Iterator[str]:
    """Every word of some PartiQL statements: one of them is the table's name."""
    for statement in statements:
        yield from _NAME.findall(str(statement.get("Statement", "")))
