"""A system as it is between two versions: everything stored, and what is on its way, as JSON.

`python -m tests.handlers.rolling FILE` plays some commands and writes that of the present version.
What was once written here is never written anew: every later version must go on from it.
"""

import base64
import itertools
import json
import logging
import sys
from pathlib import Path
from typing import Any

from tests.dynamodb.regions import InProcessRegions
from tests.handlers.network import ACTIVATION, REGIONS, Network

IMSI = ACTIVATION["data"]["imsi"]
ELEMENT = "gnb-ber-1"


def played(network: Network) -> None:
    """Commands of both aggregates, all answered, and two that are still on their way."""
    us, eu, ap = (network[name] for name in REGIONS)
    _accepted(us.post(ACTIVATION))
    element = {"element_id": ELEMENT, "kind": "gnb", "site": "ber-1", "plmn": "262-01"}
    _accepted(eu.post(_command("RegisterNetworkElement", 1, element)))
    network.settle()
    _accepted(ap.post(_command("ChangeMsisdn", 2, {"imsi": IMSI, "msisdn": "+4915112345679"})))
    network.settle()
    profile = {"imsi": IMSI, "service_profile": "profile-9"}
    _accepted(us.post(_command("ChangeServiceProfile", 3, profile)))
    _accepted(eu.post(_command("ApplyConfiguration", 4, {
        "element_id": ELEMENT, "base_revision": 0, "parameters": {"power": 12},
    })))  # fmt: skip
    # One region has applied them; the others, and the acknowledgements, come later.
    us.project(*network.take(REGIONS[0], "lane"))


def dumped(engine: InProcessRegions, network: Network) -> dict[str, Any]:
    """Return all items by region and table, and the messages under way."""
    tables = {}
    for region in REGIONS:
        client = engine.client("dynamodb", region)
        for table in sorted(client._tables):
            items = client.scan(TableName=table)["Items"]
            if items:
                tables[f"{region}/{table.partition('-')[0]}"] = [_plain(one) for one in items]
    messages = {f"{region}/{queue}": bodies for (region, queue), bodies in network.messages.items()}
    return {"tables": tables, "messages": messages}


def loaded(engine: InProcessRegions, stored: dict[str, Any]) -> Network:
    """Return a network of today's code in which all of that is stored and on its way."""
    network = Network(engine)
    for place, items in stored["tables"].items():
        region, kind = place.split("/")
        client = engine.client("dynamodb", region)
        (table,) = [one for one in client._tables if one.partition("-")[0] == kind]
        for item in items:
            client.put_item(TableName=table, Item=_restored(item))
    for place, bodies in stored["messages"].items():
        region, queue = place.split("/")
        network.messages[region, queue].extend(bodies)
        network.extras[region, queue].extend(itertools.repeat({}, len(bodies)))
    return network


def _command(kind: str, number: int, data: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "command_id": f"r{number}", "producer": "crm-emea", "data": data}


def _accepted(reply: Any) -> None:
    assert reply[0] == 202, reply


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"base64"}:
            return base64.b64decode(value["base64"])
        return {name: _restored(one) for name, one in value.items()}
    return [_restored(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    logging.disable(logging.INFO)
    made = InProcessRegions()
    network_of_now = Network(made)
    played(network_of_now)
    Path(sys.argv[1]).write_text(json.dumps(dumped(made, network_of_now), indent=1, sort_keys=True))
