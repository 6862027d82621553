"""DynamoDB in this process: boto3's low-level client as far as our stores use it.

Every operation is whole under one lock, answers with botocore's own errors, hands out copies,
and is the same on every run: no clock, no chance. It keeps its tables' stream of changes and
counts what every request costs. It is an engine for tests and holds nothing for anybody.
"""

import functools
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore.paginate import Paginator

from tests.dynamodb.errors import EXCEPTIONS, MODEL, check_parameters, refusal
from tests.dynamodb.expressions import Names
from tests.dynamodb.key_condition import key_condition
from tests.dynamodb.metering import Meter, Used, read, written
from tests.dynamodb.requests import ANSWERED, KNOWN, KNOWN_WITHIN, only_known
from tests.dynamodb.table import PAGE_BYTES, Table
from tests.dynamodb.values import Item, NotValid, Unsupported, copied, size_of
from tests.dynamodb.writes import FAILED, Plan, planned

_BATCH_KEYS = 100
_BATCH_BYTES = 16 * 1024 * 1024
_TRANSACTION_ITEMS = 100
_TRANSACTION_BYTES = 4 * 1024 * 1024
_NOTHING = Used()


@dataclass(frozen=True, kw_only=True)
class Change:
    """One record of a table's stream: INSERT, MODIFY or REMOVE, with both images."""

    number: int
    table: str
    kind: str
    key: Item
    old: Item | None
    new: Item | None


