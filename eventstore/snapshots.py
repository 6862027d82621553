"""Snapshots and token pages: what bounds the loading of a long log. Regional and disposable.

A snapshot is a state, its position and the commit that the log has there; beside it stand
immutable pages of the tokens up to there, each covering the positions from where the page
before it ends. Losing any of it costs time only: what cannot be trusted (a hole between pages,
another state model, another log) is left aside and the log is folded from its start.
States with personal data are sealed; once their subject is forgotten, old ones are left aside.
"""

import hashlib
from collections.abc import Hashable, Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import orjson
from botocore.exceptions import ClientError

from domain.aggregate import Aggregate
from eventstore.aws_errors import error_code, passing_errors_translated
from eventstore.chain import epoch_of
from eventstore.errors import StoreUnavailable
from eventstore.folding import Fold
from eventstore.sealing import IN_CLEAR, Cipher
from eventstore.tokens import TokenIndex

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

_STATE = "state"
_PLACE = "snapshot"
_PAGE = "tokens#"
# Entries of 14 bytes: a page stays well under the 400 KB of an item.
_PAGE_POSITIONS = 20_000
_MAX_PAGES_A_SAVE = 100
# What the offsets within a page can tell apart: an epoch is 10**12 positions.
_MOST_EPOCHS = 250


