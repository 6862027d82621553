"""What `insert_events` promises: one commit, one winner, no hole, no ambiguous time-out."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from eventsourcing.persistence import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    StoredEvent,
    Tracking,
)

from eventstore.commits import MAX_EVENT_BYTES, MAX_EVENTS, from_item

WRITERS = 16
MakeEvents = Callable[..., list[StoredEvent]]
SIM = UUID("b2723fe2-c01a-40d2-875e-a3aac6a09ff5")


def test_one_insert_is_one_commit_of_the_permanent_form(installation: Any, events: MakeEvents):
    recorder = installation.events()
    recorder.insert_events(events(1, count=2, of=SIM, state=b"\x00any bytes"))
    recorder.insert_events(events(3, of=SIM))

    first, second = map(from_item, installation.items())

    assert first.aggregate_id == second.aggregate_id
    assert first.aggregate_id.startswith("es.")
    assert (first.position, first.predecessor, len(first.events)) == (1, 0, 2)
    assert (second.position, second.predecessor) == (3, 2)
    assert first.events[0].data == b"\x00any bytes"
    assert first.token != second.token
    assert (first.command.command_id, second.command.command_id) == ("1", "3")


def test_the_id_of_an_originator_stands_nowhere_in_its_item(installation: Any, events: MakeEvents):
    installation.events().insert_events(events(0, of="+4915112345678"))

    assert "15112345678" not in repr(installation.items())


def test_applications_do_not_see_each_other(installation: Any, events: MakeEvents):
    installation.events(application="Sims").insert_events(events(0))
    installation.events(application="Plans").insert_events(events(0))

    assert len(installation.items()) == 2
    assert installation.events(application="Roaming").select_events("sim-1") == []


def test_of_sixteen_writers_of_one_version_exactly_one_wins(installation: Any, events: MakeEvents):
    installation.events().insert_events(events(1))
    recorders = [installation.events() for _ in range(WRITERS)]
    for recorder in recorders:
        recorder.select_events("sim-1")

    outcomes = _insert_at_once(
        recorders, [events(2, state=b"%d" % writer) for writer in range(WRITERS)]
    )

    winner = outcomes.index(None)
    assert outcomes.count(None) == 1
    assert [type(o) for o in outcomes if o is not None] == [IntegrityError] * (WRITERS - 1)
    assert [e.state for e in recorders[0].select_events("sim-1")] == [b"{}", b"%d" % winner]


def test_of_sixteen_openings_at_different_versions_exactly_one_wins(
    installation: Any, events: MakeEvents
):
    recorders = [installation.events() for _ in range(WRITERS)]

    versions = range(0, 2 * WRITERS, 2)
    outcomes = _insert_at_once(recorders, [events(version) for version in versions])

    assert outcomes.count(None) == 1
    assert all(isinstance(outcome, IntegrityError) for outcome in outcomes if outcome is not None)
    stored = installation.events().select_events("sim-1")
    assert [event.originator_version for event in stored] == [versions[outcomes.index(None)]]


def test_of_two_inserts_that_are_equal_in_everything_one_wins(
    installation: Any, events: MakeEvents
):
    installation.events().insert_events(events(1))

    with pytest.raises(IntegrityError):
        installation.events().insert_events(events(1))


def test_the_end_of_the_log_is_never_taken_from_a_replica(installation: Any, events: MakeEvents):
    for version in range(2, 6):
        installation.events().insert_events(events(version))
    client = installation.client()
    client.hidden_from_replica = {3, 4}

    installation.events(client).insert_events(events(6))

    assert len(installation.items()) == 5


@pytest.mark.parametrize("opening", [0, 1, 7])
def test_an_insert_whose_answer_was_lost_is_stored_once_and_succeeds(
    installation: Any, events: MakeEvents, opening: int
):
    client = installation.client()
    recorder = installation.events(client)
    recorder.insert_events(events(opening))

    client.lose_answers(3)
    recorder.insert_events(events(opening + 1, count=2))

    assert client.requests["put_item"] == 1 + 4
    assert len(installation.items()) == 2
    recorder.insert_events(events(opening + 3))


def test_an_insert_that_did_not_arrive_loses_to_who_was_faster(
    installation: Any, events: MakeEvents
):
    client = installation.client()
    slow = installation.events(client)
    slow.insert_events(events(1))
    installation.time.pause = lambda _: installation.events().insert_events(
        events(2, state=b"faster")
    )
    slow = installation.events(client)
    slow.select_events("sim-1")

    client.cut_off(1)
    with pytest.raises(IntegrityError):
        slow.insert_events(events(2, state=b"slow"))

    assert slow.select_events("sim-1")[-1].state == b"faster"


def test_an_insert_of_unknown_outcome_is_given_up_after_bounded_tries(
    installation: Any, events: MakeEvents
):
    client = installation.client()

    client.cut_off(1_000)
    with pytest.raises(OperationalError):
        installation.events(client).insert_events(events(1))

    assert client.requests["put_item"] == 8
    assert installation.time.pauses == pytest.approx([0.05 * n for n in range(1, 8)])


def test_an_insert_of_unknown_outcome_is_given_up_after_bounded_time(
    installation: Any, events: MakeEvents
):
    client = installation.client()
    installation.time.pause = lambda _: setattr(installation.time, "s", installation.time.s + 3)

    client.cut_off(1_000)
    with pytest.raises(OperationalError):
        installation.events(client).insert_events(events(1))

    assert client.requests["put_item"] == 4


def test_events_of_two_originators_are_refused_before_the_write(
    installation: Any, events: MakeEvents
):
    client = installation.client()

    with pytest.raises(NotSupportedError, match="several originators cannot be stored together"):
        installation.events(client).insert_events([*events(1), *events(1, of="sim-2")])

    assert not client.requests


def test_a_tracking_object_with_events_is_refused_before_the_write(
    installation: Any, events: MakeEvents
):
    client = installation.client()

    with pytest.raises(NotSupportedError, match="has no transactions"):
        installation.events(client).insert_events(events(1), tracking=Tracking("upstream", 1))

    assert not client.requests


@pytest.mark.parametrize(
    ("count", "size"), [(MAX_EVENTS + 1, 2), (1, MAX_EVENT_BYTES), (25, 6_000)]
)
def test_too_many_or_too_large_events_are_refused_before_the_write(
    installation: Any, events: MakeEvents, count: int, size: int
):
    client = installation.client()

    with pytest.raises(DataError, match="25 events and 131072 bytes"):
        installation.events(client).insert_events(events(1, count=count, state=b"x" * size))

    assert not client.requests


def test_twenty_five_events_of_the_full_size_are_one_commit(installation: Any, events: MakeEvents):
    recorder = installation.events()
    largest = events(0, count=MAX_EVENTS, state=b"x" * (MAX_EVENT_BYTES // MAX_EVENTS - 20))

    recorder.insert_events(largest)

    assert recorder.select_events("sim-1") == largest


@pytest.mark.parametrize("versions", [(1, 3), (2, 1)])
def test_versions_in_one_call_must_ascend_one_by_one(
    installation: Any, events: MakeEvents, versions: tuple[int, ...]
):
    with pytest.raises(ProgrammingError, match="ascend one by one"):
        installation.events().insert_events([e for v in versions for e in events(v)])


@pytest.mark.parametrize("version", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("knows_the_log", [True, False])
def test_nothing_is_stored_over_beside_or_beyond_what_is_there(
    installation: Any, events: MakeEvents, version: int, *, knows_the_log: bool
):
    recorder = installation.events()
    recorder.insert_events(events(1, count=2))
    recorder.insert_events(events(3, count=2))
    if not knows_the_log:
        recorder = installation.events()

    with pytest.raises(IntegrityError):
        recorder.insert_events(events(version))

    assert len(installation.items()) == 2
    recorder.insert_events(events(5))


def test_a_writer_that_knows_an_older_end_has_the_log_read_for_it(
    installation: Any, events: MakeEvents
):
    recorder, other = installation.events(), installation.events()
    recorder.insert_events(events(0))
    other.insert_events(events(1, count=3))

    recorder.insert_events(events(4))

    assert len(recorder.select_events("sim-1")) == 5


def test_a_new_originator_costs_one_request_and_so_does_each_insert_after_it(
    installation: Any, events: MakeEvents
):
    client = installation.client()
    recorder = installation.events(client)

    recorder.insert_events(events(1))
    recorder.insert_events(events(2))

    assert client.requests == {"put_item": 2}


def test_a_conflict_with_what_was_seen_costs_no_request(installation: Any, events: MakeEvents):
    client = installation.client()
    recorder = installation.events(client)
    recorder.insert_events(events(1, count=3))
    client.requests.clear()

    with pytest.raises(IntegrityError, match="the last one known to be stored is 3"):
        recorder.insert_events(events(3))

    assert not client.requests


def test_what_a_bounded_memory_forgot_is_read_again(installation: Any, events: MakeEvents):
    recorder = installation.events(known_tails=1)
    for sim in ("sim-1", "sim-2"):
        recorder.insert_events(events(1, of=sim))

    recorder.insert_events(events(2, of="sim-1"))

    assert len(recorder.select_events("sim-1")) == 2


def test_a_table_that_is_not_there_is_a_programming_error(installation: Any, events: MakeEvents):
    installation.events_table = "no-such-table"

    with pytest.raises(ProgrammingError, match="ResourceNotFoundException"):
        installation.events().insert_events(events(1))


def test_a_missing_permission_is_a_database_error_that_nobody_retries(
    installation: Any, events: MakeEvents
):
    client = installation.client()
    answer = {"Error": {"Code": "AccessDeniedException"}}
    client.fail_next(ClientError(answer, "PutItem"))  # type: ignore[arg-type]

    with pytest.raises(DatabaseError, match="AccessDeniedException") as refused:
        installation.events(client).insert_events(events(1))

    assert type(refused.value) is DatabaseError
    assert client.requests == {"put_item": 1}


def test_missing_credentials_are_an_interface_error(installation: Any, events: MakeEvents):
    client = installation.client()
    client.fail_next(NoCredentialsError())

    with pytest.raises(InterfaceError, match="NoCredentialsError"):
        installation.events(client).insert_events(events(1))


def _insert_at_once(
    recorders: list[Any], inserts: list[list[StoredEvent]]
) -> list[Exception | None]:
    def insert(recorder: Any, stored_events: list[StoredEvent]) -> Exception | None:
        try:
            recorder.insert_events(stored_events)
        except DatabaseError as error:
            return error
        return None

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(insert, recorders, inserts))
