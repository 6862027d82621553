"""`antiphon verify` over HTTP: its words, its exit status, and what it does not judge."""

import base64
import json
from typing import Any

import orjson
from typer.testing import CliRunner

from antiphon.cli import app
from tests.antiphon.honest import IMSI, REGIONS, Tables, head_of


def verify(system: Any, tables: Tables, *options: str) -> Any:
    """Run `antiphon verify` against a system whose tables hold these items."""
    log = [image_of(item) for item in tables.log]
    for region in REGIONS:
        system.tables[region, "antiphon-events"] = log
        system.tables[region, "antiphon-views"] = tables.views[region]
        system.tables[region, "antiphon-responses"] = tables.responses[region]
    return CliRunner().invoke(app, ["verify", "--settle", "0", *options, *system.ports])


def image_of(item: dict[str, Any]) -> dict[str, Any]:
    """An item as the AWS endpoint sends it: binary values as base64 text."""
    return json.loads(json.dumps(item, default=lambda raw: base64.b64encode(raw).decode()))


def test_verify_of_an_honest_system_says_what_it_looked_at_and_ends_with_0(system, tables):
    result = verify(system, tables)
    assert result.exit_code == 0, result.output
    assert "log, read models and answers agree" in result.output
    assert "8 commits (8 events) of 2 aggregates" in result.output


def test_verify_of_an_altered_system_names_each_violation_and_ends_with_1(system, tables):
    head_of(tables.views["ap-south-1"], "network-inventory")["n"] = {"N": "2"}
    result = verify(system, tables)
    assert result.exit_code == 1
    assert "1 violation" in result.output
    assert "it has applied sequence 2, the log ends at 3" in result.output


def test_verify_does_not_judge_a_system_that_takes_commands(system, tables):
    system.commands_come_in = True
    head_of(tables.views["ap-south-1"], "network-inventory")["n"] = {"N": "2"}
    result = verify(system, tables)
    assert result.exit_code == 2
    assert "commands still come in" in result.output


def test_nothing_personal_is_printed_by_verify(system, tables):
    head = head_of(tables.views["us-east-1"], "subscriber-view")
    document = orjson.loads(head["d"]["S"])
    head["d"]["S"] = orjson.dumps(document | {"imsi": "262019999999999"}).decode()
    result = verify(system, tables)
    assert result.exit_code == 1
    assert "its imsi is not that of the log" in result.output
    assert IMSI not in result.output
    assert "262019999999999" not in result.output