class Snapshots:
    """The snapshots of one region (the client's), in a table of their own.

    Args:
        client: of the region.
        table: partition key `a` (aggregate id), sort key `s`; expiry attribute `expires`.
        window_ms: tokens are kept at least this long.
        cipher: seals states with personal data.

    """

    def __init__(
        self,
        client: "DynamoDBClient",
        *,
        table: str,
        window_ms: int,
        cipher: Cipher = IN_CLEAR,
    ) -> None:
        self._client = client
        self._cipher = cipher
        self._table = table
        self._window_ms = window_ms

    def load(self, aggregate: Aggregate[Any], aggregate_id: str, *, now_ms: int) -> Fold | None:
        """Return the fold at the snapshot, None if there is none that can be trusted."""
        items = {item["s"]["S"]: item for item in self._items(aggregate_id)}
        try:
            return self._fold_in(items, aggregate, aggregate_id, now_ms=now_ms)
        except (LookupError, TypeError, ValueError, AttributeError):
            # An item that is none of ours: it only saves time, so it may stop nothing.
            return None

    def _fold_in(
        self,
        items: dict[str, dict[str, Any]],
        aggregate: Aggregate[Any],
        aggregate_id: str,
        *,
        now_ms: int,
    ) -> Fold | None:
        head = items.pop(_STATE, None)
        if head is None or head["v"]["S"] != _model_of(aggregate) or "t" not in head:
            return None
        # What the log must hold for this to be of it: whoever folds on looks for it there.
        tail = int(head["q"]["N"]), bytes(head["t"]["B"])
        last_position, newest_ms = int(head["n"]["N"]), int(head["w"]["N"])
        needed_ms = now_ms - self._window_ms
        pages = _unbroken(items.values(), upto=last_position, needed_ms=needed_ms)
        if pages is None or (not pages and newest_ms >= needed_ms):
            return None
        try:
            tokens = TokenIndex()
            tokens.add_pages((_range_of(page)[0], bytes(page["k"]["B"])) for page in pages)
            raw = self._opened(aggregate_id, head)
            if raw is None:
                return None
            state = None if raw == b"null" else aggregate.state.model_validate_json(raw)
        except ValueError:
            return None
        return Fold(
            state=state,
            last_position=last_position,
            changed_at=int(head["c"]["N"]),
            tokens=tokens,
            newest_ms=newest_ms,
            tail=tail,
            saved_at=last_position,
            saved_ms=newest_ms,
            size_bound=len(raw),
            forgotten="g" in head,
        )

    def save(self, aggregate: Aggregate[Any], aggregate_id: str, fold: Fold) -> bool:
        """Keep a fold whose commits are all in the log; False if another writer is ahead.

        Pages come first and the snapshot last, on condition that it still is the one that the
        fold came from: so a snapshot always stands at the end of an unbroken run of pages.

        Raises:
            StoreUnavailable: it cannot be kept now.
            SubjectForgotten: the fold is from before its subject was forgotten.

        """
        covered = fold.saved_at
        if epoch_of(fold.last_position) - epoch_of(covered) > _MOST_EPOCHS:
            raise StoreUnavailable("the pages of a snapshot reach over fewer epochs than that")
        for _ in range(_MAX_PAGES_A_SAVE):
            if covered >= fold.last_position:
                break
            covered = self._put_page(aggregate_id, fold, after=covered)
        if covered != fold.last_position:
            return False
        state = orjson.dumps(fold.state.model_dump(mode="json")) if fold.state else b"null"
        head: dict[str, Any] = {
            "TableName": self._table,
            "Item": {
                "a": {"S": aggregate_id},
                "s": {"S": _STATE},
                "v": {"S": _model_of(aggregate)},
                "n": {"N": str(fold.last_position)},
                "q": {"N": str(fold.tail[0])},
                "t": {"B": fold.tail[1]},
                "c": {"N": str(fold.changed_at)},
                "w": {"N": str(fold.newest_ms)},
                **self._stored(aggregate_id, state, forgotten=fold.forgotten),
            },
        }
        if fold.saved_at:
            head["ConditionExpression"] = "n = :from"
            head["ExpressionAttributeValues"] = {":from": {"N": str(fold.saved_at)}}
        return self._put(head) is None

    def _stored(self, aggregate_id: str, state: bytes, *, forgotten: bool) -> dict[str, Any]:
        if forgotten:
            # Folded on nothing since it was forgotten: there is nothing to seal it from.
            return {"d": {"B": state}, "g": {"BOOL": True}}
        sealed = self._cipher.seal_derived(aggregate_id, state, place=_PLACE)
        return {"d": {"B": state}} if sealed is None else {"x": {"B": sealed}}

    def _opened(self, aggregate_id: str, head: dict[str, Any]) -> bytes | None:
        """Return the state as JSON; None if the key that it was sealed with is destroyed."""
        if "x" in head:
            return self._cipher.open(aggregate_id, bytes(head["x"]["B"]), place=_PLACE)
        return bytes(head["d"]["B"])

    def erase(self, aggregate_id: str) -> bool:
        """Delete the state of a forgotten subject from before that; False if there was none."""
        try:
            with passing_errors_translated("erase a snapshot"):
                self._client.delete_item(
                    TableName=self._table,
                    Key={"a": {"S": aggregate_id}, "s": {"S": _STATE}},
                    ConditionExpression="attribute_exists(a) AND attribute_not_exists(g)",
                )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _put_page(self, aggregate_id: str, fold: Fold, *, after: int) -> int:
        """Put the page that starts after `after`, or find it there; return where it ends."""
        upto = min(fold.last_position, after + _PAGE_POSITIONS)
        if epoch_of(after) != epoch_of(fold.last_position):
            # Between two epochs are no commits, but all the positions of an epoch.
            upto = fold.last_position
        # What is before this page was recorded by then at the latest.
        before_ms = fold.saved_ms if after == fold.saved_at else fold.newest_ms
        there = self._put(
            {
                "TableName": self._table,
                "Item": {
                    "a": {"S": aggregate_id},
                    "s": {"S": f"{_PAGE}{after:020d}"},
                    "u": {"N": str(upto)},
                    "b": {"N": str(before_ms)},
                    "k": {"B": fold.tokens.page(after=after, upto=upto)},
                    "expires": {"N": str((fold.newest_ms + 2 * self._window_ms) // 1000)},
                },
                "ConditionExpression": "attribute_not_exists(a)",
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
        )
        return upto if there is None else _range_of(there)[1]

    def _put(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """Return None if the item is put, else what stands in its way ({} if not told)."""
        try:
            with passing_errors_translated("write a snapshot"):
                self._client.put_item(**request)
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            there: dict[str, Any] = error.response.get("Item", {})  # type: ignore[assignment]
            return there
        return None

    def _items(self, aggregate_id: str) -> Iterator[dict[str, Any]]:
        query: QueryInputTypeDef = {
            "TableName": self._table,
            "KeyConditionExpression": "a = :a",
            "ExpressionAttributeValues": {":a": {"S": aggregate_id}},
            # Regional, so it costs no round trip to elsewhere.
            "ConsistentRead": True,
        }
        while True:
            with passing_errors_translated("read a snapshot"):
                page = self._client.query(**query)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _unbroken(
    pages: Iterable[dict[str, Any]], *, upto: int, needed_ms: int
) -> list[dict[str, Any]] | None:
    """Return the pages up to a position, None if one is missing that the window needs.

    Old pages expire, so the first may start late, if what is before it is before the window.
    """
    kept = [page for page in pages if _range_of(page)[1] <= upto]
    if not kept:
        return []
    covered = _range_of(kept[0])[0]
    if covered and int(kept[0]["b"]["N"]) >= needed_ms:
        return None
    for page in kept:
        after, end = _range_of(page)
        if after > covered:
            return None
        covered = max(covered, end)
    return kept if covered == upto else None


def _range_of(page: dict[str, Any]) -> tuple[int, int]:
    """Return (after, upto): the positions that a page covers, the first one excluded."""
    return int(page["s"]["S"].removeprefix(_PAGE)), int(page["u"]["N"])


def _model_of(aggregate: Aggregate[Any]) -> str:
    """Return what a snapshot must have been made with to be of use: state model and fold."""
    return f"{aggregate.fold_version}.{_schema_of(cast('Hashable', aggregate.state))}"


@cache
def _schema_of(state: Any) -> str:
    """Return a digest of a model's schema; making one takes a millisecond, so once a process."""
    schema = orjson.dumps(state.model_json_schema(), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(schema).hexdigest()[:16]
