"""The way out: every stack, and all that they retain; interrupted, the same call goes on.

Nothing is done while a table is protected from deletion that was not named. What goes is gone:
take a backup first. The KMS key of personal data can be had back for thirty days.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from infra.deploy.rollout import ALARMS_STACK, GLOBAL_STACK, REGION_STACK, Clients
from infra.deploy.stacks import Stack, StackFailed, template_of
from infra.deploy.system import Refused, System

# The longest that KMS lets a deletion be taken back.
_KEY_KEPT_DAYS = 30
_TABLE_TIMEOUT_S = 1_800.0
_MISSING = frozenset(
    {
        "ResourceNotFoundException",
        "NotFoundException",
        "NoSuchBucket",
        "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDoesNotExist",
    }
)


@dataclass(frozen=True, kw_only=True)
class Removal:
    """Removes a system."""

    system: System
    clients: Clients
    account: str
    progress: Callable[[str], None]
    pause_s: float = 5.0

    def protected(self) -> list[str]:
        """Return the tables that are protected from deletion, in any region."""
        found = set()
        for region in self.system.regions:
            for table in self._global_tables():
                described = self._described(region, table)
                if described is not None and described.get("DeletionProtectionEnabled"):
                    found.add(table)
        return sorted(found)

    def run(self, unprotect: Collection[str]) -> None:
        """Remove everything.

        Args: unprotect: the protected tables that may go.
        Raises: Refused before anything is done; StackFailed.
        """
        if still := sorted(set(self.protected()) - set(unprotect)):
            raise Refused(
                f"{', '.join(still)} {'is' if len(still) == 1 else 'are'} protected from deletion; "
                "name each that may go, with all its data, by --unprotect"
            )
        for region in reversed(self.system.regions):
            self._delete(region, ALARMS_STACK)
            self._delete(region, REGION_STACK)
            self._remove_retained(region)
        self._delete(self.system.first, GLOBAL_STACK)
        for table in self._global_tables():
            self._remove_global(table)
        self._remove_key(self.system.first)

    def _delete(self, region: str, name: str) -> None:
        client = self.clients("cloudformation", region)
        if Stack(client, name, pause_s=self.pause_s).delete(progress=self.progress):
            self.progress(f"stack {name} in {region}: deleted")

    def _remove_retained(self, region: str) -> None:
        """Delete what a region's stack leaves behind, by the names that its template gives."""
        for kind, properties in _retained("region.yaml"):
            with _missing_is_fine():
                if kind == "AWS::DynamoDB::Table":
                    self.clients("dynamodb", region).delete_table(TableName=properties["TableName"])
                elif kind == "AWS::SQS::Queue":
                    _delete_queue(self.clients("sqs", region), properties["QueueName"])
        for bucket in ("antiphon-discarded", "antiphon-code"):
            with _missing_is_fine():
                _delete_bucket(self.clients("s3", region), f"{bucket}-{self.account}-{region}")
        if region != self.system.first:
            self._remove_key(region)

    def _remove_global(self, table: str) -> None:
        """Delete a global table: first the other replicas, and a witness, at once; then itself."""
        first = self.system.first
        for region in self.system.regions:
            if (found := self._described(region, table)) and found.get("DeletionProtectionEnabled"):
                self.clients("dynamodb", region).update_table(
                    TableName=table, DeletionProtectionEnabled=False
                )
                self._wait_until_settled(region, table, without=())
        if (found := self._described(first, table)) is None:
            return
        dynamodb = self.clients("dynamodb", first)
        strong = found.get("MultiRegionConsistency") == "STRONG"
        others = sorted({one["RegionName"] for one in found.get("Replicas", [])} - {first})
        witnesses = [one["RegionName"] for one in found.get("GlobalTableWitnesses", [])]
        # A strong table loses them together, an eventual one replica by replica.
        for batch in [others] if strong else [[one] for one in others]:
            changes: dict[str, Any] = {
                "ReplicaUpdates": [{"Delete": {"RegionName": one}} for one in batch]
            }
            if witnesses:
                changes["GlobalTableWitnessUpdates"] = [
                    {"Delete": {"RegionName": one}} for one in witnesses
                ]
            if batch:
                dynamodb.update_table(TableName=table, **changes)
                self._wait_until_settled(first, table, without=batch)
        dynamodb.delete_table(TableName=table)
        self.progress(f"table {table}: deleted")

    def _wait_until_settled(self, region: str, table: str, *, without: Collection[str]) -> None:
        """Wait until a table is at rest, and has no replicas in some regions any more."""
        deadline = time.monotonic() + _TABLE_TIMEOUT_S
        while (found := self._described(region, table)) is not None:
            replicas = {one["RegionName"] for one in found.get("Replicas", [])}
            if found.get("TableStatus") == "ACTIVE" and not replicas & set(without):
                return
            if time.monotonic() > deadline:
                raise StackFailed(f"{table} in {region} changes for {_TABLE_TIMEOUT_S:.0f} s")
            time.sleep(self.pause_s)

    def _remove_key(self, region: str) -> None:
        """Schedule the end of a region's key of personal data, and let its alias go."""
        kms = self.clients("kms", region)
        alias = template_of("global.yaml")["Resources"]["PersonalKeyAlias"]["Properties"]
        name = alias["AliasName"]
        with _missing_is_fine():
            key = kms.describe_key(KeyId=name)["KeyMetadata"]
            if key["Enabled"]:
                kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=_KEY_KEPT_DAYS)
            # Last: by the alias an interrupted removal finds the key again.
            kms.delete_alias(AliasName=name)
            self.progress(f"key {key['KeyId']} in {region}: deleted in {_KEY_KEPT_DAYS} days")

    def _global_tables(self) -> list[str]:
        return [
            properties["TableName"]
            for kind, properties in _retained("global.yaml")
            if kind == "AWS::DynamoDB::GlobalTable"
        ]

    def _described(self, region: str, table: str) -> Any:
        try:
            return self.clients("dynamodb", region).describe_table(TableName=table)["Table"]
        except ClientError as error:
            if error.response["Error"]["Code"] in _MISSING:
                return None
            raise


def _retained(template: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield type and properties of what the deletion of a stack leaves behind."""
    for resource in template_of(template)["Resources"].values():
        if resource.get("DeletionPolicy") == "Retain":
            yield resource["Type"], resource["Properties"]


def _delete_queue(sqs: Any, name: str) -> None:
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"])


def _delete_bucket(s3: Any, bucket: str) -> None:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        if keys := [{"Key": one["Key"]} for one in page.get("Contents", [])]:
            s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})
    s3.delete_bucket(Bucket=bucket)


@contextmanager
def _missing_is_fine() -> Iterator[None]:
    """Let a deletion pass of what is gone already."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in _MISSING:
            raise
