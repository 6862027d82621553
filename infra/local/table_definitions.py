"""What the definition of a global table says: who takes part, and what DynamoDB refuses.

Pure: reads requests and descriptions, calls nothing. Guarantees that a wanted change which
passes here is one that DynamoDB allows; what it does not, ends in DynamoDB's own error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from infra.local.engine_calls import Answer
from infra.local.table_answers import Refused, invalid

Mode = Literal["EVENTUAL", "STRONG"]
# Replicas, the witness included.
_STRONG_MEMBERS = 3
_CHANGES = ("ReplicaUpdates", "MultiRegionConsistency", "GlobalTableWitnessUpdates")

# What DynamoDB lets differ between the replicas of a global table.
_OF_ONE_REPLICA = frozenset({"DeletionProtectionEnabled", "TableClass"})


@dataclass(frozen=True, kw_only=True)
class Members:
    """Who takes part in a table; a table that is not global has one replica and no mode."""

    replicas: tuple[str, ...]
    witness: str | None = None
    mode: Mode | None = None


@dataclass(frozen=True, kw_only=True)
class Change:
    """What an UpdateTable wants of a table's members."""

    created: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    witness_created: str | None = None
    witness_deleted: str | None = None
    mode: Mode | None = None


def changes_members(request: Mapping[str, Any]) -> bool:
    """Whether an UpdateTable is about a table's members at all."""
    return any(name in request for name in _CHANGES)


def read_change(request: Mapping[str, Any]) -> Change:
    """Read an UpdateTable that changes a table's members. Raises: Refused."""
    mode = request.get("MultiRegionConsistency")
    if mode not in {None, "EVENTUAL", "STRONG"}:
        raise Refused(
            invalid(
                f"1 validation error detected: Value '{mode}' at 'multiRegionConsistency' failed "
                "to satisfy constraint: Member must satisfy enum value set: [EVENTUAL, STRONG]"
            )
        )
    updates = _actions(request.get("ReplicaUpdates"))
    witnesses = _actions(request.get("GlobalTableWitnessUpdates"))
    if len(witnesses) > 1:
        raise Refused(invalid("A global table can have one witness at most"))
    regions = [region for _, region in updates]
    if len(set(regions)) != len(regions):
        raise Refused(invalid("A Region can be named once in ReplicaUpdates"))
    by_action = {
        action: tuple(region for named, region in updates if named == action)
        for action in ("Create", "Update", "Delete")
    }
    witness = dict(witnesses)
    return Change(
        created=by_action["Create"],
        updated=by_action["Update"],
        deleted=by_action["Delete"],
        witness_created=witness.get("Create"),
        witness_deleted=witness.get("Delete"),
        mode=mode,
    )


def _actions(updates: Any) -> list[tuple[str, str]]:
    """Each action and its region. Raises: Refused for what is no such list."""
    try:
        return [
            (action, str(what["RegionName"]))
            for update in updates or ()
            for action, what in update.items()
        ]
    except (AttributeError, KeyError, TypeError) as error:
        message = "Each update of a replica or witness is one action with a RegionName"
        raise Refused(invalid(message)) from error


def members_after(
    before: Members,
    change: Change,
    *,
    name: str,
    here: str,
    known: Collection[str],
    witnesses: Collection[str] | None = None,
) -> Members:
    """Who takes part once a change is made. Raises: Refused if DynamoDB would not make it.

    Args:
        here: the region that is called.
        known: the regions that there are.
        witnesses: those that can have a witness; the same if left out.
    """
    places = known if witnesses is None else witnesses
    _check_regions(before, change, name=name, here=here, known=known, places=places)
    mode = before.mode or change.mode or "EVENTUAL"
    if before.mode is not None and change.mode not in {None, before.mode}:
        raise Refused(
            invalid(
                "The consistency mode of a global table cannot be changed: table "
                f"{name} has MultiRegionConsistency {before.mode}"
            )
        )
    kept = [region for region in before.replicas if region not in change.deleted]
    witness = None if change.witness_deleted else before.witness
    after = Members(
        replicas=(*kept, *change.created), witness=change.witness_created or witness, mode=mode
    )
    if mode == "EVENTUAL" and after.witness is not None:
        raise Refused(invalid("Only a global table with MultiRegionConsistency STRONG has witness"))
    if len(after.replicas) == 1 and after.witness is None:
        if change.created or change.mode:
            raise Refused(invalid("A global table needs another replica"))
        return Members(replicas=after.replicas)
    if mode == "STRONG":
        _check_strong(before, after)
    return after


