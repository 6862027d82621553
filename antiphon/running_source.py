"""What `antiphon verify` reads of a running system: raw items, page by page or by key.

Reads only, through the first region that reaches others; a region that is dead is left out and
named. Nothing is kept but the page at hand.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from antiphon.connection import Connection
from antiphon.problems import Problem
from antiphon.reading import EVENTS_TABLE, RESPONSES_TABLE, VIEWS_TABLE, read_topology
from antiphon.verification.source import KEYS, Item, LogPlace, Table
from eventstore.scanning import SEGMENTS, LogSegments
from projections.builds import BuildState, BuildStore
from projections.regions import Topology

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TABLES: Mapping[Table, str] = {
    "events": EVENTS_TABLE,
    "views": VIEWS_TABLE,
    "responses": RESPONSES_TABLE,
}
# DynamoDB's bound; unprocessed keys are asked for again, so many times.
KEYS_A_READ = 100
READ_TRIES = 20

T = TypeVar("T")


class RunningSource:
    """A `verification.Source` of the regions behind a connection."""

    def __init__(self, connection: Connection, *, tables: Mapping[Table, str] = TABLES) -> None:
        """Look which regions there are to look at; raises Problem if there is none."""
        self._connection = connection
        self._tables = tables
        wan = connection.wan()
        there = [name for name in self.topology().not_lost if not wan.is_killed(name)]
        reaching = [name for name in there if not wan.is_isolated(name)]
        if not reaching:
            raise Problem("no region reaches the log; see: antiphon status")
        self.regions: Sequence[str] = there
        self.home = reaching[0]
        self._client = cache(connection.dynamodb)
        # Made here, in one thread; used in several.
        self._clients = {name: self._client(name) for name in there}

    def topology(self) -> Topology:
        return read_topology(self._connection)

    def unreached(self) -> Mapping[str, str]:
        """Name, for each region, the link that is cut or that the region does not run."""
        wan = self._connection.wan()
        stopped: dict[str, str] = {}
        for link in wan.links:
            for region in (link.a, link.b) if link.cut else ():
                stopped.setdefault(region, f"the link {link.a} - {link.b} is cut")
        dead = (told.region for told in wan.faults if told.killed)
        return stopped | {region: f"{region} does not run" for region in dead}

    def build_states(self, region: str) -> Mapping[str, BuildState]:
        return BuildStore(self._clients[region], table=self._tables["views"]).read()

    def log_pages(self) -> Iterator[Sequence[Item]]:
        log = LogSegments(self._clients[self.home], table=self._tables["events"])
        for segment in range(SEGMENTS):
            start = None
            # Bounded by the log: each page starts after the one before.
            while True:
                page = log.page(segment=segment, segments=SEGMENTS, start=start)
                yield page.items
                start = page.following
                if start is None:
                    break

    def log_of(self, aggregate_id: str) -> Sequence[Item]:
        pages = (
            self._clients[self.home]
            .get_paginator("query")
            .paginate(
                TableName=self._tables["events"],
                KeyConditionExpression="a = :a",
                ExpressionAttributeValues={":a": {"S": aggregate_id}},
                ConsistentRead=True,
            )
        )
        return self._told(self.home, lambda: [item for page in pages for item in page["Items"]])

    def in_log(self, places: Iterable[LogPlace]) -> set[LogPlace]:
        keys = [{"a": {"S": a}, "q": {"N": str(q)}} for a, q in dict.fromkeys(places)]
        found = self._get(self.home, "events", keys, consistent=True)
        return {(item["a"]["S"], int(item["q"]["N"])) for item in found}

    def get(self, region: str, table: Table, keys: Iterable[Item]) -> list[Item]:
        names = KEYS[table]
        wanted = [{name: key[name] for name in names} for key in keys]
        return self._get(region, table, wanted, consistent=table != "events")

    def pages(self, region: str, table: Table) -> Iterator[Sequence[Item]]:
        scan: dict[str, Any] = {
            "TableName": self._tables[table],
            "ConsistentRead": table != "events",
        }
        client = self._clients[region]
        while True:
            page = self._told(region, lambda: client.scan(**scan))
            yield page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            scan["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _get(
        self,
        region: str,
        table: Table,
        keys: Sequence[Item],
        *,
        consistent: bool,
    ) -> list[Item]:
        found: list[Item] = []
        for start in range(0, len(keys), KEYS_A_READ):
            request: dict[str, Any] = {"Keys": keys[start : start + KEYS_A_READ]}
            request["ConsistentRead"] = consistent
            found += self._told(
                region,
                lambda: _batch(self._clients[region], self._tables[table], request),  # noqa: B023 - called at once
            )
        return found

    @staticmethod
    def _told(region: str, read: Callable[[], T]) -> T:
        try:
            return read()
        except (ClientError, BotoCoreError) as error:
            told = f"region {region} could not be read ({type(error).__name__}: {error})"
            raise Problem(f"{told}; see: antiphon status") from error


def _batch(client: "DynamoDBClient", table: str, request: Any) -> list[Item]:
    found: list[Item] = []
    for _ in range(READ_TRIES):
        answer = client.batch_get_item(RequestItems={table: request})
        found += answer["Responses"].get(table, [])
        request = answer.get("UnprocessedKeys", {}).get(table)
        if not request:
            return found
    raise Problem(f"{table} is throttled: {len(request['Keys'])} items were left unread; try again")
