"""What a call of the functions says about commits: applied, acknowledged, answered.

Pure: reads calls, makes none, and never raises for one that it cannot read. Whatever it says
carries ids, types and regions; nothing of what a command or an answer holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

EVENTS_TABLE = "antiphon-events"
_VIEWS_TABLE = "antiphon-views"
_ACKS_QUEUE = "/antiphon-acks"
_PUT = "DynamoDB_20120810.PutItem"
_TRANSACTION = "DynamoDB_20120810.TransactWriteItems"
_SEND = "AmazonSQS.SendMessage"
_PUT_EVENTS = "AWSEvents.PutEvents"
_HEAD = {"S": "head"}
_OUTCOMES = {"Refused": "rejected", "Unchanged": "unchanged"}

Kind = Literal["applied", "acknowledged", "answered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One thing that a call does about one commit.

    Attributes:
        region: where it is done, and for an acknowledgement where it comes from.
        to: where an acknowledgement goes.
        projection: whose read model has applied it, and up to which `position`.
        entry: which entry of a request to a bus it is: entries fail one by one.
    """

    kind: Kind
    commit: str
    region: str
    to: str | None = None
    projection: str | None = None
    position: int = 0
    entry: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A commit as it stands in the log: its place, and what its command was."""

    commit: str
    aggregate_id: str
    position: int
    type: str
    outcome: str


def sightings(target: str, body: bytes, *, region: str, caller: str) -> list[Sighting]:
    """What a call from the functions of `caller` to `region` does about commits."""
    if target not in {_PUT, _TRANSACTION, _SEND, _PUT_EVENTS}:
        return []
    # Most calls that could matter do not: a look at the bytes spares reading them.
    if target in {_PUT, _TRANSACTION} and _VIEWS_TABLE.encode() not in body:
        return []
    try:
        request = orjson.loads(body)
        if target == _SEND:
            return list(_acknowledged(request, region=region, caller=caller))
        if target == _PUT_EVENTS:
            return list(_answered(request, region=region))
        return list(_applied(request, region=region))
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def committed(image: dict[str, Any]) -> Committed | None:
    """A record of the event table; None if it is no commit."""
    try:
        aggregate_id, position = image["a"]["S"], int(image["q"]["N"])
        topic = image["e"]["L"][0]["M"]["t"]["S"]
        return Committed(
            commit=f"{aggregate_id}.{position}",
            aggregate_id=aggregate_id,
            position=position,
            type=image["m"]["M"]["t"]["S"],
            outcome=_OUTCOMES.get(topic, "accepted"),
        )
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _applied(request: dict[str, Any], *, region: str) -> Iterator[Sighting]:
    """The heads of views that a put, or a transaction, moves."""
    puts = [request] if "Item" in request else [one.get("Put") for one in request["TransactItems"]]
    for put in puts:
        if not put or put["TableName"] != _VIEWS_TABLE or put["Item"].get("s") != _HEAD:
            continue
        item = put["Item"]
        # `<projection>#<build>#<aggregate id>`; other items of the table have no position.
        name, _, aggregate_id = item["k"]["S"].split("#", 2)
        yield Sighting(
            kind="applied",
            commit=f"{aggregate_id}.{item['f']['N']}",
            region=region,
            projection=name,
            position=int(item["n"]["N"]),
        )


def _acknowledged(request: dict[str, Any], *, region: str, caller: str) -> Iterator[Sighting]:
    if not request["QueueUrl"].endswith(_ACKS_QUEUE):
        return
    for ack in orjson.loads(request["MessageBody"])["acks"]:
        yield Sighting(kind="acknowledged", commit=ack["commit"], region=caller, to=region)


def _answered(request: dict[str, Any], *, region: str) -> Iterator[Sighting]:
    for number, entry in enumerate(request["Entries"]):
        commit = orjson.loads(entry["Detail"])["command"]["commit"]
        yield Sighting(kind="answered", commit=commit, region=region, entry=number)


def refused_entries(answer: bytes) -> frozenset[int]:
    """The entries that a bus has not taken."""
    try:
        entries = orjson.loads(answer)["Entries"]
        return frozenset(n for n, entry in enumerate(entries) if "ErrorCode" in entry)
    except (ValueError, KeyError, TypeError):
        return frozenset()