def _check_regions(
    before: Members,
    change: Change,
    *,
    name: str,
    here: str,
    known: Collection[str],
    places: Collection[str],
) -> None:
    touched = (*change.created, *change.updated, *change.deleted)
    witnesses = [one for one in (change.witness_created, change.witness_deleted) if one]
    for there, named in ((known, touched), (places, witnesses)):
        for region in named:
            if region not in there:
                told = f"Region {region} is not available here; there are {', '.join(there)}"
                raise Refused(invalid(told))
    if here in touched:
        raise Refused(
            invalid(
                "Cannot add, delete, or update the local region through ReplicaUpdates. "
                "Use CreateTable, DeleteTable, or UpdateTable as required."
            )
        )
    if any(region in before.replicas for region in change.created):
        raise Refused(replica_exists(name))
    if any(region not in before.replicas for region in (*change.updated, *change.deleted)):
        raise Refused(
            invalid(
                "Replica specified in the Replica Update or Replica Delete action of the request "
                "was not found."
            )
        )
    if change.witness_created in (*before.replicas, *change.created):
        raise Refused(invalid("A Region cannot have both a replica and the witness"))
    if change.witness_deleted not in {None, before.witness}:
        raise Refused(invalid("The witness specified in the request was not found."))


def _check_strong(before: Members, after: Members) -> None:
    members = len(after.replicas) + (after.witness is not None)
    if before.mode == "STRONG" and after != before:
        raise Refused(
            invalid(
                "The replicas of a global table with multi-Region strong consistency cannot be "
                "added or deleted one by one; delete all other replicas and the witness together"
            )
        )
    if members != _STRONG_MEMBERS:
        raise Refused(
            invalid(
                "A global table with multi-Region strong consistency must have exactly three "
                f"replicas, or two replicas and a witness; this request makes {members}"
            )
        )


def replica_exists(name: str) -> Answer:
    """What DynamoDB says where a replica is to be made and there is a table already."""
    return invalid(
        f"Failed to create a the new replica of table with name: '{name}' because one or more "
        "replicas already existed as tables."
    )


def check_can_be_strong(description: Mapping[str, Any], *, empty: bool, ttl: bool) -> None:
    """Raise Refused if a table has what MRSC does not support."""
    name = description["TableName"]
    if not empty:
        raise Refused(
            invalid(
                f"Table {name} must be empty to become a global table with multi-Region strong "
                "consistency"
            )
        )
    if description.get("LocalSecondaryIndexes"):
        raise Refused(
            invalid(
                f"Table {name} has local secondary indexes, which are not supported with "
                "multi-Region strong consistency"
            )
        )
    if ttl:
        raise Refused(
            invalid(
                f"Table {name} has Time to Live enabled, which is not supported with "
                "multi-Region strong consistency"
            )
        )


def common_part(request: Mapping[str, Any]) -> dict[str, Any]:
    """What of an UpdateTable is for all replicas: the table's name, and maybe nothing else."""
    return {name: part for name, part in request.items() if name not in _OF_ONE_REPLICA}


def definition_of(description: Mapping[str, Any], *, view: str | None) -> dict[str, Any]:
    """The CreateTable that makes a table like the one described.

    Args:
        view: the stream's view type, whatever the described one has; None for the same stream.
    """
    provisioned = description.get("BillingModeSummary", {}).get("BillingMode") != "PAY_PER_REQUEST"
    wanted: dict[str, Any] = {
        "TableName": description["TableName"],
        "AttributeDefinitions": description["AttributeDefinitions"],
        "KeySchema": description["KeySchema"],
        "BillingMode": "PROVISIONED" if provisioned else "PAY_PER_REQUEST",
    }
    if provisioned:
        wanted["ProvisionedThroughput"] = _units(description)
    for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes"):
        if indexes := description.get(kind):
            wanted[kind] = [
                {part: index[part] for part in ("IndexName", "KeySchema", "Projection")}
                | (
                    {"ProvisionedThroughput": _units(index)}
                    if provisioned and kind == "GlobalSecondaryIndexes"
                    else {}
                )
                for index in indexes
            ]
    if view is not None:
        wanted["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": view}
    elif stream := description.get("StreamSpecification"):
        wanted["StreamSpecification"] = stream
    if (table_class := description.get("TableClassSummary", {}).get("TableClass")) is not None:
        wanted["TableClass"] = table_class
    if description.get("SSEDescription"):
        wanted["SSESpecification"] = {"Enabled": True, "SSEType": "KMS"}
    return wanted


def _units(described: Mapping[str, Any]) -> dict[str, int]:
    units = described["ProvisionedThroughput"]
    return {name: units[name] for name in ("ReadCapacityUnits", "WriteCapacityUnits")}


def with_members(description: dict[str, Any], members: Members, *, here: str) -> dict[str, Any]:
    """A table's description as DynamoDB gives it for a global table."""
    others = [region for region in members.replicas if region != here]
    described = {
        **description,
        "GlobalTableVersion": "2019.11.21",
        "MultiRegionConsistency": members.mode,
        "Replicas": [{"RegionName": region, "ReplicaStatus": "ACTIVE"} for region in others],
    }
    if members.witness is not None:
        described["GlobalTableWitnesses"] = [
            {"RegionName": members.witness, "WitnessStatus": "ACTIVE"}
        ]
    return described
