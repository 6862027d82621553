"""docs/EXTENDING.md, followed to the letter: its blocks become modules outside the package."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from eventstore.scanning import LogSegments
from handlers.extension import BadExtension, Extension, catalog_of, load_extension
from projections.holding import Holds
from projections.rebuild import Rebuild
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.network import REGIONS, Network

PROJECT = Path(__file__).resolve().parents[2]
GUIDE = PROJECT / "docs" / "EXTENDING.md"
US, EU, AP = REGIONS
ICCID = "8949020000012345670"


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Write each block of the guide into the file that its first line names."""
    directory = tmp_path_factory.mktemp("extension")
    for block in re.findall(r"```python\n(.*?)```", GUIDE.read_text(), flags=re.DOTALL):
        name = block.splitlines()[0].removeprefix("# ")
        (directory / name).write_text(block)
    sys.path.insert(0, str(directory))
    yield directory
    sys.path.remove(str(directory))
    for name in [name for name in sys.modules if name.startswith("sim_")]:
        sys.modules.pop(name, None)


@pytest.fixture
def network(engine: Any, modules: Path) -> Network:
    return Network(engine, extensions="sim_extension")


@pytest.fixture
def both_versions(modules: Path) -> Network:
    """Register the view beside its second version, as the guide says to."""
    (modules / "sim_extension_both.py").write_text(
        "from dataclasses import replace\n"
        "from sim_extension import EXTENSION as FIRST\n"
        "from sim_profile_view import SIM_PROFILE_VIEW\n"
        "from sim_profile_view_2 import SIM_PROFILE_VIEW_2\n"
        "both = [SIM_PROFILE_VIEW, SIM_PROFILE_VIEW_2]\n"
        "EXTENSION = replace(FIRST, projections=both)\n"
    )
    return Network(InProcessRegions(), extensions="sim_extension_both")


def command(command_id: str, command_type: str, **data: str) -> dict[str, Any]:
    return {
        "type": command_type,
        "command_id": command_id,
        "producer": "smdp",
        "data": {"iccid": ICCID, **data},
    }


ORDER = command("1", "OrderProfile", service_profile="consumer-5g")


def test_its_commands_are_answered_once_every_region_has_applied_them(network: Network):
    assert network[US].post(ORDER)[0] == 202
    status, told = network[EU].post(command("2", "ConfirmInstallation"))
    assert (status, told["reason"]) == (409, "not_released")
    assert network[EU].post(command("3", "ReleaseProfile", matching_id="M-1"))[0] == 202
    assert network[AP].post(ORDER)[1]["duplicate"] is True
    network.settle()

    [ordered] = network[US].answers
    assert ordered["state"]["iccid"] == ICCID
    _, view = network[AP].get(f"/sim-profiles/{ICCID}")
    assert (view["status"], view["matching_id"], view["applied_sequence"]) == ("released", "M-1", 3)
    [listed] = network[AP].get("/sim-profiles", status="released")[1]["items"]
    assert listed["iccid"] == ICCID
    _, timeline = network[AP].get(f"/sim-profiles/{ICCID}/timeline")
    assert [row["outcome"] for row in timeline["items"]] == ["accepted", "rejected", "accepted"]
    _, past = network[AP].get(f"/sim-profiles/{ICCID}/history", at_sequence="1")
    assert past["state"]["status"] == "ordered"


def let_the_phase_be_known(network: Network) -> None:
    """Let every function see the phase as it is now."""
    for known in network[EU].deps._builds.values():
        known._read = None


def whole_pass(network: Network, rebuild: Rebuild) -> None:
    """Walk the whole log, when everybody knows the phase."""
    let_the_phase_be_known(network)
    while not rebuild.step("sim-profiles", segment=0, segments=1).done:
        pass


def test_its_changed_view_is_read_from_the_switch_on_and_not_before(both_versions: Network):
    network = both_versions
    network[US].post(ORDER)
    network.settle()
    holds = Holds(elapsed_s=lambda: 0.0, hold_s=0.0)
    deps = network[EU].deps
    # The log of this network is in one place for all.
    scan = LogSegments(network.log._client, table=deps.settings.events_table)
    rebuild = replace(deps.rebuild, scan=scan, holds=holds)
    rebuild.begin("sim-profiles")
    whole_pass(network, rebuild)
    rebuild.write_both("sim-profiles")
    whole_pass(network, rebuild)
    network[US].post(command("3", "ReleaseProfile", matching_id="M-1"))
    network.settle()
    before = network[EU].get(f"/sim-profiles/{ICCID}")[1]

    rebuild.switch("sim-profiles")
    let_the_phase_be_known(network)
    after = network[EU].get(f"/sim-profiles/{ICCID}")[1]

    assert "usable" not in before
    assert after["usable"] is False
    assert after["applied_sequence"] == before["applied_sequence"] == 2
    assert len(network[US].answers) == 2


def test_its_data_is_validated_and_documented(network: Network):
    status, problem = network[US].post(command("1", "OrderProfile"))
    assert (status, problem["errors"][0]["field"]) == (422, "data.service_profile")

    _, document = network[US].get("/openapi.json")
    assert "/sim-profiles/{iccid}" in document["paths"]
    assert "OrderProfileCommand" in document["components"]["schemas"]


def test_the_products_own_aggregates_go_on_beside_it(network: Network):
    assert network[US].get("/subscribers/262011234567890")[0] == 404
    assert network[US].get("/network-elements", site="ber-1")[0] == 200


def test_the_guides_own_tests_pass(modules: Path):
    ran = subprocess.run(  # noqa: S603 - our own test
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(modules)],
        env={"PYTHONPATH": f"{PROJECT}:{modules}"},
        cwd=modules,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "2 passed" in ran.stdout, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"projections": []}, "needs exactly one projection"),
        ({"resources": 2}, "two resources have the name sim-profiles"),
        ({"aggregates": 2}, "two aggregates have the tag"),
        ({"projections": 2}, "two projections have the name sim-profiles"),
    ],
)
def test_an_extension_that_does_not_fit_says_why(modules: Path, change: Any, told: str):
    given = load_extension("sim_extension")
    parts: dict[str, Any] = {
        name: list(getattr(given, name)) for name in ("aggregates", "projections", "resources")
    }
    for name, value in change.items():
        parts[name] = parts[name] * value if isinstance(value, int) else value

    with pytest.raises(BadExtension, match=told):
        catalog_of([Extension(**parts)])


@pytest.mark.parametrize(
    ("module", "told"), [("no_such_module", "cannot be imported"), ("json", "has no EXTENSION")]
)
def test_a_module_that_is_no_extension_is_named(module: str, told: str):
    with pytest.raises(BadExtension, match=told):
        load_extension(module)
