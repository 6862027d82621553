"""The benchmark of appending measures what it says: every way records every command."""

from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import append
from tests.benchmarks.contenders import BARE, Way, eventsourcing_sqlite, ways_on
from tests.benchmarks.rounds import Effort, measure, throughput
from tests.conftest import RealEngine
from tests.dynamodb.in_process import InProcessDynamoDB

LITTLE = Effort(rounds=2, commands=3, threads=2)


def test_an_append_is_one_request_and_one_write_unit_and_the_naive_way_is_four():
    costs = {one["name"]: one for one in append.costs()}

    for name in (BARE, "Antiphon, lean", "Antiphon, boto3"):
        assert (costs[name]["requests"], costs[name]["write_units"]) == (1, 1)
        assert costs[name]["read_units"] == 0
    naive = costs["naive, boto3"]
    assert (naive["requests"], naive["write_units"], naive["read_units"]) == (4, 2, 2)


def test_each_way_records_each_command_of_each_round():
    engine = InProcessDynamoDB()
    ways = ways_on(engine, engine)
    made = len(engine.changes)

    measured = measure(ways, LITTLE)

    assert [one.name for one in measured] == [way.name for way in ways]
    assert all(one.cpu_us > 0 and one.wall_us > 0 for one in measured)
    assert (measured[0].cpu_ratio, measured[0].wall_ratio) == (1, 1)
    # Once to warm up, and in each round; the naive way changes two items.
    taken = (LITTLE.rounds + 1) * LITTLE.commands
    begun = 2 + 2 + 1 + 1 + 1
    assert len(engine.changes) - made == taken * (len(ways) + 1) + begun


def test_threads_append_to_aggregates_of_their_own():
    engine = InProcessDynamoDB()
    told = throughput(ways_on(engine, engine)[:3], LITTLE)

    assert told[0]["ratio"] == 1
    assert all(one["a_second"] > 0 for one in told)


def test_the_librarys_way_keeps_its_events_in_sqlite(tmp_path: Path):
    way = eventsourcing_sqlite(tmp_path)

    contender: Any = way.of(7)
    for number in range(1, 4):
        contender.take(number)

    stored = contender._application.repository.get(contender._profile.id)
    assert (stored.version, stored.service_profile) == (4, "profile-3")


def test_a_run_has_figures_of_every_engine(engine: RealEngine, tmp_path: Path):
    told = append.times(engine.url, LITTLE, tmp_path)

    assert {one["name"] for one in told["one by one"]} > {BARE, "Antiphon, lean"}
    assert told["2 threads"][0]["name"] == BARE


def test_a_way_that_loses_a_command_is_told():
    class Losing:
        def __init__(self, lane: int) -> None:
            self.lane = lane

        def take(self, number: int) -> None:
            raise AssertionError("lost")

    with pytest.raises(AssertionError, match="lost"):
        measure([Way(name="losing", of=Losing)], LITTLE)
