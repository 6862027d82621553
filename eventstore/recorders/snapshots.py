"""The library's snapshots in the regional table: any version, in any order, each once.

Snapshots are derived and disposable: losing them costs time, never an event. They do not
follow each other, so nothing here may be used for events.

Item: `k` = snapshot#<aggregate id>, `s` = version, `topic`, `state`, `t` = token of the insert.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from eventsourcing.persistence import AggregateRecorder, DataError, IntegrityError, StoredEvent

from eventstore.commits import Item
from eventstore.recorders.library_errors import library_errors
from eventstore.recorders.regional import ABSENT, TOKEN, ConditionFailed, RegionalTable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef, TransactWriteItemTypeDef

    from eventstore.recorders.stored_form import StoredForm

# An item of DynamoDB holds 400 KB, a transaction 4 MB.
MAX_STATE_BYTES = 256 * 1024
MAX_TOGETHER = 10

_ANY_VERSION = 10**18


class DynamoDBSnapshotRecorder(AggregateRecorder):
    """Keeps an application's aggregate snapshots of one region."""

    def __init__(
        self, table: RegionalTable, *, form: "StoredForm", new_token: Callable[[], bytes]
    ) -> None:
        self._table = table
        self._form = form
        self._new_token = new_token

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> None:
        """Store snapshots, all or none.

        Raises:
            IntegrityError: there is a snapshot of this version, or a version occurs twice.
            DataError: more than 10 snapshots, or one of more than 256 KB.
            OperationalError: the outcome is unknown after all tries.

        """
        if not stored_events:
            return
        _refuse_unfit(stored_events)
        token = self._new_token()
        items = [self._item(snapshot, token) for snapshot in stored_events]
        with library_errors("insert snapshots"):
            try:
                if len(items) == 1:
                    self._table.put_new(items[0])
                else:
                    writes = [self._put(item) for item in items]
                    self._table.write_together(writes, token=token)
            except ConditionFailed as failed:
                there = stored_events[failed.index]
                raise IntegrityError(
                    f"a snapshot of {there.originator_id} at version {there.originator_version} "
                    "is stored already"
                ) from failed

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return the snapshots with gt < version <= lte, in order or descending.

        Raises:
            OperationalError: DynamoDB could not be reached.

        """
        first = -_ANY_VERSION if gt is None else gt + 1
        last = _ANY_VERSION if lte is None else lte
        if last < first or (limit is not None and limit < 1):
            return []
        query: QueryInputTypeDef = {
            "TableName": self._table.name,
            "KeyConditionExpression": "k = :k AND s BETWEEN :first AND :last",
            "ExpressionAttributeValues": {
                ":k": {"S": self._partition(originator_id)},
                ":first": {"N": str(first)},
                ":last": {"N": str(last)},
            },
            "ConsistentRead": True,
            "ScanIndexForward": not desc,
        }
        if limit is not None:
            query["Limit"] = limit
        snapshots: list[StoredEvent] = []
        with library_errors("select snapshots"):
            for item in self._table.query(query):
                snapshots.append(_snapshot(item, originator_id))
                if len(snapshots) == limit:
                    break
        return snapshots

    def _partition(self, originator_id: UUID | str) -> str:
        return f"snapshot#{self._form.aggregate_id(originator_id)}"

    def _item(self, snapshot: StoredEvent, token: bytes) -> Item:
        return {
            "k": {"S": self._partition(snapshot.originator_id)},
            "s": {"N": str(snapshot.originator_version)},
            "topic": {"S": snapshot.topic},
            "state": {"B": snapshot.state},
            TOKEN: {"B": token},
        }

    def _put(self, item: Item) -> "TransactWriteItemTypeDef":
        return {"Put": {"TableName": self._table.name, "Item": item, "ConditionExpression": ABSENT}}


def _refuse_unfit(snapshots: Sequence[StoredEvent]) -> None:
    versions = [(str(s.originator_id), s.originator_version) for s in snapshots]
    if len(set(versions)) < len(versions):
        raise IntegrityError(f"a version occurs twice in one call: {versions}")
    largest = max(len(snapshot.state) for snapshot in snapshots)
    if len(snapshots) > MAX_TOGETHER or largest > MAX_STATE_BYTES:
        raise DataError(
            f"{len(snapshots)} snapshots, the largest of {largest} bytes, are too much for one "
            f"call: it takes {MAX_TOGETHER} of {MAX_STATE_BYTES} bytes each"
        )


def _snapshot(item: Item, originator_id: UUID | str) -> StoredEvent:
    return StoredEvent(
        originator_id=originator_id,
        originator_version=int(item["s"]["N"]),
        topic=item["topic"]["S"],
        state=bytes(item["state"]["B"]),
    )
