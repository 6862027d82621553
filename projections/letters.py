"""Dead letters of the projector: aggregates that it cannot apply, set aside one by one.

A poisoned aggregate must not hold up the stream for all others. Its letter says which commit
stopped it and why; what waits behind that commit is the log itself, so nothing is copied and
nothing can be lost. Whenever the aggregate comes again it is tried again from where it stands.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eventstore.aws_errors import passing_errors_translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import ScanInputTypeDef

_MAX_ERROR = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One aggregate that a projector has set aside. Times in ms since 1970."""

    aggregate_id: str
    position: int
    error: str
    attempts: int
    first_at_ms: int
    last_at_ms: int


class LetterStore:
    """The letters of one region (the client's)."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def file(self, aggregate_id: str, *, position: int, error: str, at_ms: int) -> None:
        """Set an aggregate aside, or count one more attempt at the letter that is there.

        `error` must hold no personal data: see `eventstore.errors.described`.
        """
        with passing_errors_translated("file a dead letter"):
            self._client.update_item(
                TableName=self._table,
                Key={"a": {"S": aggregate_id}},
                UpdateExpression=(
                    "SET p = if_not_exists(p, :p), e = :e, t = if_not_exists(t, :t), l = :t "
                    "ADD n :one"
                ),
                ExpressionAttributeValues={
                    ":p": {"N": str(position)},
                    ":e": {"S": error[:_MAX_ERROR]},
                    ":t": {"N": str(at_ms)},
                    ":one": {"N": "1"},
                },
            )

    def all(self) -> Iterator[Letter]:
        """Yield every letter. Letters are few: each is an alarm."""
        scan: ScanInputTypeDef = {"TableName": self._table}
        while True:
            with passing_errors_translated("read dead letters"):
                page = self._client.scan(**scan)
            yield from map(_letter, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            scan["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _letter(item: dict[str, Any]) -> Letter:
    return Letter(
        aggregate_id=item["a"]["S"],
        position=int(item["p"]["N"]),
        error=item["e"]["S"],
        attempts=int(item["n"]["N"]),
        first_at_ms=int(item["t"]["N"]),
        last_at_ms=int(item["l"]["N"]),
    )
