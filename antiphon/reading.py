"""Reads the tables of a running system raw, as an auditor would: items, not meanings.

Reads are strongly consistent unless asked otherwise. For checks and listings
only: what serves users reads through a region's API.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from antiphon.connection import Connection
from antiphon.problems import Problem
from eventstore.errors import StoreUnavailable
from eventstore.sealing import Cipher
from infra.deploy.states import MEMBERS
from projections.regions import ControlStore, Topology
from projections.response_items import opened_body

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

EVENTS_TABLE = "antiphon-events"
VIEWS_TABLE = "antiphon-views"
RESPONSES_TABLE = "antiphon-responses"
CONTROL_TABLE = "antiphon-control"
PENDING_INDEX = "pending"
# Any function has all settings; this one is never switched off.
RESPONDER = "antiphon-responder"

Item = dict[str, Any]


def scan(client: "DynamoDBClient", table: str, *, consistent: bool = True) -> Iterator[Item]:
    """Yield every item of a table, page by page; items of one partition come together.

    Without `consistent` the event table is read as the region's own replica has it.
    """
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=consistent)
    for page in pages:
        yield from page["Items"]


def read_topology(connection: Connection) -> Topology:
    """Read the regions' states through the first region that can; raises Problem if none can."""
    regions, failures = connection.regions, []
    # Of more than three regions the others have no such table.
    for via in regions[:MEMBERS]:
        client = connection.dynamodb(via)
        try:
            return ControlStore(client, table=CONTROL_TABLE, regions=regions).read()
        except StoreUnavailable as error:
            failures.append(f"{via}: {error}")
    raise Problem(f"no region knows the regions' states ({'; '.join(failures)})")


def pending_answers(client: "DynamoDBClient") -> Iterator[int]:
    """Yield when each unanswered command of a region is due, in ms since 1970."""
    pages = client.get_paginator("scan").paginate(
        TableName=RESPONSES_TABLE, IndexName=PENDING_INDEX
    )
    for page in pages:
        yield from (int(item["due"]["N"]) for item in page["Items"])


def published_answers(client: "DynamoDBClient", cipher: Cipher) -> Iterator[dict[str, Any]]:
    """Yield the bodies of the answers that a region has published, as far as they are kept."""
    for item in scan(client, RESPONSES_TABLE):
        body = opened_body(item, cipher) if "published" in item else None
        if body is not None:
            yield orjson.loads(body)
