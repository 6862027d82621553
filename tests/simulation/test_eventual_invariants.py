"""Each invariant of EVENTUAL mode refuses a run that breaks it: a clean one with one thing altered.

The clean one is played, for there is no smaller one with all that these look at.
"""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.simulation.altered import inserted, records, with_body, with_final, with_record, without
from tests.simulation.checker.findings import OF_EVENTUAL
from tests.simulation.checker.timelines import slot_of
from tests.simulation.checker.verdict import check
from tests.simulation.eventual_planning import plan_of
from tests.simulation.history import (
    Appended,
    Applied,
    Forwarded,
    History,
    HomeChanged,
    Published,
    Returned,
    StateChanged,
)
from tests.simulation.run import play

SEED = 3
Alter = Callable[[History], History]


def _superseded(history: History) -> Published:
    return records(history, Published, detail_type="CommandSuperseded")[0]


def it_was_put_by_another_region(history: History) -> History:
    first = records(history, Appended)[0]
    other = next(one for one in history.terms.regions if one != first.region)
    return with_record(history, first, region=other)


def its_epoch_was_over_before_it_was_put(history: History) -> History:
    told = next(r for r in records(history, Returned) if '"duplicate":false' in r.body)
    aggregate, _, position = json.loads(told.body)["commit"].rpartition(".")
    [put] = [
        one
        for one in records(history, Appended)
        if (one.item["a"]["S"], one.item["q"]["N"]) == (aggregate, position)
    ]
    moved = [
        replace(one, epoch=1)
        for one in records(history, HomeChanged)
        if one.slot == slot_of(aggregate)
    ]
    return inserted(history, moved[0], after=put.step - 1)


def what_is_superseded_was_answered(history: History) -> History:
    return with_body(history, _superseded(history), outcome="accepted")


def what_counts_was_told_to_be_superseded(history: History) -> History:
    told = records(history, Published, detail_type="CommandAnswered")[0]
    return with_body(history, told, outcome="superseded")


def nothing_was_taken_by_force(history: History) -> History:
    kept = tuple(
        replace(one, taken=None) if isinstance(one, HomeChanged) else one for one in history.records
    )
    return replace(history, records=kept)


def nothing_keeps_what_is_superseded(history: History) -> History:
    return with_final(history, letters={})


def a_region_serves_before_it_has_what_was_answered(history: History) -> History:
    answered = records(history, Published, detail_type="CommandAnswered")[0]
    aggregate = json.loads(answered.body)["aggregate_id"]
    region = history.terms.regions[0]
    serves = StateChanged(step=0, at_ms=answered.at_ms, region=region, state="active")
    altered = inserted(history, serves, after=answered.step)
    applied = [r for r in records(altered, Applied, region=region) if r.key.endswith(aggregate)]
    return without(altered, *(one for one in applied if one.step <= answered.step))


def it_is_sent_on_from_where_it_was_sent_on_to(history: History) -> History:
    first = records(history, Forwarded)[0]
    return with_record(history, first, origin=first.to)


def a_replica_lacks_a_commit(history: History) -> History:
    region, items = next(iter(history.final.replicas.items()))
    return with_final(history, replicas={**history.final.replicas, region: items[1:]})


CASES: list[tuple[str, Alter]] = [
    ("one-home-an-epoch", it_was_put_by_another_region),
    ("decided-in-its-tenure", its_epoch_was_over_before_it_was_put),
    ("answered-stays", what_is_superseded_was_answered),
    ("answered-stays", what_counts_was_told_to_be_superseded),
    ("superseded-lawfully", nothing_was_taken_by_force),
    ("superseded-is-kept", nothing_keeps_what_is_superseded),
    ("serves-with-the-answered", a_region_serves_before_it_has_what_was_answered),
    ("forwarded-once", it_is_sent_on_from_where_it_was_sent_on_to),
    ("replicas-agree", a_replica_lacks_a_commit),
]


@pytest.fixture(scope="module")
def clean() -> History:
    history = play(plan_of(SEED, "EVENTUAL")).history
    assert check(history).clean
    return history


def test_every_invariant_of_the_mode_has_a_run_that_breaks_it():
    assert {invariant for invariant, _ in CASES} == set(OF_EVENTUAL)


@pytest.mark.parametrize(
    ("invariant", "alter"), CASES, ids=lambda case: getattr(case, "__name__", "")
)
def test_a_run_that_breaks_it_is_refused(clean: History, invariant: str, alter: Alter):
    altered = alter(clean)

    assert altered != clean
    assert invariant in check(altered).broken
