"""Response items: what is known of the answer to a commit, in its region of origin.

An item gathers the regions that have applied the commit, then the one body of Event B, then
that it was published. While it is not published it stands in a sparse index that the sweeper
reads. Every write is safe to repeat and to lose; a published item never opens again. Bodies
that tell of a subject are sealed; those of a forgotten one are as if they had been erased.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from eventstore.aws_errors import error_code, passing_errors_translated
from eventstore.commits import LAST_MS, aggregate_of
from eventstore.sealing import IN_CLEAR, Cipher
from projections.bounds import READ_BOUNDS, ReadBounds
from projections.response_items import ACK, WAY, Item, Response, read_response
from projections.ways import Way

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef, QueryOutputTypeDef

SHARDS = 8


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many answers are not published, and when the oldest of them was due, None if not told.

    In ms since 1970. An answer that is looked at again later is still as old.
    """

    pending: int
    first_due_ms: int | None


class ResponseStore:
    """The response items of one region (the client's)."""

    def __init__(
        self,
        client: "DynamoDBClient",
        *,
        table: str,
        bounds: ReadBounds = READ_BOUNDS,
        cipher: Cipher = IN_CLEAR,
    ) -> None:
        self._client = client
        self._cipher = cipher
        self._table = table
        self._bounds = bounds

    def get(self, commit_id: str, *, consistent: bool = True) -> Response | None:
        """Return what is known of the answer, None if the commit is not of this region."""
        with passing_errors_translated("read a response"):
            found = self._client.get_item(
                TableName=self._table, Key={"c": {"S": commit_id}}, ConsistentRead=consistent
            )
        return read_response(found["Item"], self._cipher) if "Item" in found else None

    def put_back(self, item: Item) -> bool:
        """Put an item of a backup as it was, where there is none of its commit; say whether.

        One that is there knows as much or more, and stays.
        """
        try:
            with passing_errors_translated("put back a response"):
                self._client.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression="attribute_not_exists(c)",
                )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def gather(
        self,
        commit_id: str,
        applied_at_ms: Mapping[str, int],
        *,
        due_ms: int,
        ways: Mapping[str, Way] | None = None,
    ) -> Response | None:
        """Open the item, or add acknowledgements to it; the first time of a region stays.

        So does its first way there: it is told by regions, and nothing is decided by it.

        Returns:
            The item as it is now; None if it is published, which nothing changes any more.

        """
        names = {f"#a{n}": f"{ACK}{region}" for n, region in enumerate(applied_at_ms)}
        values: dict[str, Any] = {
            f":a{n}": {"N": str(at_ms)} for n, at_ms in enumerate(applied_at_ms.values())
        }
        for n, (region, way) in enumerate((ways or {}).items()):
            names[f"#w{n}"] = f"{WAY}{region}"
            values[f":w{n}"] = {"S": way.stored()}
        values |= {":pending": {"S": _shard(commit_id)}, ":due": {"N": str(due_ms)}}
        sets = [f"{name} = if_not_exists({name}, :{name[1:]})" for name in names]
        sets += ["pending = if_not_exists(pending, :pending)", "due = if_not_exists(due, :due)"]
        # What is due again later was due first at this time: so old is the oldest answer owed.
        sets += ["first_due = if_not_exists(first_due, :due)"]
        request: dict[str, Any] = {
            "UpdateExpression": "SET " + ", ".join(sets),
            "ConditionExpression": "attribute_not_exists(published)",
            "ExpressionAttributeValues": values,
        }
        if names:
            request["ExpressionAttributeNames"] = names
        return self._update(commit_id, request)

    def store_body(self, commit_id: str, body: str, *, at_ms: int) -> bool:
        """Store the body of Event B, once: it is never written over, so there is one.

        Returns:
            False if there is another already; whoever stored it is about to publish it.

        Raises:
            SubjectForgotten: what the body tells cannot be kept any more.

        """
        stored = self._update(
            commit_id,
            {
                "UpdateExpression": "SET body = :body, body_at = :at",
                "ConditionExpression": "attribute_exists(pending) AND attribute_not_exists(body)",
                "ExpressionAttributeValues": {
                    ":body": self._stored(commit_id, body),
                    ":at": {"N": str(at_ms)},
                },
            },
        )
        if stored is not None:
            return True
        # A call whose answer got lost is made again by the client, and then finds its own body:
        # taken for somebody else's, it would be left for nobody to publish.
        there = self.get(commit_id)
        return there is not None and there.published_at_ms is None and there.body == body

    def store_bare_body(self, response: Response, body: str, *, at_ms: int) -> bool:
        """Store a body that tells nothing of its subject, where none can be read any more.

        Returns:
            False if the item has moved since `response` was read; nothing was stored.

        """
        values = {":body": {"S": body}, ":at": {"N": str(at_ms)}}
        as_read = "attribute_not_exists(body)"
        if response.lost:
            as_read, values[":was"] = "body_at = :was", {"N": str(response.stored_at_ms)}
        stored = self._update(
            response.commit_id,
            {
                "UpdateExpression": "SET body = :body, body_at = :at",
                "ConditionExpression": f"attribute_exists(pending) AND {as_read}",
                "ExpressionAttributeValues": values,
            },
        )
        return stored is not None

    def erase_body(self, commit_id: str) -> bool:
        """Remove the body of an answer that was given; False if there is none to remove."""
        erased = self._update(
            commit_id,
            {
                "UpdateExpression": "REMOVE body",
                "ConditionExpression": "attribute_exists(published) AND attribute_exists(body)",
            },
        )
        return erased is not None

    def mark_published(self, commit_id: str, *, at_ms: int) -> None:
        """Take the item out of the pending index; from now on it may expire."""
        expires = at_ms // 1000 + self._bounds.answer_kept_s
        self._update(
            commit_id,
            {
                "UpdateExpression": "SET published = :at, expires = :expires REMOVE pending, due",
                "ConditionExpression": "attribute_exists(body)",
                "ExpressionAttributeValues": {
                    ":at": {"N": str(at_ms)},
                    ":expires": {"N": str(expires)},
                },
            },
        )

    def take_over(self, answer: Response) -> None:
        """Have an answer that another region has published: its body, and nothing to do here.

        What was built here and not published gives way to what was published there. It is kept
        as long as it is there. Of somebody forgotten there may be no body any more, nor here then.
        """
        assert answer.published_at_ms is not None
        # As it is kept there: what is sealed stays sealed, and forgotten if it is.
        body = {} if answer.kept is None else {"body": answer.kept}
        values: dict[str, Any] = {
            **body,
            "body_at": {"N": str(answer.stored_at_ms or answer.published_at_ms)},
            "published": {"N": str(answer.published_at_ms)},
            "expires": {"N": str(answer.published_at_ms // 1000 + self._bounds.answer_kept_s)},
            **{f"{ACK}{r}": {"N": str(at_ms)} for r, at_ms in answer.applied_at_ms.items()},
            **{f"{WAY}{r}": {"S": way.stored()} for r, way in answer.ways.items()},
        }
        sets = ", ".join(f"#n{n} = :v{n}" for n in range(len(values)))
        gone = "pending, due" if body else "pending, due, body"
        self._update(
            answer.commit_id,
            {
                "UpdateExpression": f"SET {sets} REMOVE {gone}",
                "ConditionExpression": "attribute_not_exists(published)",
                "ExpressionAttributeNames": {f"#n{n}": name for n, name in enumerate(values)},
                "ExpressionAttributeValues": {
                    f":v{n}": value for n, value in enumerate(values.values())
                },
            },
        )

    def forget(self, commit_id: str) -> None:
        """Remove an item that is not published here, and is known to be answered long ago."""
        try:
            with passing_errors_translated("remove a response"):
                self._client.delete_item(
                    TableName=self._table,
                    Key={"c": {"S": commit_id}},
                    ConditionExpression="attribute_not_exists(published)",
                )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise

    def postpone(self, commit_id: str, *, due_ms: int) -> None:
        """Let the sweeper look again at `due_ms`."""
        self._update(
            commit_id,
            {
                "UpdateExpression": "SET due = :due",
                "ConditionExpression": "attribute_exists(pending)",
                "ExpressionAttributeValues": {":due": {"N": str(due_ms)}},
            },
        )

    def overdue(self, *, now_ms: int, limit: int) -> Iterator[str]:
        """Yield ids of at most `limit` commits that should have been answered by now."""
        for shard in range(SHARDS):
            query: QueryInputTypeDef = {
                "TableName": self._table,
                "IndexName": "pending",
                "KeyConditionExpression": "pending = :shard AND due <= :now",
                "ExpressionAttributeValues": {
                    ":shard": {"S": str(shard)},
                    ":now": {"N": str(now_ms)},
                },
                "Limit": max(1, limit // SHARDS),
            }
            with passing_errors_translated("read pending answers"):
                page = self._client.query(**query)
            yield from (item["c"]["S"] for item in page["Items"])

    def count_pending(self) -> int:
        """Return how many answers are not published yet, as the index has it: some ms late."""
        return self.backlog().pending

    def backlog(self) -> Backlog:
        """Return what is not published yet, as the index has it: some ms late.

        Reads the whole index, which is as long as there are answers pending.
        """
        pending, first_due_ms = 0, LAST_MS
        for page in self._pending_pages("first_due"):
            pending += page["Count"]
            due = (int(item["first_due"]["N"]) for item in page["Items"] if "first_due" in item)
            first_due_ms = min(first_due_ms, *due, LAST_MS)
        return Backlog(pending, first_due_ms if first_due_ms < LAST_MS else None)

    def pending(self) -> Iterator[str]:
        """Yield the ids of all commits whose answers are not published, as the index has it."""
        for page in self._pending_pages("c"):
            yield from (item["c"]["S"] for item in page["Items"])

    def _pending_pages(self, attribute: str) -> Iterator["QueryOutputTypeDef"]:
        for shard in range(SHARDS):
            query: QueryInputTypeDef = {
                "TableName": self._table,
                "IndexName": "pending",
                "KeyConditionExpression": "pending = :shard",
                "ExpressionAttributeValues": {":shard": {"S": str(shard)}},
                "ProjectionExpression": attribute,
            }
            # Bounded by the index itself: each page starts after the one before.
            while True:
                with passing_errors_translated("read pending answers"):
                    page = self._client.query(**query)
                yield page
                if "LastEvaluatedKey" not in page:
                    break
                query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _update(self, commit_id: str, request: dict[str, Any]) -> Response | None:
        try:
            with passing_errors_translated("write a response"):
                updated = self._client.update_item(
                    TableName=self._table,
                    Key={"c": {"S": commit_id}},
                    ReturnValues="ALL_NEW",
                    **request,
                )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return None
        return read_response(updated["Attributes"], self._cipher)

    def _stored(self, commit_id: str, body: str) -> dict[str, Any]:
        sealed = self._cipher.seal_derived(
            aggregate_of(commit_id), body.encode(), place=f"answer {commit_id}"
        )
        return {"S": body} if sealed is None else {"B": sealed}


def _shard(commit_id: str) -> str:
    return str(zlib.crc32(commit_id.encode()) % SHARDS)
