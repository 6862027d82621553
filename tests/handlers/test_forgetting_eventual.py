"""Forgetting where each region has a replica of its own: nothing of the subject is left in any."""

from typing import Any

import orjson
import pytest

from eventstore.errors import StoreUnavailable
from projections.forgetting import Forgetting, Step
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.eventual import EventualNetwork
from tests.handlers.forgetter import everything, forgetting, items_of
from tests.handlers.network import ACTIVATION, REGIONS

US, EU, AP = REGIONS
IMSI = ACTIVATION["data"]["imsi"]
PERSONAL = [ACTIVATION["data"][name] for name in ("imsi", "msisdn", "iccid")]
CHANGE = {
    "type": "ChangeMsisdn",
    "command_id": "c2",
    "producer": "crm-emea",
    "data": {"imsi": IMSI, "msisdn": "+4915199999999"},
}


def drive(network: EventualNetwork, way: Forgetting) -> list[Step]:
    """Go the whole way; whenever it waits, everything arrives that can."""
    steps = []
    for step in way.forget():
        steps.append(step)
        assert len(steps) < 60, steps[-3:]
        if step.waits:
            network.come_to_rest()
    return steps


def known_and_changed(via: str) -> EventualNetwork:
    network = EventualNetwork(InProcessRegions())
    for command in (ACTIVATION, CHANGE):
        status, _ = network[via].post(command)
        assert status == 202
        network.come_to_rest()
    return network


def stored(network: EventualNetwork) -> str:
    """Return all that is stored or waits anywhere, as text: every replica, queue and mailbox."""
    replicas = {r: items_of(network.replicas[r], network.events) for r in REGIONS}
    return orjson.dumps(
        [everything(network), replicas], default=_text, option=orjson.OPT_NON_STR_KEYS
    ).decode()


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else repr(value)


@pytest.mark.parametrize("via", REGIONS)
def test_a_forgotten_subscriber_is_gone_from_every_region(via: str):
    network = known_and_changed(via)
    assert network[via].get(f"/subscribers/{IMSI}")[0] == 200
    assert IMSI in stored(network), "answers in the mailbox tell it until they are taken out"

    drive(network, forgetting(network, via=via))
    network.come_to_rest()

    told = stored(network)
    for number in [*PERSONAL, "+4915199999999"]:
        assert number not in told
    for region in REGIONS:
        assert network[region].get(f"/subscribers/{IMSI}")[0] == 410, region
        assert network[region].get(f"/subscribers/{IMSI}/history")[0] == 410, region
        status, problem = network[region].post(CHANGE | {"command_id": f"later-{region}"})
        assert (status, problem.get("reason") or problem["code"]) in {
            (409, "subscriber_forgotten"),
            (410, "forgotten"),
        }


def test_whom_a_region_was_cut_off_from_is_forgotten_once_it_is_back():
    network = known_and_changed(US)
    network.isolate(AP)
    with pytest.raises(StoreUnavailable):
        # It ends there, and is begun again by whoever looks after it.
        drive(network, forgetting(network, via=US))
    network.heal()

    drive(network, forgetting(network, via=US))
    network.come_to_rest()

    told = stored(network)
    assert not [number for number in PERSONAL if number in told]
    assert [network[region].get(f"/subscribers/{IMSI}")[0] for region in REGIONS] == [410] * 3


def test_what_another_home_had_taken_at_the_same_time_tells_nothing_of_the_forgotten():
    """A region was evicted while it took a change; the change is superseded, and unreadable."""
    network = known_and_changed(US)
    aggregate_id = network[US].deps.keys.aggregate_id("sub", IMSI)
    home = network[US].deps.homes.home_of(aggregate_id)
    other = next(region for region in REGIONS if region != home)
    network.isolate(home)
    lost = CHANGE | {"command_id": "lost", "data": {"imsi": IMSI, "msisdn": "+4915188888888"}}
    assert network[home].post(lost)[0] == 202
    network.elapsed_s += 10
    network.take_by_force(aggregate_id, other)
    won = CHANGE | {"command_id": "won", "data": {"imsi": IMSI, "msisdn": "+4915177777777"}}
    assert network[other].post(won)[0] == 202

    network.heal()
    network.come_to_rest()
    outcomes = [answer["outcome"] for region in REGIONS for answer in network[region].answers]
    assert "superseded" in outcomes
    drive(network, forgetting(network, via=other))
    network.come_to_rest()

    told = stored(network)
    assert not [
        number for number in [*PERSONAL, "+4915177777777", "+4915188888888"] if number in told
    ]
