"""What a rebuild holds in memory does not grow with the log."""

import tracemalloc
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from domain.registry import REGISTRY
from eventstore.commits import RecordedEvent, to_item
from eventstore.identity import Keys
from eventstore.memory import InMemoryLog
from eventstore.scanning import LogPage
from projections.applying import Applier
from projections.builds import BuildStore, Registered
from projections.checkpoints import Checkpoints
from projections.gaps import OneOrder
from projections.holding import Holds
from projections.rebuild import Rebuild
from projections.removal import BuildRemoval
from projections.subscriber_view import SUBSCRIBER_VIEW
from projections.views import ViewStore
from tests.commits import a_commit
from tests.dynamodb import tables
from tests.dynamodb.in_process import InProcessDynamoDB

NAME = SUBSCRIBER_VIEW.name
ACTIVATED = RecordedEvent(
    "Subscriber.SubscriberActivated",
    1,
    b'{"imsi":"262011234567890","msisdn":"+4915112345678",'
    b'"iccid":"8949020000012345670","service_profile":"consumer-5g"}',
)
FEW, MANY = 500, 2_000


class Nowhere:
    """A table that takes everything and keeps nothing: what is measured is not the table."""

    def put_item(self, **_: Any) -> dict[str, Any]:
        return {}

    def batch_get_item(self, **_: Any) -> dict[str, Any]:
        return {"Responses": {}}


class Made:
    """A log of one-commit aggregates, each page made when it is read."""

    def __init__(self, commits: int) -> None:
        self._commits = commits

    def page(
        self, *, segment: int, segments: int, start: Mapping[str, Any] | None, limit: int
    ) -> LogPage:
        first = int(start["a"]["S"]) if start else 0
        last = min(first + limit, self._commits)
        items = [
            to_item(replace(a_commit(), aggregate_id=_aggregate_id(number), events=(ACTIVATED,)))
            for number in range(first, last)
        ]
        following = {"a": {"S": str(last)}} if last < self._commits else None
        return LogPage(items, following, 1.0)


def _aggregate_id(number: int) -> str:
    letters = "abcdefghij"
    return "sub." + "".join(letters[int(digit)] for digit in f"{number:026d}")


def peak_bytes(commits: int) -> int:
    """Return the most that a pass over so many commits has held at once."""
    tracemalloc.start()
    try:
        pass_over(commits)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def pass_over(commits: int) -> None:
    """Build a view from so many commits."""
    # Whoever looks at requests keeps something of them; that is not the rebuild.
    engine = InProcessDynamoDB(trusting=True)
    table = tables.create(engine, "views")
    rebuild = Rebuild(
        scan=Made(commits),  # type: ignore[arg-type]
        store=BuildStore(engine, table=table),  # type: ignore[arg-type]
        checkpoints=Checkpoints(engine, table=table),  # type: ignore[arg-type]
        removal=BuildRemoval(engine, table=table),  # type: ignore[arg-type]
        registered=Registered([SUBSCRIBER_VIEW]),
        applier=Applier(
            gaps=OneOrder(InMemoryLog()),
            registry=REGISTRY,
            views=ViewStore(Nowhere(), table="views", keys=Keys(b"secret of the tests")),  # type: ignore[arg-type]
        ),
        now_ms=lambda: 0,
        holds=Holds(elapsed_s=lambda: 0.0, hold_s=1.0),
        page_commits=50,
    )
    rebuild.begin(NAME)
    done = 0
    while True:
        step = rebuild.step(NAME, segment=0, segments=1)
        done += step.commits
        # Changes that this engine keeps as its stream are not the rebuild's.
        engine.changes.clear()
        if step.done:
            break
    assert done == commits


def test_four_times_the_log_takes_no_more_memory():
    peak_bytes(FEW)
    few, many = peak_bytes(FEW), peak_bytes(MANY)
    # A fifth is what garbage makes of it; a KB kept of each commit would make it five times.
    assert many <= 1.3 * few, f"{few} bytes for {FEW} commits, {many} for {MANY}"
