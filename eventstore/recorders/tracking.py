"""The library's tracking recorder in the regional table: how far an upstream was followed.

The notification id of an upstream application only rises, whoever writes. A view that is
kept in DynamoDB subclasses the recorder and passes its own writes: they and the tracking
are stored together or not at all. Not for events of this package: they have no such ids.

Item: `k` = tracking#["<application>","<upstream>"], `s` = 0, `n` = id.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from eventsourcing.persistence import IntegrityError, Tracking, TrackingRecorder

from eventstore.commits import Item
from eventstore.identity import canonical_json
from eventstore.recorders.library_errors import library_errors
from eventstore.recorders.regional import ConditionFailed, RegionalTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef


class DynamoDBTrackingRecorder(TrackingRecorder):
    """Keeps the positions of one application in its upstream applications.

    Attributes:
        table: the regional table, for the reads of a subclass.

    """

    def __init__(
        self, table: RegionalTable, *, application: str, new_token: Callable[[], bytes]
    ) -> None:
        self.table = table
        self._application = application
        self._new_token = new_token

    def insert_tracking(
        self, tracking: Tracking, *, writes: Sequence["TransactWriteItemTypeDef"] = ()
    ) -> None:
        """Record that a notification of an upstream was processed, together with `writes`.

        Args:
            tracking: the upstream's name and the notification's id.
            writes: up to 99 writes to tables of this region, as TransactWriteItems takes them.

        Raises:
            IntegrityError: the id is not above the last one, or a condition of `writes` does
                not hold. Nothing was changed.
            OperationalError: the outcome is unknown after all tries.

        """
        token = self._new_token()
        advance = self._advance(tracking)
        with library_errors("insert tracking"):
            try:
                # A transaction even of one write: DynamoDB recognises a repeated try of it also
                # when somebody else has gone on from there.
                self.table.write_together([advance, *writes], token=token)
            except ConditionFailed as failed:
                what = (
                    f"notification {tracking.notification_id} of {tracking.application_name} is "
                    "not above the last one tracked"
                    if failed.index == 0
                    else f"the condition of write {failed.index - 1} does not hold"
                )
                raise IntegrityError(what) from failed

    def max_tracking_id(self, application_name: str) -> int | None:
        """Return the last notification id of an upstream, None if there is none.

        Raises:
            OperationalError: DynamoDB could not be reached.

        """
        with library_errors("read tracking"):
            item = self.table.get(self._key(application_name))
        return int(item["n"]["N"]) if item is not None else None

    def _key(self, upstream: str) -> Item:
        names = canonical_json([self._application, upstream]).decode()
        return {"k": {"S": f"tracking#{names}"}, "s": {"N": "0"}}

    def _advance(self, tracking: Tracking) -> "TransactWriteItemTypeDef":
        return {
            "Update": {
                "TableName": self.table.name,
                "Key": self._key(tracking.application_name),
                "UpdateExpression": "SET n = :n",
                "ConditionExpression": "attribute_not_exists(n) OR n < :n",
                "ExpressionAttributeValues": {":n": {"N": str(tracking.notification_id)}},
            }
        }
