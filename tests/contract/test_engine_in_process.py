"""The engine in this process answers as real engines do: the same requests, the same answers.

Whatever is shown on the engine in this process is worth as much as this test.
"""

import itertools
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dynamodb.in_process import InProcessDynamoDB

_numbers = itertools.count()
TABLE: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [
        {"AttributeName": "k", "AttributeType": "S"},
        {"AttributeName": "s", "AttributeType": "N"},
        {"AttributeName": "l", "AttributeType": "S"},
    ],
    "KeySchema": [
        {"AttributeName": "k", "KeyType": "HASH"},
        {"AttributeName": "s", "KeyType": "RANGE"},
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-l",
            "KeySchema": [
                {"AttributeName": "l", "KeyType": "HASH"},
                {"AttributeName": "s", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "ALL"},
        },
        {
            "IndexName": "keys-by-l",
            "KeySchema": [
                {"AttributeName": "l", "KeyType": "HASH"},
                {"AttributeName": "s", "KeyType": "RANGE"},
            ],
            "Projection": {"ProjectionType": "KEYS_ONLY"},
        },
    ],
}
KEYS = st.fixed_dictionaries(
    {
        "k": st.sampled_from(["a", "b"]).map(lambda k: {"S": k}),
        "s": st.sampled_from(["-1", "2", "10"]).map(lambda s: {"N": s}),
    }
)
NUMBERS = st.sampled_from(["0", "1", "1.0", "-2", "1000000000001", "1e2"]).map(lambda n: {"N": n})
VALUES = NUMBERS | st.sampled_from(
    [
        {"S": ""},
        {"S": "\N{SNOWMAN}" * 500},
        {"B": b"\x00\xff"},
        {"NULL": True},
        {"L": [{"N": "1.5"}, {"M": {"x": {"BOOL": False}}}]},
    ]
)
ITEMS = st.tuples(
    KEYS,
    st.fixed_dictionaries(
        {},
        optional={"n": NUMBERS, "v": VALUES, "l": st.sampled_from([{"S": "x"}, {"S": "y"}])},
    ),
).map(lambda parts: parts[0] | parts[1])
CONDITIONS = st.sampled_from(
    [
        None,
        "attribute_not_exists(k)",
        "attribute_exists(n)",
        "attribute_exists(k) AND attribute_not_exists(v)",
        "n = :c",
        "#n <> :c",
        "n < :c",
        "n >= :c AND attribute_exists(l)",
        "n BETWEEN :c AND :c",
    ]
)
UPDATES = [
    "SET v = :u",
    "SET v = if_not_exists(v, :u), n = :u",
    "SET v = :u REMOVE l, n",
    "ADD n :u",
    "SET l = if_not_exists(l, :x) ADD n :u",
    "REMOVE v",
]
# Engines tell these apart by different errors in a transaction; nothing of ours does them.
INVALID_UPDATES = ["SET k = :x", "SET v = n"]
RANGES = st.sampled_from(
    ["", "s = :r", "s < :r", "s <= :r", "s > :r", "s >= :r", "s BETWEEN :r AND :z", "v = :r"]
)
CONSTANTS: dict[str, Any] = {
    ":c": {"N": "1"},
    ":u": {"N": "1"},
    ":x": {"S": "x"},
    ":r": {"N": "2"},
    ":z": {"N": "10"},
}


def with_constants(request: dict[str, Any]) -> dict[str, Any]:
    """Add the values that the expressions of a request name, and the names."""
    text = " ".join(str(value) for name, value in request.items() if "Expression" in name)
    values = {name: value for name, value in CONSTANTS.items() if name in text}
    more: dict[str, Any] = {"ExpressionAttributeValues": values} if values else {}
    if "#n" in text:
        more["ExpressionAttributeNames"] = {"#n": "n"}
    return request | more


