"""Commands of many subscribers, as tests send them by HTTP."""

from typing import Any

from tests.handlers.eventual import EventualNetwork
from tests.handlers.network import ACTIVATION, REGIONS


def activation(number: int) -> dict[str, Any]:
    imsi = f"26201123456{number:04}"
    return {**ACTIVATION, "command_id": f"c{number}", "data": {**ACTIVATION["data"], "imsi": imsi}}


def change(activated: dict[str, Any], profile: str) -> dict[str, Any]:
    return {
        "type": "ChangeServiceProfile",
        "command_id": f"change-{profile}",
        "producer": "crm-emea",
        "data": {"imsi": activated["data"]["imsi"], "service_profile": profile},
    }


def at_home_in(regions: EventualNetwork, home: str) -> dict[str, Any]:
    """Return the activation of a subscriber whose commands are appended in this region."""
    keys = regions[REGIONS[0]].deps.keys
    for number in range(1000):
        body = activation(number)
        aggregate_id = keys.aggregate_id("sub", body["data"]["imsi"])
        if regions.homes.read().of(aggregate_id).home == home:
            return body
    raise AssertionError("no subscriber is at home there")
