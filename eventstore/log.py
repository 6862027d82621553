"""The log: commits of an aggregate under contiguous positions, put only where none is.

`DynamoDBLog` keeps it in the event table; `memory.InMemoryLog` keeps the same promises in
one process, for tests of what stands on a log. Both pass one contract suite. Appending
decisions is `decisions.EventStore`'s work: nobody else puts.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from botocore.exceptions import ClientError

from eventstore.aws_errors import error_code, lost_race, passing_errors_translated
from eventstore.commits import Commit, Item, from_item, to_item
from eventstore.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

LAST_POSITION = 10**18 - 1


class CommitLog(Protocol):
    """What an event store needs of a log."""

    def put(self, commit: Commit, *, unless: int | None = None) -> Commit | None:
        """Store the commit if nothing is at its position, nor at the position `unless`.

        Returns:
            None if it is stored now, else the commit that is in its way.

        Raises:
            StoreUnavailable: the outcome is unknown; put the same again to learn it.

        """
        ...

    def get(self, aggregate_id: str, position: int, *, consistent: bool) -> Commit | None:
        """Return the commit whose first event has this position, None if there is none."""
        ...

    def read(
        self,
        aggregate_id: str,
        *,
        after: int = 0,
        upto: int = LAST_POSITION,
        consistent: bool,
        newest_first: bool = False,
    ) -> Iterator[Commit]:
        """Yield the commits with `after` < position <= `upto`, in order or newest first.

        `consistent=False` reads the region's own replica, which may lag: a prefix of the log.
        """
        ...

    def head(self, aggregate_id: str, *, consistent: bool) -> Commit | None:
        """Return the last commit of an aggregate, None if it has none."""
        ...


class DynamoDBLog:
    """The log in a DynamoDB table (partition key `a`, sort key `q`).

    In STRONG mode the table is a global table with multi-Region strong consistency: a put's
    condition and a consistent read see every region's writes. Reads with `consistent=False`
    see the replica of the client's region.
    """

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def put(self, commit: Commit, *, unless: int | None = None) -> Commit | None:
        if unless is not None:
            return self._put_unless(commit, unless)
        try:
            with passing_errors_translated("append to the log"):
                self._client.put_item(
                    TableName=self._table,
                    Item=to_item(commit),
                    # The whole guard against lost updates: nothing is ever written over.
                    ConditionExpression="attribute_not_exists(a)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            # What stands there comes with the refusal, so losing costs no second request.
            return from_item(error.response["Item"])  # type: ignore[typeddict-item]
        return None

    def _put_unless(self, commit: Commit, unless: int) -> Commit | None:
        """Put a commit in one act with the look that another has not arrived in this region."""
        absent = {
            "TableName": self._table,
            "ConditionExpression": "attribute_not_exists(a)",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        other = {"a": {"S": commit.aggregate_id}, "q": {"N": str(unless)}}
        try:
            with passing_errors_translated("append to the log"):
                put: Any = {"Put": {**absent, "Item": to_item(commit)}}
                check: Any = {"ConditionCheck": {**absent, "Key": other}}
                self._client.transact_write_items(TransactItems=[put, check])
        except ClientError as error:
            if not lost_race(error):
                raise
            reasons: Any = error.response.get("CancellationReasons", ())
            for reason in reasons:
                if "Item" in reason:
                    return from_item(reason["Item"])
            raise StoreUnavailable("could not append to the log: others write there") from error
        return None

    def get(self, aggregate_id: str, position: int, *, consistent: bool) -> Commit | None:
        with passing_errors_translated("read the log"):
            found = self._client.get_item(
                TableName=self._table,
                Key={"a": {"S": aggregate_id}, "q": {"N": str(position)}},
                ConsistentRead=consistent,
            )
        return from_item(found["Item"]) if "Item" in found else None

    def read(
        self,
        aggregate_id: str,
        *,
        after: int = 0,
        upto: int = LAST_POSITION,
        consistent: bool,
        newest_first: bool = False,
    ) -> Iterator[Commit]:
        if upto <= after:
            return
        query: QueryInputTypeDef = {
            "TableName": self._table,
            "KeyConditionExpression": "a = :a AND q BETWEEN :from AND :to",
            "ExpressionAttributeValues": {
                ":a": {"S": aggregate_id},
                ":from": {"N": str(after + 1)},
                ":to": {"N": str(upto)},
            },
            "ConsistentRead": consistent,
            "ScanIndexForward": not newest_first,
        }
        # Bounded by the log itself: each page (1 MB at most) starts after the one before.
        while True:
            with passing_errors_translated("read the log"):
                page = self._client.query(**query)
            items: list[Item] = page["Items"]
            yield from map(from_item, items)
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def head(self, aggregate_id: str, *, consistent: bool) -> Commit | None:
        with passing_errors_translated("read the head of the log"):
            page = self._client.query(
                TableName=self._table,
                KeyConditionExpression="a = :a",
                ExpressionAttributeValues={":a": {"S": aggregate_id}},
                ConsistentRead=consistent,
                ScanIndexForward=False,
                Limit=1,
            )
        return from_item(page["Items"][0]) if page["Items"] else None


def find(log: CommitLog, aggregate_id: str, position: int) -> Commit | None:
    """Return a commit from the region's own replica, or if that lags as of the log's head.

    A commit never changes, so where it is found makes no difference. None: there is none.
    """
    near = log.get(aggregate_id, position, consistent=False)
    return near or log.get(aggregate_id, position, consistent=True)
