"""Delete the items of a build that nobody reads or writes any more, page by page.

Only what begins with the build's own key goes; whoever calls has made sure that the build is
out of use. Stopping half way leaves items that cost money and harm nobody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eventstore.aws_errors import passing_errors_translated
from eventstore.errors import StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import ScanInputTypeDef

_PAGE = 500
# DynamoDB's own bound of one BatchWriteItem.
_BATCH = 25
_TRIES = 8


@dataclass(frozen=True, slots=True)
class RemovedPage:
    """How many items were looked at and deleted, and where to go on; None at the end."""

    looked_at: int
    deleted: int
    following: Mapping[str, Any] | None


class BuildRemoval:
    """Deletes from one region's views table."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def page(self, build: str, *, start: Mapping[str, Any] | None) -> RemovedPage:
        """Delete what a page of the table has of a build (`Projection.build`).

        Raises:
            StoreUnavailable: do the same page again.

        """
        scan: ScanInputTypeDef = {"TableName": self._table, "Limit": _PAGE}
        if start is not None:
            scan["ExclusiveStartKey"] = start
        with passing_errors_translated("look for items to delete"):
            page = self._client.scan(**scan)
        keys = [
            {"k": item["k"], "s": item["s"]}
            for item in page["Items"]
            if item["k"]["S"].startswith(f"{build}#")
        ]
        for at in range(0, len(keys), _BATCH):
            self._delete(keys[at : at + _BATCH])
        return RemovedPage(len(page["Items"]), len(keys), page.get("LastEvaluatedKey"))

    def _delete(self, keys: Sequence[Any]) -> None:
        requests: Any = [{"DeleteRequest": {"Key": key}} for key in keys]
        for _ in range(_TRIES):
            with passing_errors_translated("delete items"):
                answer = self._client.batch_write_item(RequestItems={self._table: requests})
            requests = answer.get("UnprocessedItems", {}).get(self._table)
            if not requests:
                return
        raise StoreUnavailable(f"{len(requests)} items were left undeleted, throttled")
