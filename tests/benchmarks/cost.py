"""Dollars per million events, from what the handlers ask of AWS: `python -m tests.benchmarks.cost`.

Requests and units are measured: real handlers on an engine that counts as DynamoDB charges. Times
that nothing here can measure, and prices, are data beside it: ASSUMED and prices.yaml. It is for
comparing designs; a bill also has storage, backups, alarms and support.
"""

import io
import logging
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.dynamodb.regions import InProcessRegions
from tests.handlers.network import ACTIVATION, REGIONS, Network

COMMANDS = 30
_GLOBAL = ("events", "keys", "control")
# Of functions with 512 MB, arm64; bytes of one command in all regions together.
ASSUMED = {
    "memory_gb": 0.5,
    "command_s": 0.11,  # the round trip to the nearest region, and its own work
    "batch_s": 0.06,  # a projector's or responder's batch of some
    "logs_bytes": 2_000,  # docs/OPERATIONS.md
    "transfer_bytes": 5_000,  # two replicas, two lanes, two acknowledgements
}
# A server fleet that does the same: three regions, three zones each, busy to four tenths.
SERVERS = {"least_cores": 9 * 2, "busy": 0.4, "core_us_an_event": 2_000}
RATES = (10, 1_000, 50_000)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one command asks for, in all regions together."""

    write_units: float
    read_units: float
    messages: float
    batches: float
    answers: float


def measured(batch: int) -> Measured:
    """Play commands through three regions, `batch` of them in each message batch of a function."""
    engine = InProcessRegions()
    network = Network(engine)
    for number in range(COMMANDS):
        data = {**ACTIVATION["data"], "imsi": f"26201{number:010}"}
        _post(network, number, {**ACTIVATION, "command_id": f"a{number}", "data": data})
    network.settle()
    for region in network.regions.values():
        region.bus.published.clear()
    messages = batches = 0
    with engine.measured() as used:
        for number in range(COMMANDS):
            data = {"imsi": f"26201{number:010}", "service_profile": "another-profile"}
            told = {"type": "ChangeServiceProfile", "producer": "crm-emea", "data": data}
            _post(network, number, {**told, "command_id": f"c{number}"})
        for queue in ("lane", "acks"):
            for name in REGIONS:
                region, bodies = network[name], network.take(name, queue)
                messages += len(bodies)
                for at in range(0, len(bodies), batch):
                    take = region.project if queue == "lane" else region.acknowledge
                    assert take(*bodies[at : at + batch]) == []
                    batches += 1
    answers = sum(len(network[name].answers) for name in REGIONS)
    assert answers == COMMANDS, "every command was answered"
    # A global table's write is charged at each replica; here it was counted once.
    writes = sum(
        one.write_units * (len(REGIONS) if table.startswith(_GLOBAL) else 1) + one.index_units
        for (_, table), one in used.items()
    )
    reads = sum(one.read_units for one in used.values())
    return Measured(
        write_units=writes / COMMANDS,
        read_units=reads / COMMANDS,
        messages=messages / COMMANDS,
        batches=batches / COMMANDS,
        answers=answers / COMMANDS,
    )


def _post(network: Network, number: int, command: Mapping[str, Any]) -> None:
    assert network[REGIONS[number % len(REGIONS)]].post(dict(command))[0] == 202


def prices() -> dict[str, float]:
    """Return the prices by name, in dollars."""
    told = yaml.safe_load((Path(__file__).parent / "prices.yaml").read_text())
    return {name: one["usd"] for name, one in told.items()}


def antiphon(one: Measured, price: Mapping[str, float], *, batch: int) -> dict[str, float]:
    """Return dollars per million commands, each with its event and its answer, by service."""
    # The stream brings to each region again what the lane has brought.
    batches = one.batches + len(REGIONS) / batch
    gb_s = ASSUMED["memory_gb"] * (ASSUMED["command_s"] + batches * ASSUMED["batch_s"])
    # Sent one by one; received and deleted in batches; the answer into the mailbox, and out of it.
    requests = one.messages * (1 + 2 / batch) + one.answers * (1 + 2 / batch)
    return {
        "DynamoDB, writes": one.write_units * price["dynamodb_write_unit_million"],
        "DynamoDB, reads": one.read_units * price["dynamodb_read_unit_million"],
        "SQS": requests * price["sqs_request_million"],
        "EventBridge": one.answers * price["eventbridge_event_million"],
        "Lambda, requests": (1 + batches) * price["lambda_request_million"],
        "Lambda, time": gb_s * 1e6 * price["lambda_gb_s_arm64"],
        "HTTP API": price["http_api_request_million"],
        **_around(price),
    }


def naive(price: Mapping[str, float]) -> dict[str, float]:
    """Return the same of the design that loses updates: state read and put back, answered at once.

    One eventual table of the state in three regions, one function a command, no log, no token, no
    proof: what Antiphon costs more is what keeps its promise.
    """
    gb_s = ASSUMED["memory_gb"] * 0.03
    return {
        "DynamoDB, writes": len(REGIONS) * price["dynamodb_write_unit_million"],
        "DynamoDB, reads": 0.5 * price["dynamodb_read_unit_million"],
        "SQS": 1.2 * price["sqs_request_million"],
        "EventBridge": price["eventbridge_event_million"],
        "Lambda, requests": price["lambda_request_million"],
        "Lambda, time": gb_s * 1e6 * price["lambda_gb_s_arm64"],
        "HTTP API": price["http_api_request_million"],
        **_around(price),
    }


def servers(total: Mapping[str, float], price: Mapping[str, float], *, rate: int) -> float:
    """Return dollars per million of the same design on servers, at a steady rate a second.

    They take the place of Lambda and the HTTP API; tables, queues and bus stay as they are.
    """
    work = rate * SERVERS["core_us_an_event"] / 1e6 / SERVERS["busy"]
    cores = max(SERVERS["least_cores"], work)
    kept = sum(
        usd for name, usd in total.items() if not name.startswith("Lambda") and name != "HTTP API"
    )
    return kept + cores * price["server_core_hour"] / (rate * 3_600 / 1e6)


def _around(price: Mapping[str, float]) -> dict[str, float]:
    return {
        "logs": ASSUMED["logs_bytes"] / 1e3 * price["logs_gb"],
        "between regions": ASSUMED["transfer_bytes"] / 1e3 * price["transfer_between_regions_gb"],
    }


def rows() -> list[str]:
    """Return the tables, as Markdown."""
    price = prices()
    # The handlers' own lines are not part of the answer.
    with redirect_stdout(io.StringIO()):
        single, tens = measured(1), measured(10)
    columns = [antiphon(single, price, batch=1), antiphon(tens, price, batch=10), naive(price)]
    table = ["| $ per million | one by one | in tens | naive |", "|---|---|---|---|"]
    table += [
        f"| {name} | " + " | ".join(f"{one[name]:.2f}" for one in columns) + " |"
        for name in columns[0]
    ]
    totals = [sum(one.values()) for one in columns]
    table.append("| **all** | " + " | ".join(f"**{one:.2f}**" for one in totals) + " |")
    table += ["", "| events a second, steadily | Antiphon | on servers |", "|---|---|---|"]
    for rate in RATES:
        # Batches fill with the rate.
        used = columns[0] if rate < RATES[1] else columns[1]
        on_servers = servers(used, price, rate=rate)
        table.append(f"| {rate:,} | {sum(used.values()):.2f} | {on_servers:.2f} |")
    return table


if __name__ == "__main__":
    logging.disable(logging.INFO)
    print("\n".join(rows()))  # noqa: T201 - its purpose
