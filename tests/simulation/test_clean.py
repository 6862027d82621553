"""The suite's runs: every invariant holds in all of them, and they have met what can go wrong."""

import os
import time
from contextlib import closing

import pytest

from tests.simulation.campaign import Tally, judge_seeds
from tests.simulation.checker.findings import INVARIANTS
from tests.simulation.report import never_met, summary
from tests.simulation.run import UNPLANNED

RUNS = 48
# As many more until everything that can go wrong has done so.
MOST_RUNS = 400


@pytest.fixture(scope="module")
def tally() -> Tally:
    begun_s = time.monotonic()
    tally = Tally()
    with closing(judge_seeds(range(MOST_RUNS), jobs=os.cpu_count() or 1)) as runs:
        for judged in runs:
            tally.add(judged)
            if tally.runs >= RUNS and not never_met(tally.situations, "STRONG"):
                break
    print(summary(tally, elapsed_s=time.monotonic() - begun_s))  # noqa: T201 - shown by -s
    return tally


def test_every_run_is_clean(tally: Tally):
    failed = {judged.seed: [text for _, text in judged.violations] for judged in tally.failed}

    assert failed == {}, "see `antiphon simulate --seed` of each"


def test_every_situation_came_up(tally: Tally):
    assert never_met(tally.situations, "STRONG") == []


def test_every_call_site_has_its_crashes(tally: Tally):
    assert [name for name in tally.situations if name.startswith(UNPLANNED)] == []


def test_every_invariant_had_something_to_look_at(tally: Tally):
    assert [name for name in INVARIANTS if not tally.looked[name]] == []


def test_every_run_has_fifty_commands_and_five_faults(tally: Tally):
    assert tally.least_commands is not None
    assert tally.least_faults is not None
    assert tally.least_commands >= 50
    assert tally.least_faults >= 5