@st.composite
def writes(draw: st.DrawFn, *, alone: bool) -> tuple[str, dict[str, Any]]:
    action = draw(
        st.sampled_from(["Put", "Update", "Delete", *([] if alone else ["ConditionCheck"])])
    )
    request: dict[str, Any] = {"TableName": "t"}
    request |= {"Item": draw(ITEMS)} if action == "Put" else {"Key": draw(KEYS)}
    if action == "Update":
        updates = UPDATES + (INVALID_UPDATES if alone else [])
        request["UpdateExpression"] = draw(st.sampled_from(updates))
    condition = draw(CONDITIONS)
    if action == "ConditionCheck":
        condition = condition or "attribute_exists(k)"
    if condition is not None:
        request["ConditionExpression"] = condition
        if draw(st.booleans()):
            request["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    if alone:
        # In transactions the engines disagree about what is charged; alone they all charge so.
        request["ReturnConsumedCapacity"] = "TOTAL"
        request["ReturnValues"] = draw(st.sampled_from(["NONE", "ALL_OLD", "ALL_NEW"]))
    return action, with_constants(request)


@st.composite
def queries(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    indexed = draw(st.booleans())
    first, value = ("l", "x") if indexed else ("k", "a")
    sort = draw(RANGES)
    request: dict[str, Any] = {
        "TableName": "t",
        "KeyConditionExpression": f"{first} = :first" + (f" AND {sort}" if sort else ""),
        "ScanIndexForward": draw(st.booleans()),
        "ConsistentRead": draw(st.booleans()) and not indexed,
    }
    request = with_constants(request)
    request.setdefault("ExpressionAttributeValues", {})[":first"] = {"S": value}
    if indexed:
        request["IndexName"] = draw(st.sampled_from(["by-l", "keys-by-l"]))
    # At an inclusive bound DynamoDB Local knows that nothing can follow, and gives no key.
    pages = sort in {"", "s < :r", "s > :r"}
    if pages and draw(st.booleans()):
        request["Limit"] = draw(st.integers(1, 3))
    if pages and not indexed and draw(st.booleans()):
        request["ExclusiveStartKey"] = draw(KEYS)
    return "query", request


def single() -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    return writes(alone=True).map(lambda w: (f"{w[0].lower()}_item", w[1]))


def key_of(entry: dict[str, Any]) -> str:
    """Return what an entry of a transaction is about."""
    [request] = entry.values()
    key = request.get("Key") or request["Item"]
    return repr((key["k"], key["s"]))


def transactions() -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    # One item twice in a transaction is refused by DynamoDB, but not always by its Local.
    entries = st.lists(
        writes(alone=False).map(lambda w: {w[0]: w[1]}), min_size=1, max_size=3, unique_by=key_of
    )
    return entries.map(lambda entries: ("transact_write_items", {"TransactItems": entries}))


def reads() -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    consistent = st.booleans()
    one = st.builds(
        lambda key, c: ("get_item", {"TableName": "t", "Key": key, "ConsistentRead": c}),
        KEYS,
        consistent,
    )
    many = st.builds(
        lambda keys, c: (
            "batch_get_item",
            {"RequestItems": {"t": {"Keys": keys, "ConsistentRead": c}}},
        ),
        st.lists(KEYS, min_size=1, max_size=4),
        consistent,
    )
    return one | many | queries()


# Items to find for queries: in both partitions, with and without the attribute of the index.
FILLED: list[tuple[str, dict[str, Any]]] = [
    ("put_item", {"TableName": "t", "Item": {"k": {"S": k}, "s": {"N": s}, **more}})
    for k, s, more in [
        ("a", "-1", {"l": {"S": "x"}}),
        ("a", "2", {"n": {"N": "1"}, "l": {"S": "x"}}),
        ("a", "10", {"n": {"N": "0"}}),
        ("b", "2", {"l": {"S": "x"}, "v": {"S": "tie"}}),
    ]
]
PROGRAMS = st.lists(single() | transactions() | reads(), min_size=3, max_size=14)


def renamed(value: Any, name: str) -> Any:
    """Return a request on the table `name` instead of `t`."""
    if isinstance(value, dict):
        return {
            (name if key == "t" else key): (name if key == "TableName" else renamed(inner, name))
            for key, inner in value.items()
        }
    return [renamed(inner, name) for inner in value] if isinstance(value, list) else value


def outcome(client: Any, operation: str, request: dict[str, Any], table: str) -> Any:
    """Return what an operation came to, without what only a network has."""
    try:
        answer = getattr(client, operation)(**renamed(request, table))
    except ClientError as error:
        told = error.response
        reasons = [
            (reason["Code"], reason.get("Item")) for reason in told.get("CancellationReasons", [])
        ]
        return (told["Error"]["Code"], told.get("Item"), reasons)
    del answer["ResponseMetadata"]
    if "IndexName" in request:
        # Items with one index key come in no order that is promised.
        last = answer.get("LastEvaluatedKey", {}).get("s")
        kept = [sorted(item) for item in answer["Items"]]
        return [item["s"] for item in answer["Items"]], last, sorted(kept) if last is None else []
    if operation == "batch_get_item":
        read = answer["Responses"].get(table, [])
        return sorted(map(repr, map(sorted_item, read))), bool(answer["UnprocessedKeys"])
    return answer


def sorted_item(item: dict[str, Any]) -> list[Any]:
    return sorted(item.items())


@pytest.fixture
def real(dynamodb: Any, request: pytest.FixtureRequest) -> Any:
    return dynamodb


@given(program=PROGRAMS)
@settings(
    max_examples=60,
    # Real engines differ from each other in corners that nothing of ours is in: no surprises.
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_the_engine_in_this_process_answers_as_a_real_one(real: Any, program: list[Any]):
    name = f"same-{next(_numbers)}"
    ours = InProcessDynamoDB()
    for client in (ours, real):
        client.create_table(TableName=name, **TABLE)

    for operation, request in [*FILLED, *program]:
        theirs = outcome(real, operation, request, name)
        assert outcome(ours, operation, request, name) == theirs, (operation, request)


@pytest.mark.parametrize("index", [None, "by-l", "keys-by-l"])
@pytest.mark.parametrize("forward", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_go_on_where_the_page_before_ended(
    real: Any,
    index: str | None,
    forward: bool,  # noqa: FBT001 - a parameter of the test
    limit: int,
):
    name = f"paged-{next(_numbers)}"
    query: dict[str, Any] = {
        "TableName": name,
        "KeyConditionExpression": "l = :v" if index else "k = :v",
        "ExpressionAttributeValues": {":v": {"S": "x"}},
        "ScanIndexForward": forward,
        "Limit": limit,
    }
    if index:
        query["IndexName"] = index
    told = []
    for client in (InProcessDynamoDB(), real):
        client.create_table(TableName=name, **TABLE)
        for number in (3, 10, -1, 2, 7, 20):
            item = {"k": {"S": "x"}, "s": {"N": str(number)}, "l": {"S": "x"}}
            client.put_item(TableName=name, Item=item)
        # The paginator goes on for as long as it is told where.
        pages = client.get_paginator("query").paginate(**query)
        told.append([(page["Items"], page.get("LastEvaluatedKey")) for page in pages])

    ours, theirs = told
    assert ours == theirs
    in_order = sorted([3, 10, -1, 2, 7, 20], reverse=not forward)
    assert [int(item["s"]["N"]) for items, _ in ours for item in items] == in_order


def test_a_query_gives_the_one_attribute_that_it_asks_for(real: Any):
    name = f"chosen-{next(_numbers)}"
    query = {"KeyConditionExpression": "k = :v", "ExpressionAttributeValues": {":v": {"S": "x"}}}
    told = []
    for client in (InProcessDynamoDB(), real):
        client.create_table(TableName=name, **TABLE)
        for number, more in ((1, {"l": {"S": "x"}}), (2, {})):
            item = {"k": {"S": "x"}, "s": {"N": str(number)}, "d": {"S": "long"}, **more}
            client.put_item(TableName=name, Item=item)
        page = client.query(TableName=name, ProjectionExpression="l", **query)
        told.append((page["Items"], page["Count"]))

    ours, theirs = told
    assert ours == theirs == ([{"l": {"S": "x"}}, {}], 2)
