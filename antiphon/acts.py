"""What operators do is kept: who, what, when and why, before it is begun.

The records stand in the control table, which all regions share and which outlives each of them.
An act that cannot be recorded is not begun. Nothing personal is kept: a subject is named by its
opaque id. What is read leaves no record.
"""

import getpass
import secrets
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    AsJson,
    AwsPort,
    BasePort,
    Connection,
)
from antiphon.installation import dependencies_of, settings_of
from antiphon.terminal import print_json, print_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Beside the items of the regions' states and of the homes, which have names of their own.
PREFIX = "act#"
_KEY = "k"
_NAMES = {"who": "wh", "what": "wt", "about": "ab", "why": "wy"}
_why: ContextVar[str | None] = ContextVar("why", default=None)


def give_reason(why: str | None) -> None:
    """Have every act from here on recorded with this reason."""
    _why.set(why)


def record(
    connection: Connection,
    what: str,
    *,
    about: str = "",
    via: str | None = None,
    who: str | None = None,
    why: str | None = None,
) -> None:
    """Record an act that is about to begin.

    Args:
        what: the command, such as `region drain`.
        about: what it is done to; nothing personal.
        via: a region that answers, whose replica is written; the first one if left out.
        who: the user of this machine if left out.
        why: what `antiphon --why` said if left out.

    Raises:
        ClientError, StoreUnavailable: it cannot be recorded, so it must not begin.

    """
    region = via or connection.regions[0]
    at_ms = time.time_ns() // 1_000_000
    told = {
        "who": who or getpass.getuser(),
        "what": what,
        "about": about,
        "why": why or _why.get() or "",
    }
    deps = dependencies_of(connection, region)
    deps.shared_of(region).put_item(
        TableName=deps.settings.control_table,
        Item={
            _KEY: {"S": f"{PREFIX}{at_ms:015d}#{secrets.token_hex(4)}"},
            **{_NAMES[name]: {"S": text} for name, text in told.items()},
        },
    )


def recorded(client: "DynamoDBClient", *, table: str) -> list[dict[str, str]]:
    """Return every recorded act, oldest first."""
    found = []
    for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        for item in page["Items"]:
            key = item[_KEY].get("S", "")
            if key.startswith(PREFIX):
                at_ms = int(key.removeprefix(PREFIX).partition("#")[0])
                at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
                told = {name: item[short].get("S", "") for name, short in _NAMES.items()}
                found.append((key, {"at": at, **told}))
    return [told for _, told in sorted(found, key=lambda one: one[0])]


def acts(
    *,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json: AsJson = False,
) -> None:
    """Show what operators have done: who, what, when and why, oldest first."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    first = connection.regions[0]
    told = recorded(connection.dynamodb(first), table=settings_of(connection, first).control_table)
    if as_json:
        print_json(told)
        return
    columns = ("at", "who", "what", "about", "why")
    print_table(columns, [tuple(one[name] for name in columns) for one in told])
