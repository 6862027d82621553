"""The regional table of the recorders: snapshots and tracking, which no other region needs.

One table per region (partition key `k`, sort key `s`), not a global one: here there are
transactions. What is in it is derived, or a position of this region's own projections.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from eventstore.aws_errors import error_code, passing_errors_translated
from eventstore.commits import Item
from eventstore.errors import StoreUnavailable
from eventstore.recorders.patience import Patience

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef, TransactWriteItemTypeDef

TOKEN = "t"  # noqa: S105 - the attribute's name
ABSENT = "attribute_not_exists(k)"
_CONDITION_FAILED = "ConditionalCheckFailed"


class ConditionFailed(Exception):
    """A write was refused by a condition and changed nothing. `index` tells which of several."""

    def __init__(self, index: int) -> None:
        super().__init__(f"the condition of write {index} does not hold")
        self.index = index


class RegionalTable:
    """Writes and reads one region's table. Writes of unknown outcome are repeated."""

    def __init__(self, client: "DynamoDBClient", *, name: str, patience: Patience) -> None:
        self._client = client
        self.name = name
        self._patience = patience

    def put_new(self, item: Item) -> None:
        """Store an item, its token included, where none is.

        Raises:
            ConditionFailed: an item is there, and not by an earlier try of this put.
            StoreUnavailable: the outcome is unknown after all tries.

        """
        self._patience.until_known(lambda: self._put_once(item))

    def write_together(self, writes: Sequence["TransactWriteItemTypeDef"], *, token: bytes) -> None:
        """Do all the writes or none; the token is what a repeated try is recognised by.

        Raises:
            ConditionFailed: a condition does not hold.
            StoreUnavailable: the outcome is unknown after all tries.

        """
        self._patience.until_known(lambda: self._write_together_once(writes, token=token))

    def get(self, key: Item) -> Item | None:
        """Return the item of a key, by a consistent read."""
        with passing_errors_translated("read the regional table"):
            found = self._client.get_item(TableName=self.name, Key=key, ConsistentRead=True)
        return found.get("Item")

    def query(self, query: "QueryInputTypeDef") -> Iterator[Item]:
        """Yield the items of a query, by consistent reads, page after page as they are used."""
        while True:
            with passing_errors_translated("read the regional table"):
                page = self._client.query(**query)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            query = {**query, "ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _put_once(self, item: Item) -> None:
        try:
            with passing_errors_translated("write to the regional table"):
                self._client.put_item(
                    TableName=self.name,
                    Item=item,
                    ConditionExpression=ABSENT,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            there: Item = error.response["Item"]  # type: ignore[typeddict-item]
            # An earlier try of this put, whose answer was lost, is not a conflict.
            if there.get(TOKEN) != item[TOKEN]:
                raise ConditionFailed(0) from error

    def _write_together_once(
        self, writes: Sequence["TransactWriteItemTypeDef"], *, token: bytes
    ) -> None:
        try:
            with passing_errors_translated("write to the regional table"):
                # DynamoDB knows the token for ten minutes: a repeated request changes nothing.
                self._client.transact_write_items(
                    TransactItems=writes, ClientRequestToken=token.hex()
                )
        except ClientError as error:
            if error_code(error) != "TransactionCanceledException":
                raise
            reasons = error.response.get("CancellationReasons", [])
            codes = [str(reason.get("Code")) for reason in reasons]
            if _CONDITION_FAILED in codes:
                raise ConditionFailed(codes.index(_CONDITION_FAILED)) from error
            # Another transaction on the same items, or throttling.
            raise StoreUnavailable(f"the transaction was cancelled: {codes}") from error
