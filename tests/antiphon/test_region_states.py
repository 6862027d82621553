"""What the command line tells of regions that are out of service."""

import orjson
import pytest
from typer.testing import CliRunner, Result

from antiphon.cli import app
from projections.regions import RegionState, Topology
from tests.antiphon.system import REGIONS, System

EAST, WEST, SOUTH = REGIONS
ACTIVE, LEAVING, DRAINED, JOINING = RegionState


def antiphon(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def lost(system: System) -> None:
    topology = Topology.all_active(REGIONS).moved(SOUTH, LEAVING, at_ms=1)
    topology = topology.moved(SOUTH, DRAINED, at_ms=1_790_000_000_000, adopter=WEST)
    item = {
        "k": {"S": "regions"},
        "v": {"N": str(topology.version)},
        "d": {"S": topology.model_dump_json()},
    }
    for region in REGIONS:
        system.tables[region, "antiphon-control"] = [item]


def test_regions_that_nobody_has_moved_are_shown_as_active(system: System):
    shown = antiphon("region", "show", *system.ports)

    assert shown.exit_code == 0
    assert shown.output.count("active") == 3
    assert "ever since" in shown.output


def test_a_lost_region_is_shown_with_who_answers_for_it(system: System):
    lost(system)

    told = antiphon("region", "show", *system.ports).output
    [row] = [line.split() for line in told.splitlines() if SOUTH in line]
    assert row == [SOUTH, "drained", "2026-09-21", "14:13:20", "UTC", WEST]

    exact = orjson.loads(antiphon("region", "show", "--json", *system.ports).stdout)
    assert exact["standings"][SOUTH]["adopters"] == [WEST]


@pytest.mark.parametrize("state", [LEAVING, DRAINED, JOINING])
def test_status_tells_a_state_that_an_operator_has_brought_about_and_finds_no_fault_in_it(
    system: System, state: RegionState
):
    system.states[WEST] = state

    result = antiphon("status", "--json", *system.ports)

    assert result.exit_code == 0
    health = [region["health"] for region in orjson.loads(result.stdout)["regions"]]
    assert health == ["up", state, "up"]


def test_status_takes_no_other_refusal_for_a_state(system: System):
    system.states[WEST] = "on fire"

    result = antiphon("status", *system.ports)

    assert result.exit_code == 1
    assert "HTTP 503" in result.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["drain", "mars"], "no region mars here; there are us-east-1, eu-west-1, ap-south-1"),
        (["undrain", "mars"], "no region mars here"),
        (["drain", SOUTH, "--adopt", WEST], "say --lost, too"),
        (["drain", SOUTH, "--lost", "--adopt", "mars"], "no region mars here"),
    ],
)
def test_what_cannot_be_meant_is_told_in_one_sentence(system: System, words: list[str], told: str):
    result = antiphon("region", *words, *system.ports)

    assert result.exit_code == 2
    assert told in result.output


def test_a_system_of_another_version_is_not_moved(system: System):
    del system.settings["ANTIPHON_EVENTS_TABLE"]
    result = antiphon("region", "drain", SOUTH, *system.ports)

    assert result.exit_code == 2
    assert "are not those of this version; deploy the templates again" in result.output
