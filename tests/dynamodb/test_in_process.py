"""What the engine in this process adds to a client: a stream, a count of costs, and no guesses."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from tests.dynamodb import tables
from tests.dynamodb.in_process import InProcessDynamoDB
from tests.dynamodb.metering import Used, total
from tests.dynamodb.values import Unsupported

KILOBYTE = "x" * 1024


@pytest.fixture
def dynamodb() -> InProcessDynamoDB:
    client = InProcessDynamoDB()
    tables.create(client, "views", name="t")
    return client


def item(k: str = "a", s: str = "1", **more: str) -> dict[str, Any]:
    return {"k": {"S": k}, "s": {"S": s}, **{name: {"S": value} for name, value in more.items()}}


def put(client: InProcessDynamoDB, **more: str) -> None:
    client.put_item(TableName="t", Item=item(**more))


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def cost(client: InProcessDynamoDB, operation: str, **request: Any) -> Used:
    with client.meter.measured() as used:
        getattr(client, operation)(**request)
    return total(used)


def test_the_stream_tells_every_change_with_both_images_and_nothing_else(
    dynamodb: InProcessDynamoDB,
):
    put(dynamodb, v="1")
    put(dynamodb, v="1")
    put(dynamodb, v="2")
    with pytest.raises(ClientError):
        dynamodb.put_item(
            TableName="t", Item=item(v="3"), ConditionExpression="attribute_not_exists(k)"
        )
    dynamodb.delete_item(TableName="t", Key=item())
    dynamodb.delete_item(TableName="t", Key=item())

    told = [(change.number, change.kind, change.old, change.new) for change in dynamodb.changes]
    assert told == [
        (1, "INSERT", None, item(v="1")),
        (2, "MODIFY", item(v="1"), item(v="2")),
        (3, "REMOVE", item(v="2"), None),
    ]


def test_a_cancelled_transaction_changes_nothing_and_leaves_no_record(
    dynamodb: InProcessDynamoDB,
):
    put(dynamodb)
    entries = [
        {"Put": {"TableName": "t", "Item": item(s="2")}},
        {
            "Put": {
                "TableName": "t",
                "Item": item(v="9"),
                "ConditionExpression": "attribute_not_exists(k)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        },
    ]

    with pytest.raises(ClientError) as cancelled:
        dynamodb.transact_write_items(TransactItems=entries)

    assert isinstance(cancelled.value, dynamodb.exceptions.TransactionCanceledException)
    reasons: Any = cancelled.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ConditionalCheckFailed"]
    assert reasons[1]["Item"] == item()
    assert len(dynamodb.changes) == 1
    assert "Item" not in dynamodb.get_item(TableName="t", Key=item(s="2"))


def test_what_is_handed_out_is_a_copy(dynamodb: InProcessDynamoDB):
    given = item(v="1")
    dynamodb.put_item(TableName="t", Item=given)
    given["v"]["S"] = "changed"
    dynamodb.get_item(TableName="t", Key=item())["Item"]["v"]["S"] = "changed"

    assert dynamodb.get_item(TableName="t", Key=item())["Item"] == item(v="1")
    assert dynamodb.changes[0].new == item(v="1")


@pytest.mark.parametrize(
    ("operation", "request_", "used"),
    [
        ("put_item", {"Item": item(s="9", v="x")}, Used(1, write_units=1)),
        ("put_item", {"Item": item(s="9", v=KILOBYTE)}, Used(1, write_units=2)),
        # The larger of old and new item counts.
        ("put_item", {"Item": item(s="2")}, Used(1, write_units=5)),
        ("delete_item", {"Key": item(s="2")}, Used(1, write_units=5)),
        ("put_item", {"Item": item(s="9", l1="red")}, Used(1, write_units=1, index_units=1)),
        ("put_item", {"Item": item(s="3", l1="blue")}, Used(1, write_units=1, index_units=2)),
        ("put_item", {"Item": item(s="3")}, Used(1, write_units=1, index_units=1)),
        ("get_item", {"Key": item(s="2"), "ConsistentRead": True}, Used(1, read_units=2)),
        ("get_item", {"Key": item(s="2")}, Used(1, read_units=1)),
        ("get_item", {"Key": item(s="none")}, Used(1, read_units=0.5)),
        (
            "query",
            {
                "KeyConditionExpression": "k = :k",
                "ExpressionAttributeValues": {":k": {"S": "a"}},
                "ConsistentRead": True,
            },
            Used(1, read_units=2),
        ),
    ],
)
def test_costs_are_those_of_the_developer_guide(
    dynamodb: InProcessDynamoDB, operation: str, request_: dict[str, Any], used: Used
):
    put(dynamodb, s="1")
    put(dynamodb, s="2", v=KILOBYTE * 4)
    put(dynamodb, s="3", l1="red")

    assert cost(dynamodb, operation, TableName="t", **request_) == used


def test_a_batch_rounds_each_item_and_a_transaction_costs_double(dynamodb: InProcessDynamoDB):
    put(dynamodb, s="1")
    keys = {"Keys": [item(s="1"), item(s="2")], "ConsistentRead": True}
    entries = [{"Put": {"TableName": "t", "Item": item(s=s)}} for s in "12"]

    read = cost(dynamodb, "batch_get_item", RequestItems={"t": keys})
    written = cost(dynamodb, "transact_write_items", TransactItems=entries)

    assert (read, written) == (Used(1, read_units=2), Used(1, write_units=4))


def test_keys_are_left_unread_when_a_test_says_so(dynamodb: InProcessDynamoDB):
    keys = [item(s=s) for s in "123"]
    put(dynamodb, s="1")
    dynamodb.leave_unread = [2]
    request = {"RequestItems": {"t": {"Keys": keys}}}

    first, second = (dynamodb.batch_get_item(**request) for _ in range(2))

    assert first["UnprocessedKeys"] == {"t": {"Keys": keys[1:]}}
    assert first["Responses"] == {"t": [item(s="1")]}
    assert second["UnprocessedKeys"] == {}


def test_a_page_ends_at_a_megabyte_and_a_paginator_goes_on(dynamodb: InProcessDynamoDB):
    for number in range(7):
        put(dynamodb, k=f"{number}", v=KILOBYTE * 300)

    pages = list(dynamodb.get_paginator("scan").paginate(TableName="t"))

    assert [page["Count"] for page in pages] == [3, 3, 1]
    assert len({one["k"]["S"] for page in pages for one in page["Items"]}) == 7


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("put_item", {"Item": item(s="")}),
        ("put_item", {"Item": {"k": {"S": "a"}}}),
        ("put_item", {"Item": {**item(), "s": {"N": "1"}}}),
        ("put_item", {"Item": {**item(), "l1": {"N": "1"}}}),
        ("put_item", {"Item": item(v=KILOBYTE * 400)}),
        ("put_item", {"Item": {**item(), "n": {"N": "1" * 39}}}),
        ("put_item", {"Item": {**item(), "n": {"N": "\N{ARABIC-INDIC DIGIT ONE}"}}}),
        ("put_item", {"Item": item(), "ReturnValues": "ALL_NEW"}),
        (
            "put_item",
            {
                "Item": item(),
                "ConditionExpression": "attribute_exists(k)",
                "ExpressionAttributeValues": {":unused": {"N": "1"}},
            },
        ),
        ("put_item", {"Item": item(), "ConditionExpression": "n = :undefined"}),
        ("get_item", {"Key": {"k": {"S": "a"}}}),
        ("update_item", {"Key": item(), "UpdateExpression": "REMOVE k"}),
        ("update_item", {"Key": item(), "UpdateExpression": "REMOVE v, v"}),
        (
            "query",
            {"KeyConditionExpression": "s = :s", "ExpressionAttributeValues": {":s": item()["s"]}},
        ),
    ],
)
def test_what_dynamodb_refuses_is_refused(
    dynamodb: InProcessDynamoDB, operation: str, request_: dict[str, Any]
):
    put(dynamodb)
    with pytest.raises(ClientError) as refused:
        getattr(dynamodb, operation)(TableName="t", **request_)

    assert code(refused) == "ValidationException"


def test_one_item_twice_in_a_transaction_is_refused(dynamodb: InProcessDynamoDB):
    entry = {"Put": {"TableName": "t", "Item": item()}}
    with pytest.raises(ClientError) as refused:
        dynamodb.transact_write_items(TransactItems=[entry, entry])

    assert code(refused) == "ValidationException"


def test_a_table_that_is_not_there_is_told(dynamodb: InProcessDynamoDB):
    with pytest.raises(ClientError) as refused:
        dynamodb.get_item(TableName="other", Key=item())

    assert code(refused) == "ResourceNotFoundException"


def test_a_request_of_no_such_form_never_gets_there(dynamodb: InProcessDynamoDB):
    with pytest.raises(ParamValidationError):
        dynamodb.put_item(TableName="t", Item=item(), NoSuchThing=1)
    with pytest.raises(ParamValidationError):
        dynamodb.put_item(TableName="t", Item={"k": "a"})


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("put_item", {"Item": item(), "ConditionExpression": "size(v) = :n"}),
        ("put_item", {"Item": item(), "ConditionExpression": "attribute_exists(k) OR v = k"}),
        ("put_item", {"Item": item(), "ConditionExpression": "NOT attribute_exists(k)"}),
        ("put_item", {"Item": item(), "ConditionExpression": "m.n = k"}),
        ("put_item", {"Item": {**item(), "v": {"SS": ["a"]}}}),
        ("update_item", {"Key": item(), "UpdateExpression": "SET v = v + s"}),
        ("update_item", {"Key": item(), "UpdateExpression": "DELETE v s"}),
        ("scan", {"ProjectionExpression": "k"}),
        ("get_item", {"Key": item(), "ProjectionExpression": "v"}),
    ],
)
def test_what_it_does_not_know_it_says_instead_of_guessing(
    dynamodb: InProcessDynamoDB, operation: str, request_: dict[str, Any]
):
    with pytest.raises(Unsupported):
        getattr(dynamodb, operation)(TableName="t", **request_)
