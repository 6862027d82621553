"""Runs of EVENTUAL mode: every invariant holds, and what the mode is for has happened in them."""

import os

import pytest

from tests.simulation.campaign import Tally, judge_seeds
from tests.simulation.checker.findings import OF_EVENTUAL
from tests.simulation.report import never_met
from tests.simulation.run import UNPLANNED

# Between them they meet every situation of the mode's own.
SEEDS = (3, 4, 5, 7, 9, 11, 14, 18, 30, 32, 33, 35, 36)


@pytest.fixture(scope="module")
def tally() -> Tally:
    tally = Tally()
    for judged in judge_seeds(SEEDS, jobs=os.cpu_count() or 1, mode="EVENTUAL"):
        tally.add(judged)
    return tally


def test_every_run_of_eventual_mode_is_clean(tally: Tally):
    failed = {judged.seed: [text for _, text in judged.violations] for judged in tally.failed}

    assert failed == {}, "see `antiphon simulate --mode eventual --seed` of each"


def test_every_situation_of_the_mode_came_up(tally: Tally):
    assert never_met(tally.situations, "EVENTUAL") == []
    assert [name for name in tally.situations if name.startswith(UNPLANNED)] == []


def test_every_invariant_of_the_mode_had_something_to_look_at(tally: Tally):
    assert [name for name in OF_EVENTUAL if not tally.looked[name]] == []
