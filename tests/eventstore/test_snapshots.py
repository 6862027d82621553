"""Snapshots and token pages bound the loading of a long log, and are never trusted blindly."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.subscriber import SUBSCRIBER, ActivateSubscriber, ChangeMsisdn, ChangeServiceProfile
from eventstore.bounds import Bounds
from eventstore.clock import Clock
from eventstore.commits import Commit
from eventstore.decisions import EventStore
from eventstore.errors import StoreUnavailable, TooLarge
from eventstore.folding import Fold, fold_commits
from eventstore.identity import Keys
from eventstore.memory import InMemoryLog
from eventstore.requests import CommandRequest, Decision
from eventstore.snapshots import Snapshots

KEYS = Keys(b"a secret of the tests")
IMSI = "262011234567890"
AGGREGATE_ID = KEYS.aggregate_id("sub", IMSI)
HOUR_MS = 3_600_000
WINDOW_MS = 48 * HOUR_MS
START = datetime(2026, 11, 23, tzinfo=UTC)
_numbers = itertools.count()


class Hours:
    """A clock that a test sets, in hours since the start."""

    def __init__(self) -> None:
        self.passed = 0.0

    def clock(self) -> Clock:
        return Clock(now=self.now, elapsed_s=lambda: 0.0, pause=lambda _: None)

    def now(self) -> datetime:
        return START + timedelta(hours=self.passed)


class CountingLog(InMemoryLog):
    """A log that says how many commits were read from it."""

    def __init__(self) -> None:
        super().__init__()
        self.commits_read = 0

    def read(self, *args: Any, **more: Any) -> Iterator[Commit]:
        for commit in super().read(*args, **more):
            self.commits_read += 1
            yield commit


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
def log() -> CountingLog:
    return CountingLog()


@pytest.fixture
def snapshots(engine: Any) -> Snapshots:
    client = engine.client("dynamodb")
    table = f"snapshots-of-tests-{next(_numbers)}"
    client.create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "a", "AttributeType": "S"},
            {"AttributeName": "s", "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": "a", "KeyType": "HASH"},
            {"AttributeName": "s", "KeyType": "RANGE"},
        ],
    )
    return Snapshots(client, table=table, window_ms=WINDOW_MS)


@pytest.fixture
def cold(log: CountingLog, snapshots: Snapshots, hours: Hours) -> Callable[..., EventStore]:
    """Return a maker of stores with nothing in memory, as a function that starts."""

    def make(**bounds: Any) -> EventStore:
        return EventStore(
            log,
            keys=KEYS,
            region="us",
            clock=hours.clock(),
            bounds=Bounds(**bounds),
            snapshots=snapshots,
        )

    return make


def activate() -> CommandRequest:
    activation = ActivateSubscriber(
        imsi=IMSI, msisdn="+4915112345678", iccid="8949020000012345670", service_profile="p"
    )
    return request(activation, "activate")


def change(number: int, *, command_id: str = "", **more: Any) -> CommandRequest:
    wanted = ChangeServiceProfile(imsi=IMSI, service_profile=f"p-{number}")
    return request(wanted, command_id or f"change-{number}", **more)


def request(command: Any, command_id: str, **more: Any) -> CommandRequest:
    return CommandRequest(
        aggregate=SUBSCRIBER,
        command=command,
        command_id=command_id,
        producer="crm",
        correlation_id="c",
        **more,
    )


def changes(store: EventStore, numbers: range) -> list[Decision]:
    return [store.decide(change(number)) for number in numbers]


def test_a_hot_aggregate_with_20_000_commands_in_a_day_loads_from_its_snapshot(
    cold: Callable[..., EventStore], log: CountingLog, hours: Hours
):
    store = cold()
    store.decide(activate())
    for number in range(20_000):
        hours.passed = 24 * number / 20_000
        store.decide(change(number))
    log.commits_read = 0

    late = cold()
    assert late.decide(change(3)).duplicate, "the window is 48 hours"
    again = late.decide(change(20_001))

    assert not again.duplicate
    assert again.commit.position == 20_002
    assert log.commits_read < 200


def test_a_state_is_the_same_from_snapshot_and_from_the_whole_log(
    cold: Callable[..., EventStore], log: CountingLog, snapshots: Snapshots
):
    store = cold(snapshot_every=10)
    store.decide(activate())
    changes(store, range(25))

    kept = snapshots.load(SUBSCRIBER, AGGREGATE_ID, now_ms=int(START.timestamp() * 1000))

    assert kept is not None
    assert kept.last_position == 20
    whole = fold_commits(SUBSCRIBER, Fold(), log.read(AGGREGATE_ID, upto=20, consistent=True))
    assert (kept.state, kept.changed_at) == (whole.state, whole.changed_at)
    assert all(
        kept.tokens.positions(commit.token) == (commit.position,)
        for commit in log.read(AGGREGATE_ID, upto=20, consistent=True)
    )


def test_two_stores_that_take_snapshots_of_one_aggregate_leave_no_hole(
    cold: Callable[..., EventStore], log: CountingLog
):
    first, second = cold(snapshot_every=10), cold(snapshot_every=10)
    first.decide(activate())
    decided = [(first, second)[number % 3 == 0].decide(change(number)) for number in range(100)]
    log.commits_read = 0

    late = cold()

    assert all(late.decide(change(number)).duplicate for number in range(100))
    assert log.commits_read <= 20
    assert [d.commit.position for d in decided] == list(range(2, 102))


def delete_page(snapshots: Snapshots, after: int) -> None:
    snapshots._client.delete_item(
        TableName=snapshots._table,
        Key={"a": {"S": AGGREGATE_ID}, "s": {"S": f"tokens#{after:020d}"}},
    )


@pytest.mark.parametrize("lost", [0, 10, 20])
def test_a_snapshot_whose_window_misses_a_page_is_not_trusted(
    cold: Callable[..., EventStore], snapshots: Snapshots, log: CountingLog, lost: int
):
    store = cold(snapshot_every=10)
    store.decide(activate())
    changes(store, range(32))
    delete_page(snapshots, lost)
    log.commits_read = 0

    assert cold().decide(change(lost + 3)).duplicate

    assert log.commits_read >= 33, "the whole log was folded"


def test_a_snapshot_of_another_state_model_is_left_aside(
    cold: Callable[..., EventStore], snapshots: Snapshots
):
    store = cold(snapshot_every=10)
    store.decide(activate())
    changes(store, range(25))
    newer = replace(SUBSCRIBER, fold_version=2)
    now_ms = int(START.timestamp() * 1000)

    assert snapshots.load(newer, AGGREGATE_ID, now_ms=now_ms) is None
    assert snapshots.load(SUBSCRIBER, AGGREGATE_ID, now_ms=now_ms) is not None


def restored(log: CountingLog, *, upto: int) -> CountingLog:
    """Return the log as it was at a position."""
    earlier = CountingLog()
    for commit in log.read(AGGREGATE_ID, upto=upto, consistent=True):
        assert earlier.put(commit) is None
    return earlier


def on(log: InMemoryLog, snapshots: Snapshots, hours: Hours) -> EventStore:
    """Return a store with nothing in memory, on a log beside which there are snapshots."""
    return EventStore(
        log, keys=KEYS, region="us", clock=hours.clock(), bounds=Bounds(), snapshots=snapshots
    )


@pytest.mark.parametrize("upto", [0, 1, 15, 19])
def test_a_snapshot_ahead_of_a_restored_log_is_never_used(
    cold: Callable[..., EventStore],
    snapshots: Snapshots,
    log: CountingLog,
    hours: Hours,
    upto: int,
):
    store = cold(snapshot_every=10)
    store.decide(activate())
    changes(store, range(22))
    earlier = restored(log, upto=upto)

    late = on(earlier, snapshots, hours)
    late.decide(activate())
    late.decide(change(1_000))

    positions = [c.position for c in earlier.read(AGGREGATE_ID, consistent=True)]
    assert positions == list(range(1, len(positions) + 1)), "no hole"
    assert len(positions) == max(upto, 1) + 1


def test_a_snapshot_of_what_a_restored_log_has_decided_otherwise_is_never_used(
    cold: Callable[..., EventStore], snapshots: Snapshots, log: CountingLog, hours: Hours
):
    store = cold(snapshot_every=10)
    store.decide(activate())
    changes(store, range(22))
    earlier = restored(log, upto=15)
    again = EventStore(earlier, keys=KEYS, region="us", clock=hours.clock())
    changes(again, range(500, 505))

    # The last profile is that of the log, not that of the snapshot at position 20.
    told = on(earlier, snapshots, hours).decide(change(504, command_id="once more"))

    assert told.commit.outcome == "unchanged"


def test_a_replica_behind_a_snapshot_does_not_make_it_useless(
    cold: Callable[..., EventStore], snapshots: Snapshots, log: CountingLog, hours: Hours
):
    class Lagging(CountingLog):
        """A log whose replica lacks all after position 15."""

        def read(self, aggregate_id: str, **more: Any) -> Iterator[Commit]:
            if not more["consistent"]:
                more["upto"] = min(more.get("upto", 15), 15)
            return super().read(aggregate_id, **more)

    store = cold(snapshot_every=10)
    store.decide(activate())
    changes(store, range(22))
    lagging = Lagging()
    for commit in log.read(AGGREGATE_ID, consistent=True):
        lagging.put(commit)
    lagging.commits_read = 0

    assert on(lagging, snapshots, hours).decide(change(3)).duplicate

    assert lagging.commits_read < 20, "not from the start"


def test_a_snapshot_that_cannot_be_written_costs_only_time(
    cold: Callable[..., EventStore], snapshots: Snapshots
):
    class Unavailable:
        def put_item(self, **_: Any) -> None:
            raise StoreUnavailable("no")

        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

    store = cold(snapshot_every=10)
    store.decide(activate())
    client = snapshots._client
    snapshots._client = Unavailable()  # type: ignore[assignment]
    assert not any(d.duplicate for d in changes(store, range(15)))
    snapshots._client = client

    assert all(d.duplicate for d in changes(cold(), range(15)))


def test_work_redelivered_after_the_window_is_found_by_the_time_it_was_first_received(
    cold: Callable[..., EventStore], snapshots: Snapshots, hours: Hours
):
    store = cold(snapshot_every=10)
    store.decide(activate())
    changes(store, range(15))
    received_ms = int(hours.now().timestamp() * 1000)
    hours.passed = 200
    changes(store, range(100, 130))
    # What expiry does to a page that is older than twice the window.
    delete_page(snapshots, 0)
    now_ms = int(hours.now().timestamp() * 1000)
    assert snapshots.load(SUBSCRIBER, AGGREGATE_ID, now_ms=now_ms) is not None

    again = cold().decide(change(7, first_received_ms=received_ms))

    assert again.duplicate
    assert again.commit.position == 9


def test_a_state_that_would_grow_too_large_is_refused_before_the_write(
    cold: Callable[..., EventStore], log: CountingLog
):
    store = cold(state_bytes=1024)
    store.decide(activate())
    # Many small events: their sum passes the bound, the state itself does not.
    changes(store, range(60))
    before = len(list(log.read(AGGREGATE_ID, consistent=True)))

    small = cold(state_bytes=1024)
    long = ChangeServiceProfile.model_construct(imsi=IMSI, service_profile="x" * 1100)
    with pytest.raises(TooLarge):
        small.decide(request(long, "long"))

    assert len(list(log.read(AGGREGATE_ID, consistent=True))) == before


def test_what_is_too_large_only_for_a_stale_fold_is_decided_by_the_log(
    cold: Callable[..., EventStore],
):
    stale, other = cold(state_bytes=1_400), cold(state_bytes=1_400)
    stale.decide(activate())
    profile = ChangeServiceProfile.model_construct(imsi=IMSI, service_profile="x" * 1_100)
    stale.decide(request(profile, "large"))
    longer = ChangeMsisdn.model_construct(imsi=IMSI, msisdn="+49" + "1" * 400)
    with pytest.raises(TooLarge):
        stale.decide(request(longer, "too large"))

    # What is warm in the one is as large still; the log has it smaller.
    other.decide(change(1))

    assert stale.decide(request(longer, "not too large")).commit.position == 4


def test_memory_is_bounded_by_aggregates_and_by_tokens(
    cold: Callable[..., EventStore], log: CountingLog
):
    store = cold(warm_aggregates=2, warm_tokens=1000)
    for number in range(5):
        imsi = f"26201123456780{number}"
        activation = activate().command.model_copy(update={"imsi": imsi})
        store.decide(request(activation, "activate"))
    assert len(store._loader._warm._folds) == 2

    store.decide(activate())
    changes(store, range(1100))
    assert store._loader._warm._tokens <= 1000
    assert store.decide(change(3)).duplicate
