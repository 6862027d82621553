"""The regional table: snapshots at any version, tracking that only rises, writes of both known."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    OperationalError,
    StoredEvent,
    Tracking,
)

WRITERS = 16
MakeEvents = Callable[..., list[StoredEvent]]


def test_snapshots_are_taken_at_any_version_in_any_order(installation: Any, events: MakeEvents):
    recorder = installation.snapshots()
    for version in (40, 7, 200):
        recorder.insert_events(events(version))

    selected = recorder.select_events("sim-1", lte=199, desc=True, limit=1)

    assert selected == events(40)
    assert recorder.select_events("sim-1", gt=7, lte=7) == []
    assert recorder.select_events("sim-1", limit=0) == []


def test_the_last_snapshot_is_read_without_the_others(installation: Any, events: MakeEvents):
    recorder = installation.snapshots()
    for version in range(20):
        recorder.insert_events(events(version))
    client = installation.client()

    assert installation.snapshots(client).select_events("sim-1", desc=True, limit=1) == events(19)

    assert client.items_read == 1


def test_snapshots_of_more_than_one_page_are_read_to_their_end(
    installation: Any, events: MakeEvents
):
    recorder = installation.snapshots()
    taken = [events(version, state=b"x" * 250_000)[0] for version in range(10)]
    for snapshot in taken:
        recorder.insert_events([snapshot])

    assert recorder.select_events("sim-1") == taken
    assert recorder.select_events("sim-1", limit=6) == taken[:6]


@pytest.mark.parametrize("count", [1, 2])
def test_a_snapshot_whose_answer_was_lost_is_stored_once_and_succeeds(
    installation: Any, events: MakeEvents, count: int
):
    client = installation.client()
    client.lose_answers(2)

    installation.snapshots(client).insert_events(events(3, count=count))

    assert sum(client.requests.values()) == 3
    assert installation.snapshots().select_events("sim-1") == events(3, count=count)


@pytest.mark.parametrize(("count", "size"), [(11, 2), (1, 256 * 1024 + 1)])
def test_too_many_or_too_large_snapshots_are_refused_before_the_write(
    installation: Any, events: MakeEvents, count: int, size: int
):
    client = installation.client()

    with pytest.raises(DataError, match="10 of 262144 bytes"):
        installation.snapshots(client).insert_events(events(1, count=count, state=b"x" * size))

    assert not client.requests


def test_a_snapshot_that_is_there_already_is_a_conflict_that_names_it(
    installation: Any, events: MakeEvents
):
    installation.snapshots().insert_events(events(2))

    with pytest.raises(IntegrityError, match="sim-1 at version 2 is stored already"):
        installation.snapshots().insert_events(events(1, count=3))

    assert installation.snapshots().select_events("sim-1") == events(2)


def test_of_sixteen_recorders_of_one_notification_exactly_one_wins(installation: Any):
    def insert(recorder: Any) -> bool:
        try:
            recorder.insert_tracking(Tracking("hlr", 5))
        except IntegrityError:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        won = list(pool.map(insert, [installation.tracking() for _ in range(WRITERS)]))

    assert won.count(True) == 1


def test_a_tracking_whose_answer_was_lost_succeeds(installation: Any):
    client = installation.client()
    client.lose_answers(2)

    installation.tracking(client).insert_tracking(Tracking("hlr", 5))

    assert client.requests == {"transact_write_items": 3}
    assert installation.tracking().max_tracking_id("hlr") == 5


def test_applications_track_the_same_upstream_apart(installation: Any):
    installation.tracking(application="Sims").insert_tracking(Tracking("hlr", 5))

    assert installation.tracking(application="Plans").max_tracking_id("hlr") is None


def test_names_that_run_into_each_other_are_tracked_apart(installation: Any):
    installation.tracking(application='a","b').insert_tracking(Tracking("c", 5))

    assert installation.tracking(application="a").max_tracking_id('b","c') is None


def count_one(installation: Any) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": installation.regional_table,
            "Key": {"k": {"S": "counter"}, "s": {"N": "0"}},
            "UpdateExpression": "ADD n :one",
            "ConditionExpression": "attribute_not_exists(n) OR n < :most",
            "ExpressionAttributeValues": {":one": {"N": "1"}, ":most": {"N": "2"}},
        }
    }


def counted(installation: Any) -> int:
    item = installation.real.get_item(
        TableName=installation.regional_table, Key={"k": {"S": "counter"}, "s": {"N": "0"}}
    )["Item"]
    return int(item["n"]["N"])


def test_a_view_is_written_together_with_its_tracking_and_once_only(installation: Any):
    client = installation.client()
    view = installation.tracking(client)
    client.lose_answers(1)
    view.insert_tracking(Tracking("hlr", 1), writes=[count_one(installation)])

    with pytest.raises(IntegrityError, match="notification 1 of hlr is not above the last"):
        view.insert_tracking(Tracking("hlr", 1), writes=[count_one(installation)])

    assert counted(installation) == 1


def test_a_view_whose_own_condition_fails_leaves_the_tracking_as_it_was(installation: Any):
    view = installation.tracking()
    for notification in (1, 2):
        view.insert_tracking(Tracking("hlr", notification), writes=[count_one(installation)])

    with pytest.raises(IntegrityError, match="the condition of write 0 does not hold"):
        view.insert_tracking(Tracking("hlr", 3), writes=[count_one(installation)])

    assert view.max_tracking_id("hlr") == 2
    assert counted(installation) == 2


def test_transactions_that_meet_are_tried_again(installation: Any):
    client = installation.client()
    cancelled = {
        "Error": {"Code": "TransactionCanceledException"},
        "CancellationReasons": [{"Code": "TransactionConflict"}],
    }
    client.fail_next(ClientError(cancelled, "TransactWriteItems"))  # type: ignore[arg-type]

    installation.tracking(client).insert_tracking(Tracking("hlr", 1))

    assert installation.tracking().max_tracking_id("hlr") == 1


def test_a_table_that_cannot_be_reached_is_an_operational_error(installation: Any):
    client = installation.client()
    client.cut_off(1_000)
    tracking = installation.tracking(client)

    with pytest.raises(OperationalError):
        tracking.insert_tracking(Tracking("hlr", 1))
    with pytest.raises(OperationalError):
        tracking.max_tracking_id("hlr")
    with pytest.raises(OperationalError):
        installation.snapshots(client).select_events("sim-1")
