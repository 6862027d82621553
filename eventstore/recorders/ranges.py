"""Read the commits that hold a range of positions, in either order and no more than needed.

The log's own reads begin and end at whole commits; here a range may begin inside one. Holes
are told, not skipped: a replica that lags inside the range reads as a corrupt log.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from eventstore.aws_errors import passing_errors_translated
from eventstore.commits import Commit, Item, from_item
from eventstore.errors import CorruptLog
from eventstore.log import LAST_POSITION

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The positions from `first` to `last`, both included, and how to read them.

    Attributes:
        first, last: positions of events, not of commits.
        begins_commit: whether a commit is known to begin at `first` or nothing at all.
        descending: whether the last commit comes first.
        at_most: how many events are wanted; every commit has one at least, so no page is
            asked for more commits than that.
        consistent: whether to read the log's head or the region's replica, a prefix of it.

    """

    first: int = 1
    last: int = LAST_POSITION
    begins_commit: bool = True
    descending: bool = False
    at_most: int | None = None
    consistent: bool


class CommitRanges:
    """Reads ranges of positions from the event table, as of the client's region."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def read(self, aggregate_id: str, wanted: Range) -> Iterator[Commit]:
        """Yield the commits that hold any of the positions; those at the ends may hold others.

        Raises:
            CorruptLog: a commit between two others, or before the first, is not there.

        """
        before: Commit | None = None
        for commit in self._holding(aggregate_id, wanted):
            if before is not None:
                earlier, later = (commit, before) if wanted.descending else (before, commit)
                if not later.follows(earlier.last_position):
                    raise CorruptLog(f"no commit between {earlier.commit_id} and {later.commit_id}")
            before = commit
            yield commit

    def _holding(self, aggregate_id: str, wanted: Range) -> Iterator[Commit]:
        beginning_within = self._beginning_within(aggregate_id, wanted)
        earliest: Commit | None = None
        if wanted.descending:
            for earliest in beginning_within:
                yield earliest
            yield from self._reaching_in(aggregate_id, wanted, earliest)
        else:
            earliest = next(beginning_within, None)
            yield from self._reaching_in(aggregate_id, wanted, earliest)
            if earliest is not None:
                yield earliest
            yield from beginning_within

    def _reaching_in(
        self, aggregate_id: str, wanted: Range, earliest: Commit | None
    ) -> Iterator[Commit]:
        """Yield the commit that begins before the range and reaches into it, if there is one."""
        if earliest is not None and earliest.predecessor < wanted.first:
            return
        if not wanted.begins_commit:
            before = replace(wanted, first=1, last=wanted.first - 1, descending=True, at_most=1)
            found = next(self._beginning_within(aggregate_id, before), None)
            if found is not None and found.last_position >= wanted.first:
                yield found
                return
        if earliest is not None:
            raise CorruptLog(f"no commit before {earliest.commit_id}")

    def _beginning_within(self, aggregate_id: str, wanted: Range) -> Iterator[Commit]:
        """Yield the commits whose first event has one of the positions."""
        if wanted.last < wanted.first:
            return
        query: QueryInputTypeDef = {
            "TableName": self._table,
            "KeyConditionExpression": "a = :a AND q BETWEEN :first AND :last",
            "ExpressionAttributeValues": {
                ":a": {"S": aggregate_id},
                ":first": {"N": str(wanted.first)},
                ":last": {"N": str(wanted.last)},
            },
            "ConsistentRead": wanted.consistent,
            "ScanIndexForward": not wanted.descending,
        }
        if wanted.at_most is not None:
            query["Limit"] = wanted.at_most
        # Bounded by the log itself: each page (1 MB at most) starts after the one before, and
        # is asked for only when the caller has used up the one before.
        while True:
            with passing_errors_translated("read the log"):
                page = self._client.query(**query)
            items: list[Item] = page["Items"]
            yield from map(from_item, items)
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
