"""Remove what was stored of one forgotten subject from a region's views, rows and all.

What stays of a view is how far its log was applied, so that projecting, rebuilding and comparing
go on. Erasing twice is erasing once; a projector may write meanwhile: it has nothing to show.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eventstore.aws_errors import passing_errors_translated
from projections.builds import BuildState
from projections.views import HEAD

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

# Of a view's head, what shows anything: the document, in clear or sealed, and its list keys.
_SHOWING = ("d", "x", "l1", "l2")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewErasure:
    """Erases in one region's views table (the client's).

    Args:
        names: of every projection that there is.
        first: the label of a projection that was never rebuilt, by its name.
        states: what builds there are now, by projection.

    """

    client: "DynamoDBClient"
    table: str
    first: Mapping[str, str]
    states: Callable[[], Mapping[str, BuildState]]

    def erase(self, aggregate_id: str) -> int:
        """Erase every build's view of an aggregate; return how many items showed something.

        Raises:
            StoreUnavailable: erase again.

        """
        return sum(self._erase_items(key) for key in self._keys(aggregate_id))

    def _keys(self, aggregate_id: str) -> Iterator[str]:
        states = self.states()
        for name, first in self.first.items():
            state = states.get(name) or BuildState(live=first)
            for label in {state.live, state.other, state.leftover} - {None}:
                yield f"{name}#{label}#{aggregate_id}"

    def _erase_items(self, key: str) -> int:
        erased = 0
        for item in self._items(key):
            place: dict[str, Any] = {"TableName": self.table, "Key": {n: item[n] for n in "ks"}}
            with passing_errors_translated("erase a view"):
                if item["s"]["S"] != HEAD:
                    self.client.delete_item(**place)
                elif any(name in item for name in _SHOWING):
                    # Whatever has moved the view meanwhile had nothing to show: no condition.
                    self.client.update_item(
                        **place,
                        UpdateExpression=f"SET g = :gone REMOVE {', '.join(_SHOWING)}",
                        ExpressionAttributeValues={":gone": {"BOOL": True}},
                    )
                else:
                    continue
            erased += 1
        return erased

    def _items(self, key: str) -> Iterator[Mapping[str, Any]]:
        query: QueryInputTypeDef = {
            "TableName": self.table,
            "KeyConditionExpression": "k = :k",
            "ExpressionAttributeValues": {":k": {"S": key}},
            "ConsistentRead": True,
        }
        # Bounded by the aggregate's own commits: each page starts after the one before.
        while True:
            with passing_errors_translated("read a view to erase"):
                page = self.client.query(**query)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
