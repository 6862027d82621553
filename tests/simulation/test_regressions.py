"""What the simulation has found in our own code: the code of then, and a seed that shows it.

Each is planted as it was, so that the seed goes on proving that it would be found again; that
the code of today passes is what the suite's clean runs say of the same seeds.
"""

import inspect
import sys
import textwrap
from typing import Any
from unittest.mock import patch

from projections.responder import Responder
from projections.responses import ResponseStore
from projections.sweeper import Sweeper
from tests.simulation.campaign import judge
from tests.simulation.eventual_planning import plan_of
from tests.simulation.history_json import digest
from tests.simulation.operators import Operator
from tests.simulation.other_process import said_by_another_process
from tests.simulation.run import play


def as_it_was(owner: type[Any], name: str, *, now: str, then: str) -> Any:
    """Return a patch that gives a method the line that it once had."""
    source = textwrap.dedent(inspect.getsource(getattr(owner, name)))
    assert source.count(now) == 1, f"{name} has changed: plant what it was in another way"
    made: dict[str, Any] = {}
    scope = vars(sys.modules[owner.__module__])
    exec(source.replace(now, then), scope, made)  # noqa: S102 - our own code, with one line of old
    return patch.object(owner, name, made[name])


def answers_marked_in_the_order_of_a_set() -> str:
    """Play a run with answers marked published in no order, as they once were."""
    with as_it_was(
        Responder,
        "_published",
        now="in (a for a in answers if a.commit_id in published):",
        then="in ({a.commit_id: a for a in answers}[one] for one in published):",
    ):
        return digest(play(plan_of(SEED, "STRONG")).history)


SEED = 3
LOST_AND_FORGOTTEN = 124
FORGOTTEN_AND_TAKEN_IN = 50
ACKNOWLEDGED_ASTRAY = 355
# Of EVENTUAL mode.
ADOPTED_LATE = 7


def test_a_region_comes_back_though_answers_were_erased_that_another_gave_for_it():
    """Bringing it back ended with an assertion, and so would have every other try."""
    code = "body = {} if answer.kept is None else {'body': answer.kept}"
    with as_it_was(
        ResponseStore,
        "take_over",
        now=code.replace("'", '"'),
        then="assert answer.kept is not None; body = {'body': answer.kept}",
    ):
        run = play(plan_of(LOST_AND_FORGOTTEN, "STRONG"))

    assert any("AssertionError" in surprise for surprise in run.surprises)


def test_what_was_acknowledged_to_who_answered_before_does_not_stay_pending_there():
    """A region that could not read the states went by those from before it was back."""
    with patch.object(Sweeper, "_is_given_by", lambda *_: False):
        broken = judge(plan_of(ACKNOWLEDGED_ASTRAY, "STRONG")).broken

    assert broken == {"responses-closed", "came-to-rest"}


def test_what_an_adopter_took_over_in_eventual_mode_does_not_stay_pending_when_it_is_answered():
    """Of a commit that came late to where it was looked for, when its region was brought home."""
    with patch.object(Sweeper, "_is_given_by", lambda *_: False):
        broken = judge(plan_of(ADOPTED_LATE, "EVENTUAL")).broken

    assert broken == {"responses-closed", "came-to-rest"}


def test_who_is_forgotten_once_is_still_named_by_what_nobody_could_read_in_a_queue():
    """So the runbook has it done once more; the simulation had no plan with both."""
    with patch.object(Operator, "_forget_again", lambda *_: iter(())):
        broken = judge(plan_of(FORGOTTEN_AND_TAKEN_IN, "STRONG")).broken

    assert broken == {"forgotten-for-good"}


def test_answers_are_marked_in_an_order_that_does_not_depend_on_the_process():
    """A run repeats itself in every process (`test_repeating`); so it once did not."""
    code = f"from {__name__} import *; print(answers_marked_in_the_order_of_a_set())"
    digests = {said_by_another_process(code, hash_seed=hash_seed) for hash_seed in ("1", "2", "3")}

    assert len(digests) > 1
