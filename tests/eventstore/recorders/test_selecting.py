"""What `select_events` promises: the right events for every range, and no more read than needed."""

import itertools
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import (
    IntegrityError,
    InternalError,
    NotSupportedError,
    OperationalError,
    StoredEvent,
)

MakeEvents = Callable[..., list[StoredEvent]]
SIM = "b2723fe2-c01a-40d2-875e-a3aac6a09ff5"
SIZES_OF_COMMITS = (1, 3, 1, 5, 2)
EVENTS = sum(SIZES_OF_COMMITS)


def insert_commits(recorder: Any, events: MakeEvents, *, opening: int) -> list[StoredEvent]:
    version = opening
    inserted: list[StoredEvent] = []
    for size in SIZES_OF_COMMITS:
        inserted += events(version, count=size)
        recorder.insert_events(inserted[-size:])
        version += size
    return inserted


@pytest.mark.parametrize("reads", ["strong", "eventual"])
@pytest.mark.parametrize("memory", ["of a new process", "of a long-lived process"])
@pytest.mark.parametrize("opening", [0, 1, 5])
def test_every_range_limit_and_order_selects_what_a_list_would(
    installation: Any, events: MakeEvents, opening: int, memory: str, reads: str
):
    inserted = insert_commits(installation.events(), events, opening=opening)
    bounds = [None, *range(opening - 2, opening + EVENTS + 2)]
    strong = reads == "strong"
    recorder = installation.events(strong_reads=strong)

    new_process = memory == "of a new process"
    lower_bounds = bounds[:: 2 if new_process else 1]

    for gt, lte, limit in itertools.product(lower_bounds, bounds[::3], (None, 2)):
        for desc in (False, True):
            if new_process:
                recorder = installation.events(strong_reads=strong)
            expected = [
                event
                for event in (reversed(inserted) if desc else inserted)
                if (gt is None or event.originator_version > gt)
                and (lte is None or event.originator_version <= lte)
            ][:limit]
            selected = recorder.select_events("sim-1", gt=gt, lte=lte, desc=desc, limit=limit)
            assert selected == expected, (gt, lte, desc, limit)


def test_a_limit_of_nothing_selects_nothing(installation: Any, events: MakeEvents):
    client = installation.client()
    recorder = installation.events(client)
    recorder.insert_events(events(1))

    assert recorder.select_events("sim-1", limit=0) == []
    assert "query" not in client.requests


@pytest.mark.parametrize("desc", [False, True])
def test_a_limit_reads_no_more_items_than_it_needs(
    installation: Any, events: MakeEvents, *, desc: bool
):
    recorder = installation.events()
    for version in range(1, 31):
        recorder.insert_events(events(version))
    client = installation.client()

    selected = installation.events(client).select_events("sim-1", desc=desc, limit=2)

    assert [event.originator_version for event in selected] == ([30, 29] if desc else [1, 2])
    assert client.items_read == 2
    assert client.requests == {"query": 1}


def test_more_than_one_page_is_read_to_its_end_but_not_beyond_the_limit(
    installation: Any, events: MakeEvents
):
    recorder = installation.events()
    inserted = [events(version, state=b"x" * 100_000)[0] for version in range(1, 31)]
    for event in inserted:
        recorder.insert_events([event])
    client = installation.client()
    reader = installation.events(client)

    assert reader.select_events("sim-1") == inserted
    assert client.requests["query"] == 3
    client.requests.clear()
    assert reader.select_events("sim-1", desc=True) == inserted[::-1]
    assert client.requests["query"] == 3
    client.requests.clear()
    assert reader.select_events("sim-1", limit=11) == inserted[:11]
    assert client.requests["query"] == 2


def test_asking_for_what_is_new_costs_one_request_without_items(
    installation: Any, events: MakeEvents
):
    client = installation.client()
    recorder = installation.events(client)
    recorder.insert_events(events(1, count=3))
    recorder.select_events("sim-1")
    client.requests.clear()
    client.items_read = 0

    assert recorder.select_events("sim-1", gt=3) == []

    assert (client.requests, client.items_read) == ({"query": 1}, 0)


def test_a_range_inside_a_commit_costs_one_more_request_of_one_item(
    installation: Any, events: MakeEvents
):
    client = installation.client()
    recorder = installation.events(client)
    insert_commits(recorder, events, opening=1)
    client.requests.clear()
    client.items_read = 0

    selected = recorder.select_events("sim-1", gt=2, lte=5)

    assert [event.originator_version for event in selected] == [3, 4, 5]
    assert (client.requests["query"], client.items_read) == (2, 2)


