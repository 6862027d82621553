"""What is sent and understood is what botocore sends and understands."""

import json
from typing import Any

import boto3
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from hypothesis import given
from hypothesis import strategies as st

from handlers.lean.json_form import from_wire, to_wire

MODEL = boto3.session.Session(region_name="x")._session.get_service_model("dynamodb")
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
LEAVES = st.one_of(
    st.builds(lambda one: {"S": one}, TEXT),
    st.builds(lambda one: {"N": str(one)}, st.integers()),
    st.builds(lambda one: {"B": one}, st.binary(max_size=8)),
    st.builds(lambda some: {"BS": some}, st.lists(st.binary(max_size=4), max_size=3)),
    st.just({"NULL": True}),
    st.just({"SS": ["B", "M"]}),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda some: {"L": some}, st.lists(inner, max_size=3)),
        st.builds(lambda some: {"M": some}, st.dictionaries(TEXT, inner, max_size=3)),
    ),
    max_leaves=6,
)
ITEMS = st.dictionaries(TEXT, VALUES, max_size=4)


def by_botocore(operation: str, request: dict[str, Any]) -> Any:
    serializer = create_serializer("json", include_validation=False)
    return json.loads(
        serializer.serialize_to_request(request, MODEL.operation_model(operation))["body"]
    )


def read_by_botocore(operation: str, body: bytes) -> dict[str, Any]:
    response = {"headers": {}, "status_code": 200, "body": body, "context": {}}
    shape = MODEL.operation_model(operation).output_shape
    parsed = create_parser("json").parse(response, shape)
    del parsed["ResponseMetadata"]
    return parsed


@given(ITEMS)
def test_requests_are_written_as_botocore_writes_them(item: dict[str, Any]):
    request = {"TableName": "t", "Item": item, "ExpressionAttributeValues": item}

    assert json.loads(to_wire(request)) == by_botocore("PutItem", request)


@given(ITEMS, ITEMS)
def test_answers_are_read_as_botocore_reads_them(one: dict[str, Any], other: dict[str, Any]):
    item, key = json.loads(to_wire(one)), json.loads(to_wire(other))
    answers = {
        "GetItem": {"Item": item},
        "UpdateItem": {"Attributes": item, "ConsumedCapacity": {"CapacityUnits": 0.5}},
        "Query": {"Items": [item, key], "Count": 2, "LastEvaluatedKey": key},
        "Scan": {"Items": [item], "Count": 1, "LastEvaluatedKey": None},
        "BatchGetItem": {
            "Responses": {"t": [item]},
            "UnprocessedKeys": {"t": {"Keys": [key], "ConsistentRead": True}},
        },
        "TransactGetItems": {"Responses": [{"Item": item}, {}]},
        "BatchWriteItem": {
            "UnprocessedItems": {
                "t": [{"PutRequest": {"Item": item}}, {"DeleteRequest": {"Key": key}}]
            }
        },
        "TransactWriteItems": {},
    }
    for operation, answer in answers.items():
        body = json.dumps(answer).encode()
        assert from_wire(body) == read_by_botocore(operation, body), operation
