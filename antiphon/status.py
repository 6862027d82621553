"""`antiphon status`: regions, links, replication lag, pending answers, dead letters.

Looks only; safe at any time. What it counts moves while it counts.
"""

import time
from typing import Any

import httpx
import typer
from botocore.exceptions import BotoCoreError
from pydantic import BaseModel
from rich.text import Text

from antiphon.connection import (
    CONTROL_TIMEOUT_S,
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    AsJson,
    AwsPort,
    BasePort,
    Connection,
)
from antiphon.letters import LETTERS_TABLE, store_of
from antiphon.network import Wan
from antiphon.problems import BAD_VERDICT
from antiphon.reading import pending_answers
from antiphon.terminal import MS_PER_S, heading, milliseconds, print_json, print_table, say
from antiphon.wan import print_links
from projections.regions import RegionState

DEAD = "-dead"
OWN_QUEUES = "antiphon-"
OK = 200
UP = "up"
KILLED = "killed"
OUT_OF_SERVICE = frozenset(set(RegionState) - {RegionState.ACTIVE})


class RegionStatus(BaseModel):
    """What one region looks like from outside."""

    region: str
    url: str
    health: str
    pending: int | None
    oldest_pending_ms: int | None
    dead_letters: dict[str, int]


def status(
    *,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json: AsJson = False,
) -> None:
    """Show regions, links, replication lag, pending answers and dead letters."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    now_ms = int(time.time() * MS_PER_S)
    wan = connection.wan()
    regions = [look_at(connection, wan, region, now_ms=now_ms) for region in connection.regions]
    if as_json:
        print_json(
            {
                "regions": [region.model_dump() for region in regions],
                "links": [link.model_dump() for link in wan.links],
                "replication": [lag.model_dump() for lag in wan.replication],
                "faults": [told.model_dump() for told in wan.faults],
                "in_flight": [one.model_dump() for one in wan.in_flight],
            }
        )
    else:
        _print(regions, wan)
    # What an operator has taken out of service is as it should be.
    if any(region.health not in {UP, *OUT_OF_SERVICE} for region in regions):
        raise typer.Exit(BAD_VERDICT)


def look_at(connection: Connection, wan: Wan, region: str, *, now_ms: int) -> RegionStatus:
    """Ask one region for its health, its pending answers and its dead letters.

    One that is dead is not asked; of one that does not answer only that is told.
    """
    told = RegionStatus(
        region=region,
        url=connection.url(region),
        health=KILLED if wan.is_killed(region) else _health(connection, region),
        pending=None,
        oldest_pending_ms=None,
        dead_letters={},
    )
    if told.health == KILLED:
        return told
    if told.health == UP and wan.is_isolated(region):
        # It serves eventual reads and nothing else, whatever it says of itself.
        told.health = "isolated"
    try:
        due_ms = list(pending_answers(connection.dynamodb(region)))
        told.dead_letters = _dead_letters(connection, region) | _letters(connection, region)
    except BotoCoreError as error:
        told.health = f"no answer ({type(error).__name__})" if told.health == UP else told.health
        return told
    told.pending = len(due_ms)
    told.oldest_pending_ms = now_ms - min(due_ms) if due_ms else None
    return told


def _health(connection: Connection, region: str) -> str:
    try:
        with connection.http(region, timeout_s=CONTROL_TIMEOUT_S) as client:
            response = client.get("/health")
    except httpx.TransportError as error:
        return f"no answer ({type(error).__name__})"
    if response.status_code == OK:
        return UP
    # A region that is not active says so itself; anything else that answers is not ours.
    return _state_in(response) or f"HTTP {response.status_code}"


def _state_in(response: httpx.Response) -> str | None:
    try:
        told = response.json()
    except ValueError:
        return None
    state = told.get("state") if isinstance(told, dict) else None
    return state if state in OUT_OF_SERVICE else None


def _dead_letters(connection: Connection, region: str) -> dict[str, int]:
    sqs = connection.sqs(region)
    counts = {}
    for url in sqs.list_queues(QueueNamePrefix=OWN_QUEUES).get("QueueUrls", []):
        name = url.rpartition("/")[2]
        if name.removesuffix(".fifo").endswith(DEAD):
            attributes = sqs.get_queue_attributes(
                QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
            )["Attributes"]
            counts[name] = int(attributes["ApproximateNumberOfMessages"])
    return counts


def _letters(connection: Connection, region: str) -> dict[str, int]:
    """Count the region's letters that somebody has still to deal with."""
    return {LETTERS_TABLE: sum(1 for _ in store_of(connection, region).waiting())}


def _print(regions: list[RegionStatus], wan: Wan) -> None:
    heading("Regions")
    print_table(
        ("region", "health", "address", "pending", "overdue", "dead letters"),
        [_row(region) for region in regions],
        numbers=("pending", "overdue", "dead letters"),
    )
    for region in regions:
        for queue, letters in region.dead_letters.items():
            if letters:
                say(f"  {region.region}: {letters} in {queue}", style="red")
    heading("Links")
    print_links(wan)
    if wan.replication:
        heading("Replication of global tables")
        print_table(
            ("from", "to", "last lag", "waiting"),
            [
                (
                    lag.origin,
                    lag.region,
                    milliseconds(lag.last_ms) if lag.last_ms is not None else "none yet",
                    lag.pending,
                )
                for lag in wan.replication
            ],
            numbers=("last lag", "waiting"),
        )


def _row(region: RegionStatus) -> tuple[Any, ...]:
    overdue = region.oldest_pending_ms
    return (
        region.region,
        Text(region.health, style=_style(region.health)),
        region.url,
        "" if region.pending is None else region.pending,
        milliseconds(overdue) if overdue is not None and overdue > 0 else "",
        sum(region.dead_letters.values()),
    )


def _style(health: str) -> str:
    if health == UP:
        return "green"
    return "yellow" if health in OUT_OF_SERVICE else "bold red"
