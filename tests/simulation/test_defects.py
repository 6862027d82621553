"""Every planted defect is found, by an invariant that it breaks, within two hundred seeds."""

import pytest

from tests.simulation.campaign import judge_seed
from tests.simulation.defects import DEFECTS, Defect

MOST_SEEDS = 200
# Where the search begins, so that it is short; a defect that moved is found further on.
BEGIN = {
    "answer a duplicate from one's own decision": 1,
    "look for a duplicate once, not again after reading on": 2,
    "expect a sequence of a fold that may be stale": 4,
    "delete queued commands that were not decided": 5,
    "skip the check of what was read for a gap": 1,
    "build Event B from an eventual read": 1,
    "mark an answer published that was refused": 8,
    "never look for overdue answers": 10,
    "read with a token without waiting for it": 10,
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(name: str):
    defect = DEFECTS[name]

    broken = _first_broken(defect, begin=BEGIN.get(name, 0))

    assert broken & defect.found_by


def _first_broken(defect: Defect, *, begin: int) -> frozenset[str]:
    """Return what the first seed breaks that breaks what the defect is for."""
    with defect.planted():
        for number in range(MOST_SEEDS):
            broken = judge_seed((begin + number) % MOST_SEEDS).broken
            if broken & defect.found_by:
                return broken
    return frozenset()
