"""The whole log, page by page, for whoever compares or counts: never for deciding.

Reads consistently, some segments side by side, and keeps one page of each in memory. Commits
come in no order that means anything; one put meanwhile may be seen or not, one from before is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eventstore.aws_errors import passing_errors_translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SEGMENTS = 4


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


@dataclass(frozen=True, slots=True)
class _Page:
    entries: list[Entry]
    following: Any


# Runs reads at the same time, and returns what each gave, in order.
Together = Callable[[Sequence[Callable[[], _Page]]], Sequence[_Page]]


class LogScan:
    """Scans the event table in segments."""

    def __init__(
        self,
        client: "DynamoDBClient",
        *,
        table: str,
        together: Together,
        segments: int = SEGMENTS,
    ) -> None:
        self._client = client
        self._table = table
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
            yield [entry for page in pages for entry in page.entries]

    def _reader(self, segment: int, start: Any) -> Callable[[], _Page]:
        return lambda: self._page(segment, start)

    def _page(self, segment: int, start: Any) -> _Page:
        more = {"ExclusiveStartKey": start} if start is not None else {}
        with passing_errors_translated("scan the log"):
            page = self._client.scan(
                TableName=self._table,
                ConsistentRead=True,
                Segment=segment,
                TotalSegments=self._segments,
                **more,
            )
        return _Page([_entry(item) for item in page["Items"]], page.get("LastEvaluatedKey"))


def _entry(item: Mapping[str, Any]) -> Entry:
    return Entry(item["a"]["S"], int(item["q"]["N"]), item["o"]["S"], int(item["r"]["N"]))
