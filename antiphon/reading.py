"""Reads the tables of a running system raw, as an auditor would: items, not meanings.

Every read of the log and of the tables is strongly consistent. For checks and listings
only: what serves users reads through a region's API.
"""

from collections.abc import Iterator
from typing import Any

import orjson
from mypy_boto3_dynamodb import DynamoDBClient

EVENTS_TABLE = "antiphon-events"
VIEWS_TABLE = "antiphon-views"
RESPONSES_TABLE = "antiphon-responses"
PENDING_INDEX = "pending"

Item = dict[str, Any]


def scan(client: DynamoDBClient, table: str) -> Iterator[Item]:
    """Yield every item of a table, page by page; items of one partition come together."""
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    for page in pages:
        yield from page["Items"]


def pending_answers(client: DynamoDBClient) -> Iterator[int]:
    """Yield when each unanswered command of a region is due, in ms since 1970."""
    pages = client.get_paginator("scan").paginate(
        TableName=RESPONSES_TABLE, IndexName=PENDING_INDEX
    )
    for page in pages:
        yield from (int(item["due"]["N"]) for item in page["Items"])


def published_answers(client: DynamoDBClient) -> Iterator[dict[str, Any]]:
    """Yield the bodies of the answers that a region has published."""
    for item in scan(client, RESPONSES_TABLE):
        if "published" in item:
            yield orjson.loads(item["body"]["S"])
