"""Which answers a region owes, for whom each waits, and how far read models are behind by them.

For people to look at: nothing is decided by it. It opens nothing that is sealed, so whoever tells
it needs nobody's key. A read model is behind by the oldest of the answers that are looked
at and that it has not applied; where nothing is owed, none is known to be behind.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from eventstore.aws_errors import passing_errors_translated
from eventstore.chain import on_chain
from eventstore.commits import parse_commit_id
from eventstore.errors import StoreUnavailable
from projections.known_builds import KnownBuilds
from projections.projection import Projection
from projections.response_items import ACK
from projections.responses import SHARDS
from projections.views import HEAD

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A region that is cut off would keep whoever asks waiting; an answer later than this is none.
ASK_WITHIN_S = 1.5
# Keys of one BatchGetItem.
_BATCH_KEYS = 100


class SideBySide(Protocol):
    """Runs tasks at the same time; see `handlers.edge`."""

    def __call__(
        self, tasks: Sequence[Callable[[], None]], *, within_s: float | None = None
    ) -> list[BaseException | None]:
        """Return the error of each task, None for what went well or is not done in time."""
        ...


@dataclass(frozen=True, slots=True)
class Owed:
    """An answer that is not published yet. Times in ms since 1970."""

    commit_id: str
    first_due_ms: int
    applied_at_ms: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Behind:
    """By how many of the answers looked at a region's read model is behind.

    `since_ms` is when the oldest of them was due, None if it is behind by none.
    """

    region: str
    projection: str
    commits: int
    since_ms: int | None


def oldest_owed(
    client: "DynamoDBClient", *, table: str, regions: Sequence[str], limit: int
) -> list[Owed]:
    """Return the answers of the client's region that are due first, `limit` at the most.

    Raises:
        StoreUnavailable: the responses cannot be read now.

    """
    names = {f"#a{n}": f"{ACK}{region}" for n, region in enumerate(regions)}
    found: list[Owed] = []
    for shard in range(SHARDS):
        with passing_errors_translated("read pending answers"):
            page = client.query(
                TableName=table,
                IndexName="pending",
                KeyConditionExpression="pending = :shard",
                ExpressionAttributeValues={":shard": {"S": str(shard)}},
                ExpressionAttributeNames=names,
                ProjectionExpression=", ".join(["c", "due", "first_due", *names]),
                Limit=limit,
            )
        found += [_owed(item) for item in page["Items"]]
    return sorted(found, key=lambda one: one.first_due_ms)[:limit]


def _owed(item: Mapping[str, Any]) -> Owed:
    applied = {
        name.removeprefix(ACK): int(value["N"])
        for name, value in item.items()
        if name.startswith(ACK)
    }
    return Owed(item["c"]["S"], int(item.get("first_due", item["due"])["N"]), applied)


@dataclass(frozen=True, slots=True, kw_only=True)
class Laggards:
    """Looks which read models have not applied what is owed, in any region.

    Args:
        client_of, builds_of: the tables, and what is known of the builds, of any region.
        side_by_side: does things at the same time, and waits for them no longer than it is told.

    """

    projections: Sequence[Projection]
    client_of: Callable[[str], "DynamoDBClient"]
    builds_of: Callable[[str], KnownBuilds]
    side_by_side: SideBySide
    table: str

    def look(
        self, owed: Collection[Owed], regions: Sequence[str]
    ) -> tuple[list[Behind], list[str]]:
        """Return how far each read model is behind, and the regions that could not be asked."""
        found: dict[str, list[Behind]] = {}

        def ask(region: str) -> None:
            found[region] = self._look(owed, region)

        tasks = [partial(ask, region) for region in regions]
        errors = self.side_by_side(tasks, within_s=ASK_WITHIN_S)
        for error in errors:
            if error is not None and not isinstance(error, StoreUnavailable):
                raise error
        # One that answers later than that may still be writing: what it finds then is not told.
        in_time = dict(found)
        told = [one for region in regions for one in in_time.get(region, [])]
        return told, [region for region in regions if region not in in_time]

    def _look(self, owed: Collection[Owed], region: str) -> list[Behind]:
        builds = self.builds_of(region)
        live = [(one, builds.live(one)) for one in self.projections]
        places = [(one, *place) for one in owed if (place := parse_commit_id(one.commit_id))]
        wanted = [
            (named.name, build.key(aggregate_id), position, one.first_due_ms)
            for named, build in live
            for one, aggregate_id, position in places
            if build.covers(aggregate_id)
        ]
        heads = self._heads(region, sorted({key for _, key, _, _ in wanted}))
        told = []
        for named, _ in live:
            missing = [
                due_ms
                for name, key, position, due_ms in wanted
                if name == named.name and not _has(heads.get(key), position)
            ]
            since_ms = min(missing, default=None)
            told.append(Behind(region, named.name, len(missing), since_ms))
        return told

    def _heads(self, region: str, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        heads: dict[str, Mapping[str, Any]] = {}
        for start in range(0, len(keys), _BATCH_KEYS):
            asked = [
                {"k": {"S": key}, "s": {"S": HEAD}} for key in keys[start : start + _BATCH_KEYS]
            ]
            with passing_errors_translated("read where views stand"):
                answer = self.client_of(region).batch_get_item(
                    RequestItems={self.table: {"Keys": asked}}
                )
            if answer.get("UnprocessedKeys"):
                raise StoreUnavailable("could not read where views stand: throttled")
            heads |= {item["k"]["S"]: item for item in answer["Responses"].get(self.table, [])}
        return heads


def _has(head: Mapping[str, Any] | None, position: int) -> bool:
    if head is None:
        return False
    left = [int(one["N"]) for one in head["b"]["L"]] if "b" in head else []
    return on_chain(position, applied=int(head["n"]["N"]), left=left)
