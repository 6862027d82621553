"""Moving homes and regions: what is refused, with what to do, before anything is recorded."""

import orjson
import pytest
from typer.testing import CliRunner, Result

from antiphon.cli import app
from projections.homes import Homes
from tests.antiphon.system import REGIONS

US, EU, *_ = REGIONS


@pytest.fixture
def eventual(system):
    system.settings |= {"ANTIPHON_MODE": "EVENTUAL"}
    spread(system, REGIONS)
    return system


def antiphon(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def spread(system, regions) -> None:
    document = Homes.spread(regions).model_dump_json()
    item = {"k": {"S": "homes"}, "v": {"N": "1"}, "d": {"S": document}}
    for region in REGIONS:
        system.tables[region, "antiphon-control"] = [item]


MOVES = [
    ("homes", "move", US),
    ("homes", "stay"),
    ("region", "drain", US),
    ("region", "undrain", US),
    ("region", "evict", US),
]


@pytest.mark.parametrize("words", MOVES, ids=" ".join)
@pytest.mark.parametrize("consistency", ["EVENTUAL", None])
def test_where_regions_see_no_one_truth_homes_are_fixed(eventual, words, consistency):
    eventual.consistency = consistency

    result = antiphon(*words, *eventual.ports)

    assert result.exit_code == 2
    told = " ".join(result.output.split())
    assert f"antiphon-control is {consistency or 'in one region'}, not strongly" in told
    assert "homes and the regions' states stay as they are" in told
    assert "deploy infra/sam/global.yaml anew" in told
    assert "PutItem" not in eventual.operations


@pytest.mark.parametrize(
    "words",
    [("homes", "move", "mars"), ("homes", "move", US, "--to", "mars"), ("region", "evict", "mars")],
)
def test_an_unknown_region_is_refused_by_name(eventual, words):
    result = antiphon(*words, *eventual.ports)
    assert result.exit_code == 2
    assert "no region mars here; there are" in " ".join(result.output.split())
    assert "PutItem" not in eventual.operations


def test_slots_at_home_in_no_region_are_shown_as_that(eventual):
    spread(eventual, (US, EU, "mars"))
    shown = antiphon("homes", "show", *eventual.ports)
    assert shown.exit_code == 0
    assert "mars (no region here)" in " ".join(shown.output.split())
    told = orjson.loads(antiphon("homes", "show", "--json", *eventual.ports).stdout)
    assert len(told["slots"]) == 60
