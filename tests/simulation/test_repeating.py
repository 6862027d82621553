"""A seed says everything: the same plan gives the same history, whoever plays it and when."""

import pytest

from tests.simulation import plan
from tests.simulation.history_json import digest
from tests.simulation.other_process import said_by_another_process
from tests.simulation.planning import plan_of
from tests.simulation.run import play


def _played(seed: int) -> str:
    return digest(play(plan_of(seed)).history)


def test_a_seed_gives_the_same_history_again_whatever_was_played_in_between():
    first = _played(3)

    assert _played(4) != first
    assert _played(3) == first


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_gives_the_same_history_in_another_process(hash_seed: str):
    code = "from tests.simulation.test_repeating import _played; print(_played(3))"
    told = said_by_another_process(code, hash_seed=hash_seed)

    assert told.strip() == _played(3)


def test_a_plan_can_be_kept_as_text_and_played_from_it():
    made = plan_of(3)

    kept = plan.from_json(plan.to_json(made))

    assert kept == made
    assert digest(play(kept).history) == _played(3)
