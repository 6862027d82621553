"""How far the segments of a rebuild are, and who is at it, in the region's views table.

A checkpoint follows the writes that it stands for, so going on from it repeats at most a page,
and repeating changes nothing. The lease keeps two people from paying for the same work; it is
no guard: nothing is wrong if two rebuild at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from eventstore.aws_errors import error_code, passing_errors_translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Kept of each segment; the switch looks at each of them.
_MOST_FAILED = 1_000
_LEASE = "lease"


@dataclass(frozen=True, slots=True)
class Place:
    """One pass of one rebuild: the projection, the label that is built, the phase."""

    name: str
    label: str
    phase: str

    @property
    def partition(self) -> str:
        """Where everything about this projection's rebuild is."""
        return f"rebuild#{self.name}"

    def sort_key(self, segment: int) -> str:
        """Where a segment's checkpoint is."""
        return f"{self.prefix}{segment:04d}"

    @property
    def prefix(self) -> str:
        """What the sort keys of this pass begin with."""
        return f"{self.label}#{self.phase}#"


class Checkpoint(BaseModel):
    """How far a segment is.

    Attributes:
        segments: of how many it is one.
        start: the key to go on from, as DynamoDB gave it; None at the beginning and at the end.
        failed: aggregates that could not be applied, the first of them.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    segments: int
    start: Mapping[str, Any] | None = None
    commits: int = 0
    read_units: float = 0.0
    failed: tuple[str, ...] = ()
    done: bool = False

    @property
    def overflown(self) -> bool:
        """Whether more may have failed than are kept."""
        return len(self.failed) >= _MOST_FAILED

    def after(
        self, *, start: Mapping[str, Any] | None, commits: int, failed: Sequence[str], units: float
    ) -> "Checkpoint":
        """Return the checkpoint after one more page."""
        return Checkpoint(
            segments=self.segments,
            start=start,
            commits=self.commits + commits,
            read_units=self.read_units + units,
            failed=tuple(dict.fromkeys((*self.failed, *failed)))[:_MOST_FAILED],
            done=start is None,
        )


class Checkpoints:
    """The checkpoints and leases of one region's rebuilds."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, place: Place, segment: int) -> Checkpoint | None:
        """Return a segment's checkpoint, None before its first page."""
        with passing_errors_translated("read a checkpoint"):
            found = self._client.get_item(
                TableName=self._table,
                Key={"k": {"S": place.partition}, "s": {"S": place.sort_key(segment)}},
                ConsistentRead=True,
            )
        item = found.get("Item")
        return Checkpoint.model_validate_json(item["d"]["S"]) if item else None

    def put(self, place: Place, segment: int, checkpoint: Checkpoint) -> None:
        """Keep a segment's checkpoint."""
        with passing_errors_translated("keep a checkpoint"):
            self._client.put_item(
                TableName=self._table,
                Item={
                    "k": {"S": place.partition},
                    "s": {"S": place.sort_key(segment)},
                    "d": {"S": checkpoint.model_dump_json()},
                },
            )

    def all(self, place: Place) -> list[Checkpoint]:
        """Return the checkpoints of a pass; fewer than there are segments while some wait."""
        found = [Checkpoint.model_validate_json(item["d"]["S"]) for item in self._items(place)]
        if not found:
            return []
        # A segment that was never begun is not done.
        segments = max(one.segments for one in found)
        return [*found, *[Checkpoint(segments=segments)] * (segments - len(found))]

    def take_lease(self, name: str, *, who: str, now_ms: int, lasts_ms: int) -> str | None:
        """Take or renew the lease of a projection's rebuild.

        Returns:
            None if it is held now, else who holds it.

        """
        key = {"k": {"S": f"rebuild#{name}"}, "s": {"S": _LEASE}}
        try:
            with passing_errors_translated("take the lease of a rebuild"):
                self._client.put_item(
                    TableName=self._table,
                    Item={**key, "w": {"S": who}, "u": {"N": str(now_ms + lasts_ms)}},
                    ConditionExpression="attribute_not_exists(k)",
                )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return self._take_over(key, who=who, now_ms=now_ms, lasts_ms=lasts_ms)
        return None

    def _take_over(self, key: Any, *, who: str, now_ms: int, lasts_ms: int) -> str | None:
        """Renew our own lease, or take one that has ended."""
        with passing_errors_translated("take the lease of a rebuild"):
            found = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        item = found.get("Item")
        if item and item["w"]["S"] != who and int(item["u"]["N"]) > now_ms:
            return item["w"]["S"]
        held = item["w"]["S"] if item else who
        try:
            with passing_errors_translated("take the lease of a rebuild"):
                self._client.put_item(
                    TableName=self._table,
                    Item={**key, "w": {"S": who}, "u": {"N": str(now_ms + lasts_ms)}},
                    ConditionExpression="w = :held",
                    ExpressionAttributeValues={":held": {"S": held}},
                )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return "somebody else"
        return None

    def holder(self, name: str, *, now_ms: int) -> str | None:
        """Return who holds the lease now, None if nobody does."""
        with passing_errors_translated("read the lease of a rebuild"):
            found = self._client.get_item(
                TableName=self._table,
                Key={"k": {"S": f"rebuild#{name}"}, "s": {"S": _LEASE}},
                ConsistentRead=True,
            )
        item = found.get("Item")
        return item["w"]["S"] if item and int(item["u"]["N"]) > now_ms else None

    def release(self, name: str, *, who: str) -> None:
        """Give the lease back, if it is ours."""
        try:
            with passing_errors_translated("give back the lease of a rebuild"):
                self._client.delete_item(
                    TableName=self._table,
                    Key={"k": {"S": f"rebuild#{name}"}, "s": {"S": _LEASE}},
                    ConditionExpression="w = :who",
                    ExpressionAttributeValues={":who": {"S": who}},
                )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise

    def clear(self, name: str) -> None:
        """Delete all checkpoints of a projection's rebuilds: nothing goes on from them."""
        query = {
            "TableName": self._table,
            "KeyConditionExpression": "k = :k",
            "ExpressionAttributeValues": {":k": {"S": f"rebuild#{name}"}},
        }
        for item in self._pages(query):
            if item["s"]["S"] != _LEASE:
                with passing_errors_translated("delete a checkpoint"):
                    self._client.delete_item(
                        TableName=self._table, Key={"k": item["k"], "s": item["s"]}
                    )

    def _items(self, place: Place) -> Iterator[dict[str, Any]]:
        query = {
            "TableName": self._table,
            "KeyConditionExpression": "k = :k AND begins_with(s, :pass)",
            "ExpressionAttributeValues": {
                ":k": {"S": place.partition},
                ":pass": {"S": place.prefix},
            },
            "ConsistentRead": True,
        }
        return self._pages(query)

    def _pages(self, query: Any) -> Iterator[dict[str, Any]]:
        while True:
            with passing_errors_translated("read checkpoints"):
                page = self._client.query(**query)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
