"""The schemas of the recorders' tables, made where an application asks for it (`CREATE_TABLE`).

For tests and one machine, and for the regional table anywhere. The event table of several
regions is a global table with strong consistency, which a template makes, never this.
"""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from eventstore.aws_errors import error_code

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.literals import ScalarAttributeTypeType

_WAIT_S = 1
_WAITS = 60


def make_event_table(client: "DynamoDBClient", name: str) -> None:
    """Make the event table if it is not there: a table of this region alone."""
    _make(client, name, partition="a", sort="q")


def make_regional_table(client: "DynamoDBClient", name: str) -> None:
    """Make the table of snapshots and tracking if it is not there."""
    _make(client, name, partition="k", sort="s")


def _make(client: "DynamoDBClient", name: str, *, partition: str, sort: str) -> None:
    kinds: dict[str, ScalarAttributeTypeType] = {partition: "S", sort: "N"}
    try:
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": key, "AttributeType": kind} for key, kind in kinds.items()
            ],
            KeySchema=[
                {"AttributeName": partition, "KeyType": "HASH"},
                {"AttributeName": sort, "KeyType": "RANGE"},
            ],
        )
    except ClientError as error:
        # It is there, or somebody is making it just now.
        if error_code(error) != "ResourceInUseException":
            raise
    waiter = client.get_waiter("table_exists")
    waiter.wait(TableName=name, WaiterConfig={"Delay": _WAIT_S, "MaxAttempts": _WAITS})
