"""Runs of EVENTUAL mode: every invariant holds, and what the mode is for has happened in them."""

import pytest

from tests.simulation.campaign import Tally, judge_seeds
from tests.simulation.checker.findings import OF_EVENTUAL
from tests.simulation.run import UNPLANNED

# Between them they evict and move, and supersede.
SEEDS = (1, 3, 7)


@pytest.fixture(scope="module")
def tally() -> Tally:
    tally = Tally()
    for judged in judge_seeds(SEEDS, jobs=1, mode="EVENTUAL"):
        tally.add(judged)
    return tally


def test_every_run_is_clean(tally: Tally):
    failed = {judged.seed: [text for _, text in judged.violations] for judged in tally.failed}

    assert failed == {}, "see `antiphon simulate --mode eventual --seed` of each"


def test_what_the_mode_is_for_came_up(tally: Tally):
    for situation in ("operator: evict done", "operator: move done", "command sent on to its home"):
        assert tally.situations[situation], situation
    assert [name for name in tally.situations if name.startswith(UNPLANNED)] == []


def test_every_invariant_of_the_mode_had_something_to_look_at(tally: Tally):
    assert [name for name in OF_EVENTUAL if not tally.looked[name]] == []
