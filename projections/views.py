"""The items of the read models in one region's table, each with the sequence it stands at.

A view moves only from exactly the applied position its writer has read: one conditional put
for a single item, one transaction where rows go with it. So the items and the applied
position can never disagree, and two projectors cannot both apply a commit. What is shown of a
subject is sealed; of a forgotten one nothing is stored but how far its log was applied.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

import orjson
from botocore.exceptions import ClientError

from eventstore.aws_errors import lost_race, passing_errors_translated
from eventstore.chain import on_chain
from eventstore.commits import Item
from eventstore.errors import StoreUnavailable, SubjectForgotten
from eventstore.identity import Keys
from eventstore.sealing import IN_CLEAR, Cipher
from projections.bounds import READ_BOUNDS, ReadBounds
from projections.projection import Document, Projection

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef, TransactWriteItemTypeDef

HEAD = "head"


class Resolver(Protocol):
    """Says which builds of a projection there are (`known_builds.KnownBuilds`)."""

    def live(self, projection: Projection) -> Projection:
        """Return the build that readers get."""
        ...

    def written(self, projection: Projection) -> Sequence[Projection]:
        """Return every build that some reader gets, or is about to get."""
        ...


class AsGiven:
    """Takes the build that a caller names: for those who write builds, or check them."""

    def live(self, projection: Projection) -> Projection:
        return projection

    def written(self, projection: Projection) -> Sequence[Projection]:
        return (projection,)


# DynamoDB's own bounds: keys of one BatchGetItem, items of one transaction (one is the head).
_BATCH_KEYS = 100
MAX_ROWS_A_WRITE = 99


@dataclass(frozen=True, slots=True)
class View:
    """A document as of `applied`, the last position in it; `commit` is that commit's own.

    Both are 0 before the first commit. `left` has the last position in each earlier epoch.
    A view that is `gone` is of a forgotten subject: it has no document, and never has one again.
    """

    applied: int = 0
    commit: int = 0
    document: Document | None = None
    left: tuple[int, ...] = ()
    gone: bool = False

    def has(self, last_position: int) -> bool:
        """Say whether the document has the commit that ends at this position."""
        return on_chain(last_position, applied=self.applied, left=self.left)

    def left_aside(self, last_position: int) -> bool:
        """Say whether the document is of a later epoch, and of a branch without that commit."""
        return last_position <= self.applied and not self.has(last_position)


@dataclass(frozen=True, slots=True)
class Page:
    """Some documents of a list, and the key to go on from, None at the end."""

    documents: list[Document]
    following: dict[str, Any] | None


class ViewStore:
    """Reads and writes the views of one region (the client's)."""

    def __init__(
        self,
        client: "DynamoDBClient",
        *,
        table: str,
        keys: Keys,
        bounds: ReadBounds = READ_BOUNDS,
        builds: Resolver | None = None,
        cipher: Cipher = IN_CLEAR,
    ) -> None:
        """Take the table; without `builds`, projections are the builds that they are given as."""
        self._cipher = cipher
        self._client = client
        self._table = table
        self._keys = keys
        self._bounds = bounds
        self._builds: Resolver = builds or AsGiven()

    def read(self, projection: Projection, aggregate_id: str, *, consistent: bool) -> View:
        """Return the view of one aggregate, as this region has applied it."""
        return self.read_live(projection, aggregate_id, consistent=consistent)[1]

    def read_live(
        self, projection: Projection, aggregate_id: str, *, consistent: bool
    ) -> tuple[Projection, View]:
        """Return the view, and the build of the projection that it is of."""
        projection = self._builds.live(projection)
        key = {"k": {"S": projection.key(aggregate_id)}, "s": {"S": HEAD}}
        with passing_errors_translated("read a view"):
            found = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=consistent)
        return projection, self._view(found.get("Item", {}))

    def read_many(self, wanted: Iterable[tuple[Projection, str]]) -> dict[tuple[str, str], View]:
        """Return views by (projection's build, aggregate id), each read consistently."""
        places = {
            live.key(a): (live.build, a) for one, a in wanted for live in [self._builds.live(one)]
        }
        return self._read_places(places)

    def read_every(self, wanted: Iterable[tuple[Projection, str]]) -> dict[tuple[str, str], View]:
        """Return the views of every build that is written, not only of the one that is read.

        What has to hold whichever build a reader gets, now or after the next change over, must
        look at all of them: to read only the live one would prove too little.
        """
        places = {
            build.key(a): (build.build, a)
            for one, a in wanted
            for build in self._builds.written(one)
        }
        return self._read_places(places)

    def _read_places(self, places: Mapping[str, tuple[str, str]]) -> dict[tuple[str, str], View]:
        views = dict.fromkeys(places.values(), View())
        self._cipher.ready(aggregate_id for _, aggregate_id in views)
        keys = [{"k": {"S": key}, "s": {"S": HEAD}} for key in places]
        for start in range(0, len(keys), _BATCH_KEYS):
            for item in self._batch_get(keys[start : start + _BATCH_KEYS]):
                views[places[item["k"]["S"]]] = self._view(item)
        return views

    def _batch_get(self, keys: Sequence[Any]) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        for _ in range(self._bounds.view_read_tries):
            with passing_errors_translated("read views"):
                answer = self._client.batch_get_item(
                    RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}}
                )
            items += answer["Responses"].get(self._table, [])
            left = answer.get("UnprocessedKeys", {}).get(self._table)
            if not left:
                return items
            keys = left["Keys"]
        raise StoreUnavailable(f"could not read views: {len(keys)} were left unread, throttled")

    def write(
        self,
        projection: Projection,
        aggregate_id: str,
        *,
        before: int,
        view: View,
        rows: Mapping[int, Document],
    ) -> bool:
        """Move a view from the applied position `before` to `view`, with its rows.

        Returns:
            False if the view no longer stands at `before`, or another writer is at it:
            nothing was written, read it again.

        """
        assert len(rows) <= MAX_ROWS_A_WRITE
        try:
            item, row_items = self._items(projection, aggregate_id, view, rows)
        except SubjectForgotten:
            # Folded while the key could still be had; by now there is no way to keep it.
            gone = View(view.applied, view.commit, left=view.left, gone=True)
            item, row_items = self._items(projection, aggregate_id, gone, {})
        put: dict[str, Any] = {
            "TableName": self._table,
            "Item": item,
            # Apply-if-next: the view stands exactly where the writer has folded from.
            "ConditionExpression": "n = :before" if before else "attribute_not_exists(k)",
        }
        if before:
            put["ExpressionAttributeValues"] = {":before": {"N": str(before)}}
        puts = [{"Put": {"TableName": self._table, "Item": row}} for row in row_items]
        try:
            with passing_errors_translated("write a view"):
                if puts:
                    together = cast("list[TransactWriteItemTypeDef]", [{"Put": put}, *puts])
                    self._client.transact_write_items(TransactItems=together)
                else:
                    self._client.put_item(**put)
        except ClientError as error:
            if lost_race(error):
                return False
            raise
        return True

    def put_rows(
        self, projection: Projection, aggregate_id: str, rows: Mapping[int, Document]
    ) -> None:
        """Put rows of a view that is about to be written and has more than one write takes."""
        assert len(rows) <= MAX_ROWS_A_WRITE
        try:
            _, items = self._items(projection, aggregate_id, View(), rows)
        except SubjectForgotten:
            return
        puts = [{"Put": {"TableName": self._table, "Item": item}} for item in items]
        together = cast("list[TransactWriteItemTypeDef]", puts)
        with passing_errors_translated("write rows of a view"):
            self._client.transact_write_items(TransactItems=together)

    def _items(
        self, projection: Projection, aggregate_id: str, view: View, rows: Mapping[int, Document]
    ) -> tuple[Item, list[Item]]:
        """Return the items of a view and its rows.

        Raises:
            SubjectForgotten: there is a document, and no key any more to seal it with.

        """
        key = projection.key(aggregate_id)
        head: Item = {
            "k": {"S": key},
            "s": {"S": HEAD},
            "n": {"N": str(view.applied)},
            "f": {"N": str(view.commit)},
        }
        if view.left:
            head["b"] = {"L": [{"N": str(position)} for position in view.left]}
        if view.gone:
            head["g"] = {"BOOL": True}
        if view.document is not None:
            head |= self._stored(key, HEAD, view.document)
            for attribute, value in projection.list_keys(view.document, self._keys).items():
                head[attribute] = {"S": f"{projection.build}#{value}"}
        sort_keys = {position: f"{position:020d}" for position in rows}
        return head, [
            {"k": {"S": key}, "s": {"S": sort_keys[position]}}
            | self._stored(key, sort_keys[position], row)
            for position, row in rows.items()
        ]

    def _stored(self, key: str, sort_key: str, document: Document) -> Item:
        aggregate_id, clear = key.rpartition("#")[2], orjson.dumps(document)
        place = _place(key, sort_key)
        sealed = self._cipher.seal_derived(aggregate_id, clear, place=place)
        return {"d": {"S": clear.decode()}} if sealed is None else {"x": {"B": sealed}}

    def _view(self, item: Mapping[str, Any]) -> View:
        if not item:
            return View()
        document = opened_document(item, self._cipher)
        gone = "g" in item or ("x" in item and document is None)
        left = tuple(int(one["N"]) for one in item["b"]["L"]) if "b" in item else ()
        shown = None if gone else document
        return View(int(item["n"]["N"]), int(item["f"]["N"]), shown, left, gone)

    def rows(
        self, projection: Projection, aggregate_id: str, *, limit: int, start: Any = None
    ) -> Page:
        """Return an aggregate's rows, newest first, as this region has applied them."""
        projection = self._builds.live(projection)
        query: QueryInputTypeDef = {
            "TableName": self._table,
            # Digits sort before letters, so this leaves the head out.
            "KeyConditionExpression": "k = :k AND s < :head",
            "ExpressionAttributeValues": {
                ":k": {"S": projection.key(aggregate_id)},
                ":head": {"S": HEAD},
            },
            "ScanIndexForward": False,
            "Limit": limit,
        }
        return self._page(query, projection, start)

    def listed(
        self, projection: Projection, *, index: str, value: str, limit: int, start: Any = None
    ) -> Page:
        """Return the documents under one list key, by aggregate id. Eventually consistent."""
        projection = self._builds.live(projection)
        query: QueryInputTypeDef = {
            "TableName": self._table,
            "IndexName": f"by-{index}",
            "KeyConditionExpression": "#l = :l",
            "ExpressionAttributeNames": {"#l": index},
            "ExpressionAttributeValues": {":l": {"S": f"{projection.build}#{value}"}},
            "Limit": limit,
        }
        return self._page(query, projection, start)

    def _page(self, query: "QueryInputTypeDef", projection: Projection, start: Any) -> Page:
        if start is not None:
            query["ExclusiveStartKey"] = _in_build(projection, start)
        with passing_errors_translated("read a list"):
            answer = self._client.query(**query)
        self._cipher.ready(item["k"]["S"].rpartition("#")[2] for item in answer["Items"])
        documents = (opened_document(item, self._cipher) for item in answer["Items"])
        shown = [document for document in documents if document is not None]
        return Page(shown, answer.get("LastEvaluatedKey"))


def _in_build(projection: Projection, start: Mapping[str, Any]) -> dict[str, Any]:
    """Return the key to go on from in this build, which may be newer than the page before."""
    moved = {}
    for attribute, value in start.items():
        name, *rest = value["S"].split("#", 2)
        of_build = name == projection.name and len(rest) == 2  # noqa: PLR2004 - label and rest
        moved[attribute] = {"S": f"{projection.build}#{rest[1]}"} if of_build else value
    return moved


def opened_document(item: Mapping[str, Any], cipher: Cipher) -> Document | None:
    """Return the document of an item; None if it has none, or none that can be read again."""
    clear: str | bytes | None = item.get("d", {}).get("S")
    if "x" in item:
        key, sort_key = item["k"]["S"], item["s"]["S"]
        aggregate_id, sealed = key.rpartition("#")[2], bytes(item["x"]["B"])
        clear = cipher.open(aggregate_id, sealed, place=_place(key, sort_key))
    return None if clear is None else orjson.loads(clear)


def _place(key: str, sort_key: str) -> str:
    return f"view {key} {sort_key}"
