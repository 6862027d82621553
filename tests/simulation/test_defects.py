"""Every planted defect is found, by an invariant that it breaks, within two hundred seeds."""

import pytest

from tests.simulation.campaign import judge_seed
from tests.simulation.defects import DEFECTS, Defect

MOST_SEEDS = 200
# Where the search begins, so that it is short; a defect that moved is found further on.
BEGIN = {
    "expect a sequence of a fold that may be stale": 5,
    "skip the check of what was read for a gap": 34,
    "build Event B from an eventual read": 3,
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
