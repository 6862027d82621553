"""The judge of runs finds nothing in a sound one, and what it must in an altered one."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.simulation.altered import (
    in_log,
    leaves,
    moved,
    records,
    with_another,
    with_items,
    with_record,
)
from tests.simulation.checker.explain import explain
from tests.simulation.checker.findings import INVARIANTS, OF_EVENTUAL
from tests.simulation.checker.verdict import check
from tests.simulation.history import Appended, Applied, BodyStored, History, Published, Returned
from tests.simulation.sound import REGIONS, sound_history

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


# What a run may tell in other words or at other times, and nobody is misled.
UNHEEDED = {
    "reply": {
        "acknowledgements", "detail", "errors", "MessageId", "next", "origin_reachable", "title",
        "type",
    },
    "published": set(),
    "log": set(),
    "views": set(),
    "responses": {"body_at", "expires", "first_due", "published"},
}  # fmt: skip
Place = tuple[str, int, tuple[str | int, ...]]


@pytest.fixture(scope="module")
def places(sound: History) -> list[Place]:
    """Every value of the replies, the answers, the log, and a region's tables at the end."""
    data = {
        "reply": [json.loads(record.body) for record in records(sound, Returned)],
        "published": [json.loads(record.body) for record in records(sound, Published)],
        "log": [record.item for record in records(sound, Appended)],
        "views": sound.final.views[REGIONS[0]],
        "responses": sound.final.responses[REGIONS[0]],
    }
    return [
        (where, number, path)
        for where, values in data.items()
        for number, value in enumerate(values)
        for path, _ in leaves(value)
        if path[0] not in UNHEEDED[where]
        # When it was received and where it was when: only what traces draw.
        and path[:3] != ("m", "M", "g")
        and not str(path[0]).startswith("way#")
        # Which build is live, which the region keeps beside its views.
        and not (where == "views" and "v" in value)
    ]


def altered_at(history: History, place: Place) -> History:
    where, number, path = place
    if where in ("reply", "published"):
        record = records(history, Returned if where == "reply" else Published)[number]
        body = json.loads(record.body)
        return with_record(history, record, body=json.dumps(with_another(body, path)))
    if where == "log":
        return in_log(history, number, lambda item: item.update(with_another(item, path)))

    def alter(items: list[Any]) -> None:
        items[number] = with_another(items[number], path)

    return with_items(history, where, REGIONS[0], alter)


@given(data=st.data())
def test_no_value_of_a_run_can_be_altered_unseen(
    sound: History, places: list[Place], data: st.DataObject
):
    place = data.draw(st.sampled_from(places))

    assert not check(altered_at(sound, place)).clean


def test_a_violation_is_explained_by_the_records_of_its_aggregate(sound: History):
    move = records(sound, Applied, region="ap-south-1")[0]
    altered = moved(sound, move, after=records(sound, BodyStored)[0].step)
    violation = next(
        v for v in check(altered).violations if v.invariant == "event-b-after-all-applied"
    )

    told = explain(violation, altered)

    heading, *rows = told.splitlines()
    assert heading == violation.line
    assert [row for row in rows if row.startswith(">")] == [
        row for row in rows if f"stored the answer of {violation.about}" in row
    ]
    assert any("op-1 sent command" in row and "ActivateSubscriber" in row for row in rows)
    assert not any("gnb-ber-0001" in row for row in rows)


def test_the_documentation_names_every_invariant_as_the_checker_does():
    told = (FOLDER.parents[1] / "docs" / "SIMULATION.md").read_text()

    every = INVARIANTS | OF_EVENTUAL
    missing = [name for name, text in every.items() if f"| `{name}` | {text} |" not in told]
    assert missing == []
