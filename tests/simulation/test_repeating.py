"""A seed says everything: the same plan gives the same history, whoever plays it and when."""

import pytest

from tests.simulation import plan
from tests.simulation.eventual_planning import plan_of
from tests.simulation.history_json import digest
from tests.simulation.other_process import said_by_another_process
from tests.simulation.plan import Mode
from tests.simulation.run import play

MODES: tuple[Mode, ...] = ("STRONG", "EVENTUAL")


def _played(seed: int, mode: Mode = "STRONG") -> str:
    return digest(play(plan_of(seed, mode)).history)


@pytest.mark.parametrize("mode", MODES)
def test_a_seed_gives_the_same_history_again_whatever_was_played_in_between(mode: Mode):
    first = _played(3, mode)

    assert _played(4, mode) != first
    assert _played(3, mode) == first


@pytest.mark.parametrize("mode", MODES)
def test_a_seed_gives_the_same_history_in_another_process(mode: Mode):
    code = f"from tests.simulation.test_repeating import _played; print(_played(3, {mode!r}))"
    told = said_by_another_process(code, hash_seed="1")

    assert told.strip() == _played(3, mode)


def test_a_plan_can_be_kept_as_text_and_played_from_it():
    made = plan_of(3, "STRONG")

    kept = plan.from_json(plan.to_json(made))

    assert kept == made
    assert digest(play(kept).history) == _played(3)
