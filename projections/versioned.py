"""A stored state that is changed on condition of its version: of two who change it, one is told.

The item has the version as `v`; 0 stands for no item. Consistency is the table's own: in its
region, or in all regions where it is a strongly consistent global table.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from eventstore.aws_errors import error_code, passing_errors_translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def put_state(
    client: "DynamoDBClient",
    *,
    table: str,
    key: Mapping[str, Any],
    before: int,
    version: int,
    document: str,
    doing: str,
) -> bool:
    """Put a state in the place of version `before`; False if that is not there any more.

    Raises:
        StoreUnavailable: the outcome is unknown; read to learn it.

    """
    put: dict[str, Any] = {
        "Item": {**key, "v": {"N": str(version)}, "d": {"S": document}},
        "ConditionExpression": "v = :before" if before else "attribute_not_exists(k)",
    }
    if before:
        put["ExpressionAttributeValues"] = {":before": {"N": str(before)}}
    try:
        with passing_errors_translated(doing):
            client.put_item(TableName=table, **put)
    except ClientError as error:
        if error_code(error) != "ConditionalCheckFailedException":
            raise
        return False
    return True
