"""The whole log, page by page, for whoever rebuilds, compares or counts: never for deciding.

Reads consistently, some segments side by side, and keeps one page of each in memory. Within a
segment the commits of an aggregate come together and in order; aggregates come in an order that
means nothing. A commit put meanwhile may be seen or not, one from before is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from eventstore.aws_errors import passing_errors_translated
from eventstore.commits import Item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import ScanInputTypeDef

SEGMENTS = 4


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some of a segment.

    Attributes:
        items: the commits as stored, for `commits.from_item`.
        following: the key to go on from, None at the segment's end.
        read_units: what the page cost.

    """

    items: list[Item]
    following: Mapping[str, Any] | None
    read_units: float


class LogSegments:
    """Reads single pages of the event table's segments."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def page(
        self,
        *,
        segment: int,
        segments: int,
        start: Mapping[str, Any] | None,
        limit: int | None = None,
    ) -> LogPage:
        """Return the next page of a segment: at most `limit` commits, at most 1 MB.

        Raises:
            StoreUnavailable: read the same page again.

        """
        scan: ScanInputTypeDef = {
            "TableName": self._table,
            "ConsistentRead": True,
            "Segment": segment,
            "TotalSegments": segments,
            "ReturnConsumedCapacity": "TOTAL",
        }
        if limit is not None:
            scan["Limit"] = limit
        if start is not None:
            scan["ExclusiveStartKey"] = start
        with passing_errors_translated("scan the log"):
            page = self._client.scan(**scan)
        units = page.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)
        return LogPage(page["Items"], page.get("LastEvaluatedKey"), float(units))

    def estimated_commits(self) -> int:
        """Return about how many commits there are; DynamoDB counts them every six hours."""
        with passing_errors_translated("describe the log"):
            described = self._client.describe_table(TableName=self._table)
        return int(described["Table"].get("ItemCount", 0))


@dataclass(frozen=True, slots=True)
class Entry:
    """What a scan tells of one commit. `position` is that of its first event."""

    aggregate_id: str
    position: int
    origin: str
    recorded_at_ms: int

    @property
    def commit_id(self) -> str:
        return f"{self.aggregate_id}.{self.position}"


# Runs reads at the same time, and returns what each gave, in order.
Together = Callable[[Sequence[Callable[[], LogPage]]], Sequence[LogPage]]


class Scan(Protocol):
    """Goes over the log: `LogScan` one replica, `replicas.EveryReplica` all of them."""

    def pages(self) -> Iterator[list[Entry]]:
        """Yield every commit that was there when this began, some pages at a time.

        Raises:
            StoreUnavailable: a page could not be read; begin again.

        """
        ...


class LogScan:
    """Scans the event table in segments, side by side."""

    def __init__(
        self,
        client: "DynamoDBClient",
        *,
        table: str,
        together: Together,
        segments: int = SEGMENTS,
    ) -> None:
        self._reading = LogSegments(client, table=table)
        self._together = together
        self._segments = segments

    def pages(self) -> Iterator[list[Entry]]:
        """Yield every commit that was in the log when this began, some pages at a time.

        Raises:
            StoreUnavailable: a page could not be read; begin again.

        """
        starts: dict[int, Any] = dict.fromkeys(range(self._segments))
        # Bounded by the log: every page starts after the one before it in its segment.
        while starts:
            pages = self._together([self._reader(s, start) for s, start in starts.items()])
            following = zip(starts, pages, strict=True)
            starts = {s: page.following for s, page in following if page.following is not None}
            yield [_entry(item) for page in pages for item in page.items]

    def _reader(self, segment: int, start: Any) -> Callable[[], LogPage]:
        return lambda: self._reading.page(segment=segment, segments=self._segments, start=start)


def _entry(item: Mapping[str, Any]) -> Entry:
    return Entry(item["a"]["S"], int(item["q"]["N"]), item["o"]["S"], int(item["r"]["N"]))
