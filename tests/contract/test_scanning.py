"""A scan of the log sees every commit once, whatever the pages and segments, on every engine."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from eventstore.commits import Commit
from eventstore.log import DynamoDBLog
from eventstore.scanning import LogScan
from tests.dynamodb import tables

AGGREGATES = [f"sub.{letter * 26}" for letter in "abcdefghij"]


class Paged:
    """A client whose pages hold one item each: as of a log of many megabytes."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def scan(self, **request: Any) -> Any:
        return self._client.scan(Limit=1, **request)


@pytest.mark.parametrize("segments", [1, 4])
@pytest.mark.parametrize("paged", [Paged, lambda client: client], ids=["small pages", "one page"])
def test_every_commit_is_told_once(
    dynamodb: Any,
    a_commit: Callable[..., Commit],
    segments: int,
    paged: Callable[[Any], Any],
):
    table = tables.create(dynamodb, "events")
    log = DynamoDBLog(dynamodb, table=table)
    commits = [
        a_commit(position, aggregate_id=aggregate_id)
        for aggregate_id in AGGREGATES
        for position in (1, 2, 3)
    ]
    for commit in commits:
        log.put(commit)
    scan = LogScan(
        paged(dynamodb),
        table=table,
        segments=segments,
        together=lambda tasks: [task() for task in tasks],
    )

    pages = list(scan.pages())

    told = Counter(
        (one.commit_id, one.origin, one.recorded_at_ms) for page in pages for one in page
    )
    assert told == Counter(
        (commit.commit_id, commit.origin, commit.recorded_at_ms) for commit in commits
    )


def test_an_empty_log_has_nothing_to_tell(dynamodb: Any):
    table = tables.create(dynamodb, "events")
    scan = LogScan(dynamodb, table=table, together=lambda tasks: [task() for task in tasks])

    assert [entry for page in scan.pages() for entry in page] == []