def _operation(method: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Make a method an operation: parameters checked, whole under the lock, errors botocore's."""
    operation = "".join(part.title() for part in method.__name__.split("_"))

    @functools.wraps(method)
    def run(self: "InProcessDynamoDB", **request: Any) -> dict[str, Any]:
        if not self.trusting:
            check_parameters(operation, request)
            only_known(operation, request, KNOWN[operation])
        with self._lock:
            try:
                answer = method(self, request)
            except NotValid as error:
                raise refusal(operation, "ValidationException", str(error)) from error
        answer["ResponseMetadata"] = {"HTTPStatusCode": 200, "RetryAttempts": 0}
        return answer

    return run


class InProcessDynamoDB:
    """A client and its DynamoDB in one.

    Attributes:
        changes: the stream of all tables, in order; a put that changes nothing leaves none.
        meter: requests and units so far, by operation and table.
        leave_unread: how many keys each next BatchGetItem leaves unprocessed.
        trusting: neither look at requests nor count what they cost, and hand out items as they
            are: for speed, where the same requests are looked at and counted elsewhere.

    """

    exceptions = EXCEPTIONS

    def __init__(self, *, trusting: bool = False) -> None:
        self.trusting = trusting
        self._lock = threading.RLock()
        self._tables: dict[str, Table] = {}
        self.changes: list[Change] = []
        self.meter = Meter()
        self.leave_unread: list[int] = []

    @_operation
    def create_table(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["TableName"]
        if name in self._tables:
            raise refusal("CreateTable", "ResourceInUseException", f"Table already exists: {name}")
        self._tables[name] = Table(request, trusting=self.trusting)
        return {"TableDescription": {"TableName": name, "TableStatus": "ACTIVE"}}

    @_operation
    def put_item(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._write("Put", request, may_return={"ALL_OLD"})

    @_operation
    def update_item(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._write("Update", request, may_return={"ALL_OLD", "ALL_NEW"})

    @_operation
    def delete_item(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._write("Delete", request, may_return={"ALL_OLD"})

    @_operation
    def get_item(self, request: dict[str, Any]) -> dict[str, Any]:
        table = self._table("GetItem", request["TableName"])
        item = table.items.get(table.key_of(request["Key"]))
        used = self._read(item or {}, request)
        answer = self._paid("GetItem", request, {table.name: used})
        return answer if item is None else {"Item": self._given(item), **answer}

    @_operation
    def query(self, request: dict[str, Any]) -> dict[str, Any]:
        table = self._table("Query", request["TableName"])
        if "KeyConditionExpression" not in request:
            raise Unsupported("a query without a KeyConditionExpression")
        index = request.get("IndexName")
        collections = table.collections(index)
        names = Names(request, trusting=self.trusting)
        partition, bounds = key_condition(
            request["KeyConditionExpression"], table=table, key=collections.key, names=names
        )
        wanted = request.get("ProjectionExpression", "")
        chosen = [names.name(one.strip()) for one in wanted.split(",") if one]
        names.all_used()
        after = None
        if "ExclusiveStartKey" in request:
            of, after = table.place_after(index, request["ExclusiveStartKey"])
            if of != partition or not bounds.reached(after) or bounds.passed(after):
                raise NotValid("The provided starting key is outside query boundaries")
        forward = request.get("ScanIndexForward", True)
        found = collections.between(partition, bounds, after=after, forward=forward)
        page = self._page("Query", request, table, found)
        if chosen:
            items = page["Items"]
            page["Items"] = [{n: item[n] for n in chosen if n in item} for item in items]
        return page

    @_operation
    def scan(self, request: dict[str, Any]) -> dict[str, Any]:
        table = self._table("Scan", request["TableName"])
        index, start = request.get("IndexName"), request.get("ExclusiveStartKey")
        after = None if start is None else table.place_after(index, start)
        found = table.collections(index).everything(after=after)
        if "Segment" in request:
            if index is not None:
                raise Unsupported("a parallel scan of an index")
            found = table.segment(request["Segment"], request["TotalSegments"], after=after)
        return self._page("Scan", request, table, found)

    @_operation
    def batch_write_item(self, request: dict[str, Any]) -> dict[str, Any]:
        for name, entries in request["RequestItems"].items():
            for entry in entries:
                if entry.keys() != {"DeleteRequest"}:
                    raise Unsupported(f"BatchWriteItem with {', '.join(entry)}")
                deleted = {"TableName": name, "Key": entry["DeleteRequest"]["Key"]}
                self._write("Delete", deleted, may_return=set())
        return {"UnprocessedItems": {}}

    @_operation
    def batch_get_item(self, request: dict[str, Any]) -> dict[str, Any]:
        if sum(len(one["Keys"]) for one in request["RequestItems"].values()) > _BATCH_KEYS:
            raise NotValid("Too many items requested for the BatchGetItem call")
        unread = self.leave_unread.pop(0) if self.leave_unread else 0
        responses: dict[str, list[Item]] = {}
        unprocessed: dict[str, Any] = {}
        used: dict[str, Used] = {}
        size = 0
        for name, wanted in request["RequestItems"].items():
            only_known("BatchGetItem", wanted, KNOWN_WITHIN["Keys"])
            table = self._table("BatchGetItem", name)
            keys = [table.key_of(key) for key in wanted["Keys"]]
            if any(key in keys[:at] for at, key in enumerate(keys)):
                raise NotValid("Provided list of item keys contains duplicates")
            responses[name], used[name] = [], Used()
            for at, key in enumerate(keys):
                item = table.items.get(key)
                size += 0 if self.trusting else size_of(item or {})
                if size > _BATCH_BYTES or at >= len(keys) - unread:
                    unprocessed[name] = {**wanted, "Keys": keys[at:]}
                    break
                used[name] += self._read(item or {}, wanted)
                responses[name] += [self._given(item)] if item is not None else []
        answer = self._paid("BatchGetItem", request, used)
        return {"Responses": responses, "UnprocessedKeys": unprocessed, **answer}

    @_operation
    def transact_write_items(self, request: dict[str, Any]) -> dict[str, Any]:
        entries = [one for entry in request["TransactItems"] for one in entry.items()]
        if len(entries) > _TRANSACTION_ITEMS:
            raise NotValid("Member must have length less than or equal to 100")
        plans = [
            planned(self._table("TransactWriteItems", one["TableName"]), action, one)
            for action, one in entries
        ]
        places = [(plan.table.name, plan.table.key.order(plan.key)) for plan in plans]
        if len(set(places)) != len(places):
            raise NotValid("Transaction request cannot include multiple operations on one item")
        size = sum(0 if self.trusting else size_of(plan.new or {}) for plan in plans)
        if size > _TRANSACTION_BYTES:
            raise NotValid("Transaction request cannot exceed 4 MB")
        used: dict[str, Used] = defaultdict(Used)
        allowed = all(plan.allowed for plan in plans)
        for plan in plans:
            new = plan.new if allowed else plan.old
            used[plan.table.name] += self._written(plan.table, plan.old, new, times=2)
        answer = self._paid("TransactWriteItems", request, used)
        if not allowed:
            reasons = [plan.reason() for plan in plans]
            codes = ", ".join(reason["Code"] for reason in reasons)
            raise refusal(
                "TransactWriteItems",
                "TransactionCanceledException",
                f"Transaction cancelled, see the reasons for specific reasons [{codes}]",
                CancellationReasons=reasons,
            )
        for plan in plans:
            self._apply(plan)
        return answer

    def get_paginator(self, operation: str) -> "Paginator[Any]":
        """Return botocore's own paginator over this client's operation."""
        name = "".join(part.title() for part in operation.split("_"))
        pages = botocore.session.get_session().get_paginator_model("dynamodb")
        model = MODEL.operation_model(name)
        return Paginator(getattr(self, operation), pages.get_paginator(name), model)

    def _table(self, operation: str, name: str) -> Table:
        if name not in self._tables:
            told = "Cannot do operations on a non-existent table"
            raise refusal(operation, "ResourceNotFoundException", told)
        return self._tables[name]

    def _write(
        self, action: str, request: Mapping[str, Any], *, may_return: set[str]
    ) -> dict[str, Any]:
        operation = f"{action}Item"
        returned = request.get("ReturnValues", "NONE")
        if returned not in {"NONE", *may_return}:
            raise NotValid("ReturnValues set to invalid value")
        table = self._table(operation, request["TableName"])
        wanted = request
        if not self.trusting:
            wanted = {name: told for name, told in request.items() if name not in ANSWERED}
        plan = planned(table, action, wanted)
        used = self._written(table, plan.old, plan.new)
        answer = self._paid(operation, request, {table.name: used})
        if not plan.allowed:
            raise refusal(operation, "ConditionalCheckFailedException", FAILED, **plan.told())
        self._apply(plan)
        attributes = {"ALL_OLD": plan.old, "ALL_NEW": plan.new}.get(returned)
        return answer if attributes is None else {"Attributes": self._given(attributes), **answer}

    def _apply(self, plan: Plan) -> None:
        if plan.old == plan.new:
            return
        plan.table.replace(plan.old, plan.new)
        kind = "INSERT" if plan.old is None else "REMOVE" if plan.new is None else "MODIFY"
        change = Change(
            number=len(self.changes) + 1,
            table=plan.table.name,
            kind=kind,
            key=self._given(plan.key),
            old=None if plan.old is None else self._given(plan.old),
            new=None if plan.new is None else self._given(plan.new),
        )
        self.changes.append(change)

    def _page(
        self, operation: str, request: Mapping[str, Any], table: Table, found: Iterator[Item]
    ) -> dict[str, Any]:
        """Return a page: at most `Limit` items, at most 1 MB, and where it ended."""
        index, consistent = request.get("IndexName"), request.get("ConsistentRead", False)
        if index is not None and consistent:
            raise NotValid("Consistent reads are not supported on global secondary indexes")
        items: list[Item] = []
        size, ended = 0, True
        for item in found:
            item_bytes = 0 if self.trusting else size_of(item)
            if items and size + item_bytes > PAGE_BYTES:
                ended = False
                break
            items.append(self._given(item))
            size += item_bytes
            if len(items) == request.get("Limit"):
                # DynamoDB does not look further: the key comes though nothing may follow.
                ended = False
                break
        used = _NOTHING if self.trusting else read(size, consistent=consistent)
        answer = self._paid(operation, request, {table.name: used})
        answer |= {"Count": len(items), "ScannedCount": len(items)}
        if request.get("Select", "ALL_ATTRIBUTES") == "ALL_ATTRIBUTES":
            answer["Items"] = items
        elif request["Select"] != "COUNT":
            raise Unsupported(f"Select={request['Select']}")
        return answer if ended else {**answer, "LastEvaluatedKey": table.last_key(index, items[-1])}

    def _given(self, item: Item) -> Item:
        """Return an item for whoever asked: a copy, or the item itself to who can be trusted."""
        return item if self.trusting else copied(item)

    def _read(self, item: Item, request: Mapping[str, Any]) -> Used:
        if self.trusting:
            return _NOTHING
        return read(size_of(item), consistent=request.get("ConsistentRead", False))

    def _written(self, table: Table, old: Item | None, new: Item | None, *, times: int = 1) -> Used:
        return _NOTHING if self.trusting else written(table, old, new, times=times)

    def _paid(
        self, operation: str, request: Mapping[str, Any], used: Mapping[str, Used]
    ) -> dict[str, Any]:
        """Count what a request costs, and return it the way the request asked to be told."""
        if self.trusting:
            return {}
        for table, units in used.items():
            self.meter.add(operation, table, units + Used(requests=1))
        match request.get("ReturnConsumedCapacity", "NONE"):
            case "NONE":
                return {}
            case "TOTAL":
                told = [
                    {
                        "TableName": table,
                        "CapacityUnits": one.read_units + one.write_units + one.index_units,
                    }
                    for table, one in used.items()
                ]
                several = operation in {"BatchGetItem", "TransactWriteItems"}
                return {"ConsumedCapacity": told if several else told[0]}
            case other:
                raise Unsupported(f"ReturnConsumedCapacity={other}")
