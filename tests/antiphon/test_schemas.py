"""The published schemas are those of the code, and none is replaced by one that breaks others."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from antiphon.cli import app
from antiphon.schema_changes import breaking_changes
from antiphon.schemas import TOLD, VERSION, published, serialized

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "schemas" / VERSION
Alter = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize("name", published())
def test_what_is_published_is_what_the_code_does(name: str):
    told = "after a change: antiphon schemas --out docs/schemas"
    assert (FOLDER / f"{name}.json").read_bytes() == serialized(published()[name]), told


def altered(name: str, alter: Alter) -> tuple[dict[str, Any], dict[str, Any]]:
    old = published()[name]
    new = copy.deepcopy(old)
    alter(new)
    assert old != new
    return old, new


def command(schema: dict[str, Any], name: str = "SuspendSubscriber") -> dict[str, Any]:
    found: dict[str, Any] = schema["$defs"][name]
    return found


BREAKS_SENDERS: dict[str, tuple[Alter, str]] = {
    "a field goes": (lambda s: command(s)["properties"].pop("reason"), "reason: the field is gone"),
    "a field is required": (
        lambda s: command(s, "SuspendSubscriberCommand")["required"].append("occurred_at"),
        "occurred_at: it is now required",
    ),
    "a command goes": (lambda s: s["oneOf"].pop(), "Command is no longer taken"),
    "a bound narrows": (
        lambda s: command(s, "ActivateSubscriber")["properties"]["service_profile"].update(
            maxLength=8
        ),
        "service_profile: maxLength was 64 and is 8",
    ),
    "a bound is new": (
        lambda s: command(s)["properties"]["imsi"].update(minLength=20),
        "imsi: minLength was None and is 20",
    ),
    "a pattern changes": (
        lambda s: command(s)["properties"]["imsi"].update(pattern="^x$"),
        "imsi: pattern was",
    ),
    "a type changes": (
        lambda s: command(s)["properties"]["imsi"].update(type="integer"),
        "imsi: string is no longer taken",
    ),
    "null is not taken": (
        lambda s: command(s, "SuspendSubscriberCommand")["properties"]["depends_on"]["anyOf"].pop(),
        "depends_on: null is no longer taken",
    ),
    "a name changes": (
        lambda s: command(s, "SuspendSubscriberCommand")["properties"]["type"].update(const="X"),
        "type: SuspendSubscriber is no longer taken",
    ),
}
BREAKS_READERS: dict[str, tuple[Alter, str]] = {
    "a field goes": (lambda s: s["properties"].pop("origin"), "origin: the field is gone"),
    "a field may be missing": (
        lambda s: s["required"].remove("state"),
        "state: it is no longer always told",
    ),
    "a field may be null": (
        lambda s: s["properties"]["state"]["anyOf"].append({"type": "string"}),
        "state: string may now be told",
    ),
    "a type changes": (
        lambda s: s["properties"]["sequence"].update(type="string"),
        "sequence: string may now be told",
    ),
    "a value is new": (
        lambda s: s["properties"]["outcome"]["enum"].append("perhaps"),
        "outcome: perhaps may now be told",
    ),
    "deep within": (
        lambda s: s["$defs"]["AnsweredEvent"]["required"].remove("type"),
        "events.items.type: it is no longer always told",
    ),
}
HARMLESS: dict[str, tuple[str, Alter]] = {
    "an optional field of a command": (
        "commands",
        lambda s: command(s)["properties"].update(note={"type": "string"}),
    ),
    "a new command": ("commands", lambda s: s["oneOf"].append({"$ref": "#/$defs/New"})),
    "a wider bound": (
        "commands",
        lambda s: command(s, "ActivateSubscriber")["properties"]["service_profile"].update(
            maxLength=99
        ),
    ),
    "a field no longer required": ("commands", lambda s: command(s)["required"].remove("reason")),
    "other words": ("commands", lambda s: command(s).update(description="Other words.")),
    "one more field told": (
        "answer",
        lambda s: s["properties"].update(mood={"type": "string"}),
    ),
    "a field always told": ("answer", lambda s: s["required"].append("reason")),
    "a value no longer told": ("answer", lambda s: s["properties"]["outcome"]["enum"].pop()),
}


@pytest.mark.parametrize("case", BREAKS_SENDERS)
def test_what_breaks_those_who_send_is_named(case: str):
    alter, expected = BREAKS_SENDERS[case]
    (change,) = breaking_changes(*altered("commands", alter), told=False)
    assert expected in change


@pytest.mark.parametrize("case", BREAKS_READERS)
def test_what_breaks_those_who_read_is_named(case: str):
    alter, expected = BREAKS_READERS[case]
    (change,) = breaking_changes(*altered("answer", alter), told=True)
    assert expected in change


@pytest.mark.parametrize("case", HARMLESS)
def test_what_breaks_nobody_passes(case: str):
    name, alter = HARMLESS[case]
    assert breaking_changes(*altered(name, alter), told=name in TOLD) == []


def test_a_breaking_change_is_not_published(tmp_path: Path):
    runner = CliRunner()
    first = runner.invoke(app, ["schemas", "--out", str(tmp_path)])
    file = tmp_path / VERSION / "answer.json"
    promised = orjson.loads(file.read_bytes())
    promised["properties"]["mood"] = {"type": "string"}
    file.write_bytes(serialized(promised))

    refused = runner.invoke(app, ["schemas", "--out", str(tmp_path)])

    assert first.exit_code == 0
    assert refused.exit_code == 1
    assert "answer: $.mood: the field is gone" in refused.output
    assert file.read_bytes() == serialized(promised)


def test_a_file_that_is_no_schema_is_said(tmp_path: Path):
    (tmp_path / VERSION).mkdir()
    (tmp_path / VERSION / "answer.json").write_text("{")

    refused = CliRunner().invoke(app, ["schemas", "--out", str(tmp_path)])

    assert refused.exit_code == 2
    assert "answer.json is not JSON" in refused.output


def test_they_are_shown_without_a_folder():
    shown = CliRunner().invoke(app, ["schemas"])
    assert orjson.loads(shown.output).keys() == {"answer", "commands", "problem", "reply"}