def test_events_are_told_under_the_id_that_they_were_asked_for_by(
    installation: Any, events: MakeEvents
):
    recorder = installation.events()
    recorder.insert_events(events(1, of=UUID(SIM)))

    assert recorder.select_events(UUID(SIM))[0].originator_id == UUID(SIM)
    assert recorder.select_events(SIM)[0].originator_id == SIM


def test_every_regions_writes_are_read_unless_the_application_chose_otherwise(
    installation: Any, events: MakeEvents
):
    inserted = insert_commits(installation.events(), events, opening=1)
    client = installation.client()
    client.hidden_from_replica = {6, 11}

    assert installation.events(client).select_events("sim-1") == inserted


@pytest.mark.parametrize("desc", [False, True])
@pytest.mark.parametrize("hidden", [1, 2, 5])
@pytest.mark.parametrize("gt", [None, 0, 2])
def test_a_hole_that_only_the_replica_has_is_read_around(
    installation: Any, events: MakeEvents, *, hidden: int, gt: int | None, desc: bool
):
    inserted = insert_commits(installation.events(), events, opening=1)
    client = installation.client()
    client.hidden_from_replica = {hidden}

    selected = installation.events(client, strong_reads=False).select_events(
        "sim-1", gt=gt, desc=desc
    )

    expected = inserted[gt or 0 :]
    assert selected == (expected[::-1] if desc else expected)


def test_what_the_replica_does_not_have_yet_is_missing_at_the_end_only(
    installation: Any, events: MakeEvents
):
    inserted = insert_commits(installation.events(), events, opening=1)
    client = installation.client()
    client.hidden_from_replica = {6, 11}

    selected = installation.events(client, strong_reads=False).select_events("sim-1")

    assert selected == inserted[:5]


def test_a_stale_read_leads_to_a_conflict_never_to_a_lost_update(
    installation: Any, events: MakeEvents
):
    insert_commits(installation.events(), events, opening=1)
    client = installation.client()
    client.hidden_from_replica = {11}
    stale = installation.events(client, strong_reads=False)
    known = stale.select_events("sim-1")[-1].originator_version

    with pytest.raises(IntegrityError, match="cannot be stored"):
        stale.insert_events(events(known + 1))


@pytest.mark.parametrize("desc", [False, True])
@pytest.mark.parametrize("lost", [1, 2, 5])
def test_a_hole_in_the_log_itself_is_an_internal_error(
    installation: Any, events: MakeEvents, *, lost: int, desc: bool
):
    insert_commits(installation.events(), events, opening=1)
    partition = installation.items()[0]["a"]
    installation.real.delete_item(
        TableName=installation.events_table, Key={"a": partition, "q": {"N": str(lost)}}
    )

    with pytest.raises(InternalError, match="no commit"):
        installation.events().select_events("sim-1", desc=desc)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("f", {"N": "99"}),
        ("e", {"L": []}),
        ("m", {"M": {"t": {"S": "ActivateSim"}, "i": {"S": "1"}, "u": {"S": "crm"}}}),
        ("m", {"M": {"t": {"S": "insert_events"}, "i": {"S": "x"}, "u": {"S": "Sims"}}}),
        ("m", {"M": {"t": {"S": "insert_events"}, "i": {"S": "7"}, "u": {"S": "Sims"}}}),
    ],
)
def test_an_item_that_is_no_commit_of_the_library_is_an_internal_error(
    installation: Any, events: MakeEvents, attribute: str, value: Any
):
    insert_commits(installation.events(), events, opening=1)
    item = installation.items()[2]
    installation.real.put_item(TableName=installation.events_table, Item=item | {attribute: value})

    with pytest.raises(InternalError):
        installation.events().select_events("sim-1")


def test_a_region_that_cannot_be_reached_is_an_operational_error(
    installation: Any, events: MakeEvents
):
    client = installation.client()
    client.cut_off(1)

    with pytest.raises(OperationalError, match="EndpointConnectionError"):
        installation.events(client).select_events("sim-1")


@pytest.mark.parametrize(
    "ask",
    [
        lambda recorder: recorder.select_notifications(start=1, limit=10),
        lambda recorder: recorder.max_notification_id(),
        lambda recorder: recorder.subscribe(gt=0),
    ],
)
def test_what_needs_one_order_of_all_events_is_refused_with_the_reason(
    installation: Any, ask: Callable[[Any], object]
):
    client = installation.client()

    with pytest.raises(NotSupportedError, match="without one writer for all of them"):
        ask(installation.events(client))

    assert not client.requests
