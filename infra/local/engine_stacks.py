"""Lets an engine's CloudFormation make AWS::DynamoDB::GlobalTable what it is: several replicas.

MiniStack makes the table of the stack's own region and passes over the rest. Here it then asks
the WAN for the replicas, the mode and the witness, by the UpdateTable that anyone would send.
Runs inside the engine's process; what the WAN refuses fails the resource, with its reason.
"""

from __future__ import annotations

import importlib
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from infra.local.engine_calls import authorization

_TYPE = "AWS::DynamoDB::GlobalTable"
_TIMEOUT_S = 60.0
_Properties = Mapping[str, Any]


def make_global_tables(wan_url: str) -> None:
    """Patch MiniStack, whose version is pinned: look at it again when that changes."""
    provisioners: Any = importlib.import_module("ministack.services.cloudformation.provisioners")
    stacks: Any = importlib.import_module("ministack.services.cloudformation.stacks")
    responses: Any = importlib.import_module("ministack.core.responses")
    handlers = provisioners._RESOURCE_HANDLERS  # noqa: SLF001
    tables = _GlobalTables(wan_url, handlers[_TYPE], region=responses.get_region)
    handlers[_TYPE] = {
        **handlers[_TYPE],
        "create": tables.create,
        "update": tables.update,
        "delete": tables.delete,
    }
    waits: Callable[[str], bool] = stacks._runs_on_worker_thread  # noqa: SLF001
    # The WAN calls this engine back while the resource waits for it.
    stacks._runs_on_worker_thread = lambda kind: kind == _TYPE or waits(kind)  # noqa: SLF001


class _GlobalTables:
    """The resource's handlers: the engine's own, and the replicas by the WAN."""

    def __init__(
        self, wan_url: str, own: Mapping[str, Callable[..., Any]], *, region: Callable[[], str]
    ) -> None:
        self._wan_url = wan_url
        self._own = own
        self._region = region

    def create(self, logical_id: str, properties: _Properties, stack: str) -> Any:
        wanted = _regions(properties)
        if self._region() not in wanted:
            raise ValueError(
                f"Replicas of {logical_id} must contain the region of the stack, {self._region()}"
            )
        made = self._own["create"](logical_id, properties, stack)
        try:
            self._change(made[0], {}, properties)
        except ValueError:
            self._own["delete"](made[0], properties)
            raise
        return made

    def update(
        self, physical_id: str, old: _Properties, new: _Properties, stack: str, *rest: Any
    ) -> Any:
        self._change(physical_id, old, new)
        return self._own["update"](physical_id, old, new, stack, *rest)

    def delete(self, physical_id: str, properties: _Properties, *rest: Any) -> None:
        alone = {"Replicas": [{"Region": self._region()}]}
        self._change(physical_id, properties, alone)
        self._own["delete"](physical_id, properties, *rest)

    def _change(self, table: str, old: _Properties, new: _Properties) -> None:
        """Ask for the replicas and the witness that are new, and the end of those that are not.

        Raises: ValueError with DynamoDB's message.
        """
        here = self._region()
        before, after = _regions(old) - {here}, _regions(new) - {here}
        request: dict[str, Any] = {"TableName": table}
        created = [{"Create": {"RegionName": region}} for region in sorted(after - before)]
        deleted = [{"Delete": {"RegionName": region}} for region in sorted(before - after)]
        if created or deleted:
            request["ReplicaUpdates"] = created + deleted
        witness, witness_before = _witness(new), _witness(old)
        if witness != witness_before:
            request["GlobalTableWitnessUpdates"] = [
                {action: {"RegionName": region}}
                for action, region in (("Delete", witness_before), ("Create", witness))
                if region
            ]
        mode = new.get("MultiRegionConsistency")
        if mode and mode != old.get("MultiRegionConsistency") and (after or witness):
            request["MultiRegionConsistency"] = mode
        if len(request) > 1:
            self._update_table(request)

    def _update_table(self, request: Mapping[str, Any]) -> None:
        call = urllib.request.Request(  # noqa: S310 - the WAN's own address
            self._wan_url,
            data=orjson.dumps(request),
            headers={
                "X-Amz-Target": "DynamoDB_20120810.UpdateTable",
                "Content-Type": "application/x-amz-json-1.0",
                "Authorization": authorization(region=self._region(), service="dynamodb"),
            },
        )
        try:
            with urllib.request.urlopen(call, timeout=_TIMEOUT_S):  # noqa: S310 - as above
                return
        except urllib.error.HTTPError as error:
            said = orjson.loads(error.read() or b"{}")
            raise ValueError(said.get("message") or f"DynamoDB answered {error.code}") from error
        except OSError as error:
            raise ValueError(f"no answer about the replicas: {error}") from error


def _regions(properties: _Properties) -> set[str]:
    return {replica["Region"] for replica in properties.get("Replicas") or ()}


def _witness(properties: _Properties) -> str | None:
    witnesses = properties.get("GlobalTableWitnesses") or ()
    return next((witness["Region"] for witness in witnesses), None)
