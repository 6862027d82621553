"""A rolling upgrade: what an earlier version has stored and sent, today's functions go on from.

One file for each version, as that version wrote it. A change that fails here is one that a system
which runs could not take: give the stored form a version, and read both.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.dynamodb.regions import InProcessRegions
from tests.handlers.network import REGIONS, Network
from tests.handlers.rolling import ELEMENT, IMSI, dumped, loaded, played

US, EU, AP = REGIONS
VERSIONS = sorted((Path(__file__).parent / "stored").glob("*.json"))


@pytest.fixture(params=VERSIONS, ids=lambda file: file.stem)
def upgraded(request) -> Network:
    return loaded(InProcessRegions(), json.loads(request.param.read_text()))


def test_what_was_answered_is_shown_in_every_region_with_what_is_sealed(upgraded):
    for region in REGIONS:
        status, shown = upgraded[region].get(f"/subscribers/{IMSI}")
        assert status == 200
        assert shown["msisdn"] == "+4915112345679"


def test_what_was_on_its_way_arrives_and_is_answered_with_proof_of_all(upgraded):
    upgraded.settle()
    answers = [*upgraded[US].answers, *upgraded[EU].answers]
    assert len(answers) == 2
    for answer in answers:
        assert set(answer["regions"]) == set(REGIONS)
    for region in REGIONS:
        shown = upgraded[region].get(f"/subscribers/{IMSI}")[1]
        assert shown["service_profile"] == "profile-9"
        element = upgraded[region].get(f"/network-elements/{ELEMENT}")[1]
        assert element["revision"] == 1


def test_commands_are_decided_on_top_of_what_was_stored(upgraded):
    upgraded.settle()
    suspend = {
        "type": "SuspendSubscriber",
        "command_id": "after",
        "producer": "crm-emea",
        "data": {"imsi": IMSI, "reason": "fraud"},
    }
    status, told = upgraded[EU].post(suspend)
    assert (status, told["sequence"]) == (202, 4)
    upgraded.settle()
    token = told["consistency_token"]
    shown = upgraded[AP].get(f"/subscribers/{IMSI}", **{"Consistency-Token": token})
    assert shown[0] == 200, shown
    assert shown[1]["status"] == "suspended"
    assert upgraded[US].letters == {}


def test_the_whole_history_is_told_in_todays_form(upgraded):
    status, told = upgraded[AP].get(f"/subscribers/{IMSI}/history")
    assert status == 200
    assert [one["sequence"] for one in told["events"]] == [1, 2, 3]


def attributes(stored: dict[str, Any]) -> dict[str, set[str]]:
    return {
        place: {name for item in items for name in item}
        for place, items in stored["tables"].items()
    }


def test_what_is_written_today_has_every_attribute_that_older_functions_read():
    """Old and new functions run beside each other: a form only gains, or has a version."""
    engine = InProcessRegions()
    network = Network(engine)
    played(network)
    today = attributes(dumped(engine, network))
    for place, names in attributes(json.loads(VERSIONS[-1].read_text())).items():
        assert names <= today[place], place
