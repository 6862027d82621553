"""`antiphon verify` over HTTP: its words, its exit status, and what it does not judge."""

import base64
import json
from typing import Any

import orjson
import pytest
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


def behind(tables: Tables) -> None:
    """Have one view of ap-south-1 stand before the last commit."""
    head_of(tables.views["ap-south-1"], "network-inventory")["n"] = {"N": "2"}


def test_what_a_cut_link_may_hold_back_is_not_settled_and_names_the_link(system, tables):
    behind(tables)
    system.cut.add(("eu-west-1", "ap-south-1"))
    result = verify(system, tables)
    assert result.exit_code == 3
    assert "not settled" in result.output
    assert "the link eu-west-1 - ap-south-1 is cut" in result.output
    assert "violation" not in result.output


def test_a_cut_link_excuses_nothing_that_is_wrong(system, tables):
    head = head_of(tables.views["ap-south-1"], "subscriber-view")
    document = orjson.loads(head["d"]["S"])
    head["d"]["S"] = orjson.dumps(document | {"service_profile": "other"}).decode()
    system.cut.add(("eu-west-1", "ap-south-1"))
    assert verify(system, tables).exit_code == 1


def test_a_dead_region_is_left_out_and_named(system, tables):
    tables.views["ap-south-1"].clear()
    system.killed.add("ap-south-1")
    result = verify(system, tables)
    assert result.exit_code == 3
    assert "nothing of this region was looked at (ap-south-1 does not run)" in result.output


def test_a_dry_run_says_what_would_be_repaired_and_does_nothing(system, tables):
    behind(tables)
    result = verify(system, tables, "--repair", "--dry-run")
    assert result.exit_code == 1
    assert "send it to the projector again" in result.output
    assert system.sent == []
    told = json.loads(verify(system, tables, "--repair", "--dry-run", "--json").output)
    assert [mend["how"] for mend in told["mends"]] == ["apply"]
    assert not told["good"]
    assert told["repaired"] == []
    assert system.sent == []


def test_nothing_is_repaired_where_nobody_can_be_asked(system, tables):
    behind(tables)
    result = verify(system, tables, "--repair")
    assert result.exit_code == 2
    assert "say --yes to do it" in result.output
    assert system.sent == []


def test_what_lacks_is_sent_to_its_regions_projector_again(system, tables):
    behind(tables)
    result = verify(system, tables, "--repair", "--yes", "--json")
    [(region, queue)] = system.sent
    assert (region, queue) == ("ap-south-1", "antiphon-lane")
    # These regions have no projector, so it still lacks: that is told, too.
    assert result.exit_code == 1
    assert json.loads(result.output)["repaired"][0]["refused"] is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--yes"], "go with --repair"),
        (["--dry-run"], "go with --repair"),
        (["--repair", "--json"], "cannot ask"),
    ],
)
def test_options_that_make_no_sense_are_refused(system, tables, options, told):
    result = verify(system, tables, *options)
    assert result.exit_code == 2
    assert told in result.output


def test_nothing_personal_is_printed_by_verify(system, tables):
    head = head_of(tables.views["us-east-1"], "subscriber-view")
    document = orjson.loads(head["d"]["S"])
    head["d"]["S"] = orjson.dumps(document | {"imsi": "262019999999999"}).decode()
    result = verify(system, tables)
    assert result.exit_code == 1
    assert "its imsi is not that of the log" in result.output
    assert IMSI not in result.output
    assert "262019999999999" not in result.output
