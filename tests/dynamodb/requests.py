"""What requests may hold: the parameters that this engine knows, of all that DynamoDB has."""

from collections.abc import Mapping
from typing import Any

from tests.dynamodb.values import Unsupported

_EXPRESSIONS = {"ExpressionAttributeNames", "ExpressionAttributeValues"}
_WRITE = {"TableName", "ConditionExpression", "ReturnValuesOnConditionCheckFailure", *_EXPRESSIONS}
ANSWERED = {"ReturnValues", "ReturnConsumedCapacity"}
_PAGED = {"TableName", "IndexName", "Select", "Limit", "ConsistentRead", "ExclusiveStartKey"}
KNOWN: dict[str, set[str]] = {
    "PutItem": {"Item"} | _WRITE | ANSWERED,
    "UpdateItem": {"Key", "UpdateExpression"} | _WRITE | ANSWERED,
    "DeleteItem": {"Key"} | _WRITE | ANSWERED,
    "GetItem": {"TableName", "Key", "ConsistentRead", "ReturnConsumedCapacity"},
    "Query": {"KeyConditionExpression", "ScanIndexForward", "ReturnConsumedCapacity"}
    | {"ProjectionExpression"}
    | _PAGED
    | _EXPRESSIONS,
    "Scan": _PAGED | {"ReturnConsumedCapacity", "Segment", "TotalSegments"},
    "BatchWriteItem": {"RequestItems"},
    "BatchGetItem": {"RequestItems", "ReturnConsumedCapacity"},
    "TransactWriteItems": {"TransactItems", "ReturnConsumedCapacity"},
    "CreateTable": {"TableName", "BillingMode", "AttributeDefinitions", "KeySchema"}
    | {"GlobalSecondaryIndexes", "StreamSpecification"},
}
KNOWN_WITHIN = {
    "Keys": {"Keys", "ConsistentRead"},
    "Put": {"Item"} | _WRITE,
    "Update": {"Key", "UpdateExpression"} | _WRITE,
    "Delete": {"Key"} | _WRITE,
    "ConditionCheck": {"Key"} | _WRITE,
}


def only_known(operation: str, request: Mapping[str, Any], known: set[str]) -> None:
    """Raise Unsupported if a request holds what this engine would overlook."""
    if strange := request.keys() - known:
        raise Unsupported(f"{operation} with {', '.join(sorted(strange))}")
