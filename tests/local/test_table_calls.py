"""Which calls are about a global table, and what they write."""

from typing import Any

import orjson
import pytest

from infra.local.table_calls import key_of, read_call

TABLE = "antiphon-events"
KEY = {"a": {"S": "sub.1"}, "q": {"N": "1"}}


def call(operation: str, **request: Any):
    return read_call(
        operation=operation,
        body=orjson.dumps(request),
        known=lambda named: TABLE if named.rpartition(":table/")[2] == TABLE else None,
        region="us-east-1",
        caller=None,
    )


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("GetItem", {"TableName": TABLE, "Key": KEY}),
        ("Query", {"TableName": f"arn:aws:dynamodb:us-east-1:000000000000:table/{TABLE}"}),
        ("BatchGetItem", {"RequestItems": {"other": {}, TABLE: {}}}),
        ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": TABLE, "Item": KEY}}]}),
        ("ExecuteStatement", {"Statement": 'SELECT * FROM "antiphon-events" WHERE a = ?'}),
        ("ExecuteStatement", {"Statement": 'UPDATE"antiphon-events"SET x = 1'}),
        ("ExecuteStatement", {"Statement": "DELETE FROM antiphon-events WHERE a = 'x'"}),
        ("ExecuteStatement", {"Statement": 'SELECT * FROM "antiphon-events"."by-x"'}),
        ("ExecuteStatement", {"Statement": "INSERT INTO \"antiphon-events\" VALUE {'a': 'x'}"}),
        (
            "ExecuteTransaction",
            {"TransactStatements": [{"Statement": 'DELETE FROM "antiphon-events"'}]},
        ),
    ],
)
def test_a_call_that_names_a_global_table_is_recognised(operation, request_):
    assert call(operation, **request_).tables == {TABLE}


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("PutItem", {"TableName": "antiphon-views", "Item": {"d": {"S": TABLE}}}),
        ("PutItem", {"TableName": f"{TABLE}-archive", "Item": KEY}),
        ("DescribeTable", {"TableName": TABLE}),
    ],
)
def test_a_call_that_only_mentions_it_is_not(operation, request_):
    assert call(operation, **request_) is None


def test_a_body_that_is_no_json_is_left_to_the_engine():
    assert (
        read_call(
            operation="PutItem", body=b"{", known=lambda _: TABLE, region="us-east-1", caller=None
        )
        is None
    )


@pytest.mark.parametrize(
    ("operation", "request_", "writes"),
    [
        ("PutItem", {"TableName": TABLE, "Item": KEY}, True),
        ("UpdateItem", {"TableName": TABLE, "Key": KEY}, True),
        ("DeleteItem", {"TableName": TABLE, "Key": KEY}, True),
        ("Query", {"TableName": TABLE}, False),
        ("ExecuteStatement", {"Statement": ' select * from "antiphon-events"'}, False),
        ("ExecuteStatement", {"Statement": 'UPDATE "antiphon-events" SET x = 1'}, True),
        (
            "BatchExecuteStatement",
            {
                "Statements": [
                    {"Statement": 'SELECT * FROM "antiphon-events"'},
                    {"Statement": 'DELETE FROM "antiphon-events"'},
                ]
            },
            True,
        ),
        (
            "ExecuteTransaction",
            {"TransactStatements": [{"Statement": 'DELETE FROM "antiphon-events"'}]},
            True,
        ),
    ],
)
def test_writes_are_told_from_reads(operation, request_, writes):
    assert call(operation, **request_).writes is writes


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("TransactWriteItems", {"TransactItems": [TABLE]}),
        ("BatchExecuteStatement", {"Statements": [TABLE]}),
        ("BatchGetItem", {"RequestItems": 5}),
    ],
)
def test_a_body_whose_tables_cannot_be_read_is_left_to_the_engine(operation, request_):
    assert call(operation, **request_) is None


@pytest.mark.parametrize(
    ("operation", "request_", "well_formed"),
    [
        ("PutItem", {"TableName": TABLE, "Item": KEY}, True),
        ("PutItem", {"TableName": TABLE, "Item": "x"}, False),
        ("DeleteItem", {"TableName": TABLE, "Key": [KEY]}, False),
        ("BatchWriteItem", {"RequestItems": {TABLE: [{"PutRequest": {"Item": KEY}}]}}, True),
        ("BatchWriteItem", {"RequestItems": {TABLE: [{"PutRequest": {"Item": 5}}]}}, False),
        ("BatchWriteItem", {"RequestItems": {TABLE: 5}}, False),
        ("BatchGetItem", {"RequestItems": {TABLE: [KEY]}}, False),
        ("BatchGetItem", {"RequestItems": [TABLE]}, False),
        ("TransactWriteItems", {"TransactItems": [{"Put": {"TableName": TABLE}}]}, True),
    ],
)
def test_what_is_no_item_or_key_is_told_from_one(operation, request_, well_formed):
    assert call(operation, **request_).is_well_formed is well_formed


def test_each_statement_of_a_batch_is_a_call_about_its_own_table():
    statements = [
        {"Statement": 'SELECT * FROM "antiphon-events" WHERE a = ?', "ConsistentRead": True},
        {"Statement": "SELECT * FROM other WHERE a = ?"},
    ]
    batch = call("BatchExecuteStatement", Statements=statements)
    ours, other = batch.statements(lambda named: TABLE if named == TABLE else None)
    assert (ours.tables, other.tables) == ({TABLE}, frozenset())
    assert (ours.reads_consistently, other.reads_consistently) == (True, False)
    assert orjson.loads(other.body)["Statements"] == statements[1:]


def test_the_keys_of_a_batch_are_those_of_its_puts_and_deletes():
    other = {"a": {"S": "sub.2"}, "q": {"N": "1"}}
    batch = call(
        "BatchWriteItem",
        RequestItems={
            TABLE: [{"PutRequest": {"Item": KEY}}, {"DeleteRequest": {"Key": other}}],
        },
    )
    assert list(batch.attributes_written()) == [(TABLE, KEY), (TABLE, other)]


def test_the_name_of_a_replica_in_an_arn_becomes_the_name_of_the_table():
    read = call(
        "GetItem",
        TableName=f"arn:aws:dynamodb:eu-west-1:000000000000:table/{TABLE}",
        Key=KEY,
        ConsistentRead=True,
    )
    assert orjson.loads(read.body)["TableName"] == TABLE
    assert read.reads_consistently


@pytest.mark.parametrize("written", ["1", "1.0", "01", "1e0", "10E-1"])
def test_a_key_is_the_same_however_its_number_is_written(written):
    assert key_of({"q": {"N": written}}, ["q"]) == key_of({"q": {"N": "1"}}, ["q"])


@pytest.mark.parametrize("other", [{"N": "2"}, {"N": "100"}, {"N": "-1"}, {"S": "1"}, {"N": "x"}])
def test_different_keys_are_different(other):
    assert key_of({"q": other}, ["q"]) != key_of({"q": {"N": "1"}}, ["q"])


def test_the_items_of_a_transaction_are_written_or_checked():
    items = [
        {"Put": {"TableName": TABLE, "Item": {**KEY, "x": {"S": "y"}}}},
        {"ConditionCheck": {"TableName": TABLE, "Key": KEY}},
        {"Delete": {"TableName": "other", "Key": KEY}},
    ]
    written = list(call("TransactWriteItems", TransactItems=items).attributes_written())
    assert [name for name, _ in written] == [TABLE, TABLE, "other"]
    assert [attributes["a"] for _, attributes in written] == [KEY["a"]] * 3
