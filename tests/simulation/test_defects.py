"""Every planted defect is found, by an invariant that it breaks, within two hundred seeds."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.simulation.campaign import judge
from tests.simulation.defects import DEFECTS, Defect
from tests.simulation.eventual_defects import EVENTUAL_DEFECTS
from tests.simulation.eventual_planning import plan_of
from tests.simulation.plan import Mode

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "SIMULATION.md"
MOST_SEEDS = 200
# Where the search begins, so that it is short; a defect that moved is found further on.
BEGIN = {
    "answer a duplicate from one's own decision": 1,
    "forget the tokens in a snapshot": 1,
    "expect a sequence of a fold that may be stale": 4,
    "delete queued commands that were not decided": 7,
    "skip the check of what was read for a gap": 20,
    "build Event B from an eventual read": 2,
    "mark an answer published that was refused": 21,
    "never look for overdue answers": 3,
    "forget without destroying the key": 1,
    "forget without erasing what was made of the log": 1,
    "read with a token without waiting for it": 56,
    "read strongly from the region's own view": 4,
    "go by regions' states that are too old": 59,
    "change readers over before the second pass": 123,
}
BEGIN_EVENTUAL = {
    "apply whatever comes, without its predecessor": 1,
    "append by homes however old": 4,
    "ask who is home before the put only": 4,
    "go by what is warm of an older epoch": 94,
    "send on what was sent on": 9,
    "leave aside what arrives at the moment of taking over": 14,
    "begin before the home has stopped": 104,
    "move before everything is known": 54,
    "take a later position for a later state": 3,
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(name: str, record_property: Callable[[str, object], None]):
    defect = DEFECTS[name]

    seed, broken = _first_broken(defect, begin=BEGIN.get(name, 0), mode="STRONG")

    record_property("seed", seed)  # what BEGIN should say, in --junit-xml
    assert broken & defect.found_by


@pytest.mark.parametrize("name", EVENTUAL_DEFECTS)
def test_a_planted_defect_of_eventual_mode_is_found(
    name: str, record_property: Callable[[str, object], None]
):
    defect = EVENTUAL_DEFECTS[name]

    seed, broken = _first_broken(defect, begin=BEGIN_EVENTUAL.get(name, 0), mode="EVENTUAL")

    record_property("seed", seed)  # what BEGIN_EVENTUAL should say
    assert broken & defect.found_by


def test_every_defect_is_documented_with_what_finds_it():
    told = DOCUMENT.read_text()

    for defect in (*DEFECTS.values(), *EVENTUAL_DEFECTS.values()):
        found_by = ", ".join(f"`{name}`" for name in sorted(defect.found_by))
        assert f"| {defect.name} | {found_by} |" in told


def _first_broken(defect: Defect, *, begin: int, mode: Mode) -> tuple[int, frozenset[str]]:
    """Return the first seed that breaks what the defect is for, and all that it breaks."""
    with defect.planted():
        for number in range(MOST_SEEDS):
            seed = (begin + number) % MOST_SEEDS
            plan = plan_of(seed, mode)
            broken = judge(plan).broken if defect.may_show(plan) else frozenset()
            if broken & defect.found_by:
                return seed, broken
    return -1, frozenset()
