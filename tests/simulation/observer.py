"""Watches the boundary to AWS: writes the history, and counts the situations that came up.

Nothing in the code under test is told that it is watched; what happened is read from requests,
answers and changes of tables.
"""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import ClientError

from tests.dynamodb.in_process import Change
from tests.dynamodb.values import Item
from tests.simulation.branches_seen import BranchesSeen
from tests.simulation.history import (
    Appended,
    Applied,
    Arrived,
    BodyStored,
    Forwarded,
    HomeChanged,
    Published,
    Record,
    Recorder,
    StateChanged,
    Switched,
)
from tests.simulation.virtual_time import VirtualTime

if TYPE_CHECKING:
    from tests.simulation.calls import Process

_HEAD = "head"
# The partition of the views table with the states of builds.
_BUILDS = "rebuild"


def _as_it_is(item: Item) -> Item:
    return item


class Observer:
    """The recorder of one world, and its count of situations."""

    def __init__(self, time: VirtualTime) -> None:
        self.recorder = Recorder(lambda: round(time.now_ms, 3))
        self._branches = BranchesSeen(self.met, lambda: time.now_ms)
        self.situations: Counter[str] = Counter()
        # Set once there are tables to find the keys in.
        self.in_clear: Callable[[Item], Item] = _as_it_is
        self._published: set[str] = set()
        self._standings: dict[str, tuple[str, str | None]] = {}
        self._slots: dict[int, dict[str, Any]] = {}
        self._commits: dict[tuple[str, str], Item] = {}

    def met(self, situation: str) -> None:
        """Count one more time that a situation came up."""
        self.situations[situation] += 1

    def record(self, record: type[Record], /, **fields: Any) -> None:
        """Write something that happens now into the history."""
        self.recorder.take(record, **fields)

    def appended(self, region: str, change: Change) -> None:
        """Take a change of the journal of the global tables."""
        if change.table == "antiphon-control":
            self._rehomed(change) if change.key["k"]["S"] == "homes" else self._moved(change)
            return
        if change.table != "antiphon-events":
            return
        image = change.new if change.new is not None else change.old
        place = (change.key["a"]["S"], change.key["q"]["N"])
        if region:
            self._branches.stored(region, change.new or {}, is_new=place not in self._commits)
        if change.kind == "INSERT" and self._commits.get(place) == image:
            self.record(Arrived, region=region, commit=".".join(place))
            return
        self._commits.setdefault(place, image or {})
        self.record(Appended, region=region, item=self.in_clear(image or {}), change=change.kind)

    def _moved(self, change: Change) -> None:
        """Take a change of the regions' states."""
        told = orjson.loads((change.new or {})["d"]["S"])["standings"]
        for region, standing in told.items():
            now = (standing["state"], standing["adopter"])
            if self._standings.get(region, ("active", None)) != now:
                self._standings[region] = now
                self.met(f"region {now[0]}")
                self.record(StateChanged, region=region, state=now[0], adopter=now[1])

    def _rehomed(self, change: Change) -> None:
        """Take a change of the homes of EVENTUAL mode."""
        told = orjson.loads((change.new or {})["d"]["S"])["slots"]
        self._branches.rehomed(told)
        for number, slot in enumerate(told):
            now = {
                "home": slot["home"],
                "epoch": slot.get("epoch", 0),
                "to": slot.get("to"),
                "taken": slot.get("taken"),
            }
            if self._slots.get(number) != now:
                self._slots[number] = now
                self.record(HomeChanged, slot=number, **now)

    def forwarded(self, process: "Process", to: str) -> None:
        """Take a command that a region sends on to another."""
        self.met("command sent on to its home")
        self.record(Forwarded, region=process.region, to=to, origin=process.origin)

    def _switched(self, region: str, change: Change) -> None:
        """Take a change of the states of builds: which of them readers get."""
        projection, old, new = change.key["s"]["S"], change.old, change.new or {}
        live = orjson.loads(new["d"]["S"])["live"]
        before = orjson.loads(old["d"]["S"])["live"] if old else live
        if live != before:
            self.met("readers change over to another build")
            self.record(Switched, region=region, projection=projection, version=live)

    def changed(self, region: str, change: Change) -> None:
        """Take a change of one of a region's own tables."""
        old, new = change.old or {}, change.new or {}
        match change.table:
            case "antiphon-views" if change.key["k"]["S"] == _BUILDS:
                self._switched(region, change)
            case "antiphon-views" if change.key["s"]["S"] == _HEAD:
                before, after = (int(one.get("n", {"N": "0"})["N"]) for one in (old, new))
                self.record(
                    Applied, region=region, key=change.key["k"]["S"], before=before, after=after
                )
            case "antiphon-responses" if new.get("body") != old.get("body") and "body" in new:
                commit = change.key["c"]["S"]
                body = self.in_clear(new)["body"]["S"]
                self.record(BodyStored, region=region, commit=commit, body=body)

    def published(self, region: str, detail_type: str, body: str) -> None:
        """Take an answer that a bus has accepted."""
        self.record(Published, region=region, detail_type=detail_type, body=body)
        self.met("answer published again" if body in self._published else "answer published")
        if detail_type == "CommandSuperseded":
            self.met("superseded command told to its producer")
        self._published.add(body)

    def answered(
        self,
        process: "Process",
        operation: str,
        table: str,
        request: dict[str, Any],
        answer: dict[str, Any],
    ) -> None:
        """Take an answer to a call, for the situations that it shows."""
        function = process.function
        match operation, table:
            case "query", "antiphon-events" if function == "projector":
                how = "consistently" if request.get("ConsistentRead") else "from the replica"
                self.met(f"gap in the stream read {how}")
            case "query", "antiphon-events" if request.get("ConsistentRead") and answer["Items"]:
                strong = function == "queries" and request.get("ScanIndexForward", True)
                self.met("strong read folds the rest" if strong else "stale fold read on")
            case "query", "antiphon-snapshots" if answer["Items"]:
                self.met("loaded from a snapshot")
            case "put_item", "antiphon-snapshots" if request["Item"]["s"]["S"] == "state":
                self.met("snapshot taken")
            case "update_item", "antiphon-responses":
                self._gathered(function, request)

    def _gathered(self, function: str, request: dict[str, Any]) -> None:
        names = request.get("ExpressionAttributeNames", {}).values()
        if any(name.startswith("ack#") for name in names):
            if function == "sweeper":
                self.met("lost acknowledgement replaced by looking")
            elif function == "commands":
                self.met("answer proved by another region")

    def refused(
        self,
        process: "Process",
        operation: str,
        table: str,
        request: dict[str, Any],
        error: ClientError,
    ) -> None:
        """Take an error that DynamoDB answered with, for the situations that it shows."""
        code = error.response["Error"]["Code"]
        there: Any = error.response.get("Item")
        if code == "ReplicatedWriteConflictException":
            self.met("two regions write one item at once")
        elif code == "InternalServerError":
            self.met("fault: no majority")
        elif table == "antiphon-events" and operation == "transact_write_items":
            self.met("first commit after a forced move meets what has just arrived")
        elif table == "antiphon-events" and there is not None:
            if there == request["Item"]:
                self.met("ambiguous append found to be stored")
            elif there["k"] == request["Item"]["k"]:
                self.met("duplicate found by the refused append")
            else:
                self.met("conflict solved by the returned winner")
        elif table == "antiphon-views":
            self.met("another projector was first")
        elif table == "antiphon-responses":
            about = request.get("UpdateExpression", "").split()[1]
            self.met(f"response item refuses {'a second body' if about == 'body' else 'a change'}")
        elif table == "antiphon-snapshots":
            self.met("another writer's snapshot is ahead")
