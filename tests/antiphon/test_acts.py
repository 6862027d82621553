"""What operators do is kept: every command that changes something says so before it begins."""

import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from antiphon import acts
from antiphon.cli import app

US = "us-east-1"

# Commands that change nothing of a running system, or nothing but what producers may change.
READING = {
    "status", "trace", "backup", "schemas", "simulate", "bench", "acts", "answers", "smoke",
    "console", "package", "homes show", "region show", "dlq list", "dlq show",
    "get subscriber", "get element", "get command",
}  # fmt: skip
PRODUCING = {"send", "feed"}
# On this machine alone: what is started, broken and healed there is nobody's deployment.
LOCAL = {
    "up", "run", "wan show", "wan cut", "wan heal", "wan delay", "wan undelay", "wan play",
    "region kill", "region start",
}  # fmt: skip
# CloudFormation keeps what these do, and who did it CloudTrail.
DEPLOYING = {"deploy", "destroy"}
RECORDED = {
    "region drain", "region undrain", "region evict", "homes spread", "homes move", "homes stay",
    "rebuild", "dlq replay", "dlq drop", "forget", "restore", "verify",
}  # fmt: skip


def commands(of: Typer, prefix: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield every command with the function that it runs."""
    for one in of.registered_commands:
        assert one.callback is not None
        name = one.name or one.callback.__name__.rstrip("_").replace("_", "-")
        yield f"{prefix}{name}", one.callback
    for group in of.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, f"{prefix}{group.name} ")


def antiphon(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def kept(system: Any) -> list[dict[str, str]]:
    told = antiphon("acts", "--json", *system.ports)
    assert told.exit_code == 0, told.output
    return list(json.loads(told.output))


def test_every_command_is_known_to_change_something_or_not():
    known = READING | PRODUCING | LOCAL | DEPLOYING | RECORDED
    others = {name for name, _ in commands(app) if not name.startswith("wan ")} - known
    assert not others, "say above whether these change something; if they do, have them recorded"


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_what_changes_something_is_recorded_under_its_name(name: str):
    source = inspect.getsource(dict(commands(app))[name])
    said = source.replace("_record(connection", "record(connection")
    assert "record(connection, " in said
    assert f'"{name}' in source
    # Nothing comes before it but what asks, reads and refuses.
    before = said.partition("record(connection, ")[0]
    assert "drive(" not in before
    assert "orders.give" not in before


def test_who_what_about_when_and_why_are_kept_before_the_act(system):
    system.settings |= {"ANTIPHON_MODE": "EVENTUAL"}
    words = ("homes", "stay", *system.ports)

    antiphon("--why", "the move was left off", *words)

    [told] = kept(system)
    assert (told["what"], told["why"]) == ("homes stay", "the move was left off")
    assert told["who"]
    assert told["at"].startswith("20")
    antiphon(*words)
    assert kept(system)[-1]["why"] == ""


def test_what_cannot_be_recorded_is_not_begun(system, monkeypatch):
    begun: list[str] = []
    monkeypatch.setattr("antiphon.homes.spread_homes", lambda _connection: begun.append("spread"))
    system.settings |= {"ANTIPHON_MODE": "EVENTUAL"}
    system.refuses = "PutItem"

    result = antiphon("homes", "spread", *system.ports)

    assert (result.exit_code, begun) == (2, [])
    system.refuses = None
    assert antiphon("homes", "spread", *system.ports).exit_code == 0
    assert begun == ["spread"]


def test_the_states_and_homes_in_the_same_table_are_no_acts(system):
    system.tables[US, "antiphon-control"] = [{"k": {"S": "regions"}}, {"k": {"S": "homes"}}]
    assert kept(system) == []
    assert acts.PREFIX == "act#"
