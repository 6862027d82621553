"""The suite's runs: every invariant holds in all of them, and they have met what can go wrong."""

import os
import time
from contextlib import closing

import pytest

from tests.simulation.campaign import Tally, judge_seeds
from tests.simulation.checker.findings import INVARIANTS
from tests.simulation.report import never_met, summary
from tests.simulation.run import UNPLANNED

# Seeds that together have met everything that can go wrong: `tests.simulation.covering`.
SEEDS = (
    0, 2, 4, 6, 16, 17, 18, 28, 37, 38, 41, 46, 48, 49, 52, 84, 89, 97, 107, 111, 136, 150, 170,
    172, 179, 180, 205, 206, 215, 259, 269, 299,
)  # fmt: skip
# If they do so no longer, as many more until everything has come up.
MOST_RUNS = 400


@pytest.fixture(scope="module")
def tally() -> Tally:
    begun_s = time.monotonic()
    tally = Tally()
    more = [seed for seed in range(MOST_RUNS) if seed not in SEEDS]
    with closing(judge_seeds((*SEEDS, *more), jobs=os.cpu_count() or 1)) as runs:
        for judged in runs:
            tally.add(judged)
            if tally.runs >= len(SEEDS) and not never_met(tally.situations, "STRONG"):
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
