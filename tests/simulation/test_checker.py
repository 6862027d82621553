"""The judge of runs finds nothing in a sound one, and what it must in an altered one."""

import ast
from pathlib import Path

import pytest

from tests.simulation.checker.findings import INVARIANTS
from tests.simulation.checker.verdict import check
from tests.simulation.history import History
from tests.simulation.sound import sound_history

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def sound() -> History:
    return sound_history()


def test_a_sound_run_is_found_sound(sound: History):
    verdict = check(sound)

    assert [violation.line for violation in verdict.violations] == []


def test_a_sound_run_gives_every_invariant_something_to_look_at(sound: History):
    looked = check(sound).looked

    assert [name for name in INVARIANTS if not looked[name]] == []


def test_the_judge_knows_nothing_of_the_code_that_it_judges():
    allowed = {"tests.simulation.history", "tests.simulation.history_json"}
    for module in (FOLDER / "history.py", *(FOLDER / "checker").glob("*.py")):
        for node in ast.walk(ast.parse(module.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                ours = name.split(".")[0] in {
                    "antiphon", "domain", "eventstore", "handlers", "infra", "projections", "tests",
                }  # fmt: skip
                inside = name in allowed or name.startswith("tests.simulation.checker")
                assert inside or not ours, f"{module.name} imports {name}"
