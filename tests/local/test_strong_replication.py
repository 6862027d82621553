"""The rules of MRSC tables; each test names what DynamoDB's documentation says.

"How it works" is the page "How DynamoDB global tables work" of the developer guide
(V2globaltables_HowItWorks). That a write waits for a majority, and that a region which
reaches none has none, is tested with the links.
"""

import math
import random

import pytest

from infra.local.replication import ROUND_TRIPS_MS, Links, StrongReplication

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")


def table(*, read_lag_ms: float = 0.0, replicas=None) -> StrongReplication:
    links = Links(REGIONS, round_trips_ms=ROUND_TRIPS_MS)
    return StrongReplication(
        links, replicas=replicas, read_lag_ms=read_lag_ms, chance=random.Random(7)
    )


def test_a_write_of_an_item_that_another_region_is_writing_is_a_conflict():
    """How it works, MRSC: ReplicatedWriteConflictException for an item modified elsewhere."""
    rules = table()
    assert rules.begin_write(["k"], US)
    assert not rules.begin_write(["other", "k"], EU)
    # The refused write has begun nothing: "other" is free.
    assert rules.begin_write(["other"], AP)


def test_a_conflict_can_be_retried_and_succeeds_once_the_other_write_is_over():
    """How it works, MRSC: it succeeds if the item is no longer being modified elsewhere."""
    rules = table()
    rules.begin_write(["k"], US)
    rules.end_write(["k"], US)
    assert rules.begin_write(["k"], EU)


def test_a_write_that_is_over_is_forgotten():
    rules = table()
    rules.begin_write(["k", "l"], US)
    rules.end_write(["k", "l"], US)
    assert rules._being_written == {}


def test_writers_of_one_region_do_not_conflict():
    """How it works, MRSC: the conflict is with a write in another Region."""
    rules = table()
    assert rules.begin_write(["k"], US)
    assert rules.begin_write(["k"], US)
    rules.end_write(["k"], US)
    assert not rules.begin_write(["k"], EU)


def test_every_replicas_stream_shows_the_same_records_in_the_same_order():
    """How it works, Streams: MRSC records are identical on all replicas, ordering included."""
    rules = table()
    for position, origin in enumerate((US, AP, EU, US), start=1):
        rules.committed(position, origin=origin, now_ms=position)
    for region in REGIONS:
        assert rules.arrive(region, now_ms=1000) == [1, 2, 3, 4]


def test_a_record_may_come_before_an_eventual_read_shows_it():
    """How it works, Streams: an eventual read may not show what a record says already."""
    rules = table(read_lag_ms=50)
    rules.committed(1, origin=US, now_ms=0)
    arrived_ms = rules.next_ms(EU)
    assert rules.arrive(EU, now_ms=arrived_ms) == [1]
    assert rules.readable(EU, now_ms=arrived_ms, limit=9) == []
    assert arrived_ms < rules.next_ms(EU) <= arrived_ms + 50
    assert rules.readable(EU, now_ms=rules.next_ms(EU), limit=9) == [1]


def test_eventual_reads_show_the_records_in_order_whatever_each_ones_lag():
    """How it works, MRSC: there is one order of writes."""
    rules = table(read_lag_ms=500)
    for position in range(1, 30):
        rules.committed(position, origin=US, now_ms=position)
    shown, now_ms = [], 0.0
    while (now_ms := rules.next_ms(EU)) < math.inf:
        rules.arrive(EU, now_ms=now_ms)
        for position in rules.readable(EU, now_ms=now_ms, limit=3):
            rules.applied(EU, position)
            shown.append(position)
    assert shown == list(range(1, 30))


def test_what_a_replica_has_still_to_show_is_counted_by_origin_until_reads_show_it():
    rules = table(read_lag_ms=50)
    rules.committed(1, origin=AP, now_ms=0)
    assert rules.pending(EU)[AP] == 1
    rules.arrive(EU, now_ms=500)
    assert rules.pending(EU)[AP] == 1
    assert rules.readable(EU, now_ms=1000, limit=9) == [1]
    origin, took_ms = rules.applied(EU, 1)
    assert (origin, rules.pending(EU)[AP]) == (AP, 0)
    assert 500 <= took_ms <= 550


def test_a_witness_counts_for_the_majority_and_has_nothing_to_read():
    """How it works, MRSC: a witness holds written data and serves neither reads nor writes."""
    round_trips_ms = {**ROUND_TRIPS_MS, frozenset({US, "elsewhere"}): 1.0}
    links = Links((*REGIONS, "elsewhere"), round_trips_ms=round_trips_ms)
    rules = StrongReplication(links, replicas=(US, EU), witness=AP)
    assert rules.members == REGIONS
    rules.committed(1, origin=US, now_ms=0)
    # The write was acknowledged by eu-west-1, not by the nearer region that has no part in it.
    assert rules.next_ms(EU) == 70
    with pytest.raises(KeyError):
        rules._deliveries.due(AP, now_ms=1000, limit=None)
    for region in rules.replicas:
        rules.arrive(region, now_ms=1000)
        assert rules.readable(region, now_ms=1000, limit=9) == [1]
        rules.applied(region, 1)
        assert rules.next_ms(region) == math.inf
