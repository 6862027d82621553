"""Stream records that the event source mapping gave up: whole, in one object a batch.

The mapping's bucket holds what Lambda was about to lose; a stream itself forgets after a day.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from eventstore.aws_errors import passing_errors_translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Record = dict[str, Any]


class UnreadableDiscard(ValueError):
    """An object of the bucket is not what a stream mapping writes there."""


class Discards:
    """Reads the objects of one region's bucket (the client's)."""

    def __init__(self, client: "S3Client") -> None:
        self._client = client

    def read(self, bucket: str, key: str) -> tuple[str, list[Record]]:
        """Return why the mapping gave a batch up, and its records.

        Raises:
            UnreadableDiscard: the object is gone, or none of a stream mapping's.
            StoreUnavailable: try again.

        """
        try:
            with passing_errors_translated("read discarded records"):
                body = self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
        except self._client.exceptions.NoSuchKey as error:
            raise UnreadableDiscard("the object is gone") from error
        try:
            told = orjson.loads(body)
            records = orjson.loads(told["payload"])["Records"]
            return _why(told["requestContext"]), [_checked(record) for record in records]
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise UnreadableDiscard(f"not discarded records: {type(error).__name__}") from None


def _why(context: Mapping[str, Any]) -> str:
    return f"{context['condition']} after {int(context['approximateInvokeCount'])} deliveries"


def _checked(record: Record) -> Record:
    """Return a record whose place in the log can be told."""
    key = record["dynamodb"]["Keys"]
    if not isinstance(key["a"]["S"], str) or int(key["q"]["N"]) < 0:
        raise ValueError("a record of no commit")
    return record
