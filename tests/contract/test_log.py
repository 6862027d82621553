"""What every log promises, in memory and on every engine."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from eventstore.commits import EPOCH_SPAN, LAST_MS, MAX_EVENTS, Commit, RecordedEvent
from eventstore.log import CommitLog

MakeCommit = Callable[..., Commit]
Race = Callable[[Callable[[int], Any]], Sequence[Any]]


def test_a_commit_that_was_put_is_read_back_equal(log: CommitLog, a_commit: MakeCommit):
    commit = a_commit(events=3, traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")

    assert log.put(commit) is None

    assert log.get(commit.aggregate_id, 1, consistent=True) == commit
    assert list(log.read(commit.aggregate_id, consistent=True)) == [commit]


def test_every_byte_and_character_is_kept(log: CommitLog, a_commit: MakeCommit):
    event = RecordedEvent("Subscriber.Ümlaut", 7, bytes(range(256)))
    commit = a_commit(
        events=0, token=b"\x00" * 16, correlation_id="\N{SNOWMAN}", recorded_at_ms=LAST_MS
    )
    commit = replace(commit, events=(event,) * MAX_EVENTS)

    log.put(commit)

    assert log.get(commit.aggregate_id, 1, consistent=True) == commit


def test_a_second_put_at_a_position_changes_nothing_and_returns_what_is_there(
    log: CommitLog, a_commit: MakeCommit
):
    first, second = a_commit(token=b"1" * 16), a_commit(token=b"2" * 16)
    log.put(first)

    assert log.put(second) == first

    assert list(log.read(first.aggregate_id, consistent=True)) == [first]


def test_a_put_that_is_repeated_finds_itself(log: CommitLog, a_commit: MakeCommit):
    commit = a_commit()
    log.put(commit)

    assert log.put(a_commit()) == commit


def test_of_sixteen_writers_at_one_position_exactly_one_wins(
    log: CommitLog, a_commit: MakeCommit, race: Race
):
    commits = [a_commit(token=bytes([n]) * 16) for n in range(16)]

    there = race(lambda n: log.put(commits[n]))

    winner = commits[there.index(None)]
    assert there.count(None) == 1
    assert {found for found in there if found is not None} == {winner}
    assert list(log.read(winner.aggregate_id, consistent=True)) == [winner]


def test_sixteen_writers_at_positions_of_their_own_all_win(
    log: CommitLog, a_commit: MakeCommit, race: Race
):
    there = race(lambda n: log.put(a_commit(n + 1)))

    assert there == [None] * 16
    read = [c.position for c in log.read(a_commit().aggregate_id, consistent=True)]
    assert read == list(range(1, 17))


def test_reading_goes_in_order_between_two_positions(log: CommitLog, a_commit: MakeCommit):
    for position in (12, 1, 2, 11, 3):
        log.put(a_commit(position))
    aggregate_id = a_commit().aggregate_id

    read = [c.position for c in log.read(aggregate_id, after=1, upto=11, consistent=True)]

    assert read == [2, 3, 11]
    assert list(log.read(aggregate_id, after=12, consistent=True)) == []
    assert list(log.read(aggregate_id, after=5, upto=5, consistent=True)) == []


def test_positions_are_ordered_as_numbers_up_to_the_last(log: CommitLog, a_commit: MakeCommit):
    last = 10**18 - 1
    for position in (EPOCH_SPAN + 1, 9, last, 10):
        log.put(a_commit(position))

    read = [c.position for c in log.read(a_commit().aggregate_id, consistent=True)]

    assert read == [9, 10, EPOCH_SPAN + 1, last]


def test_reading_goes_on_beyond_one_page(log: CommitLog, a_commit: MakeCommit):
    large = RecordedEvent("Subscriber.X", 1, b'"' + b"x" * 120_000 + b'"')
    for position in range(1, 13):
        log.put(a_commit(position))
    for position in range(13, 33):
        log.put(replace(a_commit(position), events=(large,)))

    read = [c.position for c in log.read(a_commit().aggregate_id, consistent=True)]

    assert read == list(range(1, 33))


def test_the_head_is_the_last_commit(log: CommitLog, a_commit: MakeCommit):
    aggregate_id = a_commit().aggregate_id
    assert log.head(aggregate_id, consistent=True) is None

    log.put(a_commit(1, events=2))
    log.put(a_commit(3))

    head = log.head(aggregate_id, consistent=True)
    assert head is not None
    assert head.position == 3


def test_aggregates_do_not_see_each_other(log: CommitLog, a_commit: MakeCommit):
    other = "sub.bbbbbbbbbbbbbbbbbbbbbbbbbb"
    log.put(a_commit())
    log.put(a_commit(aggregate_id=other))

    assert [c.aggregate_id for c in log.read(other, consistent=True)] == [other]
    assert log.get(other, 2, consistent=True) is None


def test_a_put_is_refused_if_another_position_is_taken_and_returns_what_is_there(
    log: CommitLog, a_commit: MakeCommit
):
    late, first = a_commit(2, predecessor=1), a_commit(EPOCH_SPAN + 2, predecessor=1)
    log.put(late)

    assert log.put(first, unless=late.position) == late
    assert log.put(first, unless=3) is None
    again = a_commit(EPOCH_SPAN + 2, predecessor=1)
    assert log.put(again, unless=late.position) == first, "its own, whatever has come since"

    assert list(log.read(first.aggregate_id, consistent=True)) == [late, first]
