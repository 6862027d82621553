"""The global tables: one journal for all regions and a replica in each, by infra.local's rules.

Writes and consistent reads reach the journal in the middle of the round trip to a majority; a
replica gets what is in the journal when the network lets it, in the journal's order. A region
that reaches no majority is refused, and whoever is cut off while waiting does not learn that
its write is in the journal. A replica's stream may show a record before an eventual read does.
"""

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError

from infra.local.replication import StrongReplication
from tests.dynamodb.errors import refusal
from tests.dynamodb.in_process import Change
from tests.simulation.engine import Engine
from tests.simulation.network import Network
from tests.simulation.virtual_time import VirtualTime

# What of the readable records a replica takes over at once: all of them.
_MOST_AT_ONCE = 1_000
# How long a region looks for a majority before it refuses.
_REFUSE_AFTER_MS = 1_000.0
Shown = Callable[[str, Change], None]


class StrongTables:
    """The journal and the replicas. `shown` is told of every record that reaches a replica."""

    def __init__(
        self,
        time: VirtualTime,
        network: Network,
        *,
        journal: Engine,
        replicas: dict[str, Engine],
        appended: Shown,
        shown: Shown,
        lag_ms: Callable[[], float],
        read_lag_ms: float,
        chance: random.Random,
    ) -> None:
        """Take how late replicas are, in ms.

        Args:
            lag_ms: by how much a replica is later than the network made it, each time.
            read_lag_ms: by how much an eventual read is later than the stream, at most.
            chance: decides each read's lag.
        """
        self._time = time
        self._network = network
        self._journal = journal
        self._replicas = replicas
        self._appended = appended
        self._shown = shown
        self._lag_ms = lag_ms
        self._rules = StrongReplication(network.links, read_lag_ms=read_lag_ms, chance=chance)
        self._changes: list[Change] = []
        self._due_ms = dict.fromkeys(network.regions, math.inf)
        network.on_change(self._links_changed)

    def call(self, operation: str, request: dict[str, Any], *, region: str) -> dict[str, Any]:
        """Serve a call that came in at a region. Takes virtual time, so only a task may call."""
        if operation in {"put_item", "update_item", "delete_item"}:
            return self._write(operation, request, region)
        if request.get("ConsistentRead"):
            self._half_a_round_trip(operation, region)
            answer = self._run(self._journal, operation, request)
            self._half_a_round_trip(operation, region)
            return answer
        return self._run(self._replicas[region], operation, request)

    def _write(self, operation: str, request: dict[str, Any], region: str) -> dict[str, Any]:
        key = request.get("Key") or request["Item"]
        names = self._journal.key_names(request["TableName"])
        place = (request["TableName"], *(str(key[name]) for name in names))
        self._half_a_round_trip(operation, region)
        if not self._rules.begin_write([place], region):
            told = "The item is being modified by a request in another Region."
            raise refusal(operation, "ReplicatedWriteConflictException", told)
        try:
            answer = self._put(operation, request, region)
            self._half_a_round_trip(operation, region)
        finally:
            # Also where the caller's process dies: the write is over for the table.
            self._rules.end_write([place], region)
        return answer

    def _put(self, operation: str, request: dict[str, Any], region: str) -> dict[str, Any]:
        before = len(self._journal.changes)
        answer = self._run(self._journal, operation, request)
        for change in self._journal.changes[before:]:
            self._changes.append(change)
            self._appended(region, change)
            number = len(self._changes) - 1
            self._rules.committed(number, origin=region, now_ms=self._time.now_ms)
        for each in self._network.regions:
            self._plan_delivery(each)
        return answer

    @staticmethod
    def _run(engine: Engine, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(engine, operation)(**request)
        return answer

    def _half_a_round_trip(self, operation: str, region: str) -> None:
        round_trip_ms = self._network.majority_ms(region)
        if round_trip_ms is None:
            self._time.sleep(_REFUSE_AFTER_MS)
            round_trip_ms = self._network.majority_ms(region)
        if round_trip_ms is None:
            raise no_majority(operation)
        self._time.sleep(round_trip_ms / 2)
        if self._network.majority_ms(region) is None:
            raise no_majority(operation)

    def _links_changed(self) -> None:
        self._rules.links_changed(now_ms=self._time.now_ms)
        for region in self._network.regions:
            self._plan_delivery(region)

    def _plan_delivery(self, region: str) -> None:
        due_ms = self._rules.next_ms(region)
        if due_ms < self._due_ms[region]:
            self._due_ms[region] = due_ms
            late_ms = due_ms + self._lag_ms()
            self._time.at(late_ms, lambda: self._deliver(region, due_ms))

    def _deliver(self, region: str, due_ms: float) -> None:
        if due_ms == self._due_ms[region]:
            self._due_ms[region] = math.inf
        now_ms = self._time.now_ms
        for number in self._rules.arrive(region, now_ms=now_ms):
            self._shown(region, self._changes[number])
        for number in self._rules.readable(region, now_ms=now_ms, limit=_MOST_AT_ONCE):
            self._replicas[region].copy_in(self._changes[number])
            self._rules.applied(region, number)
        self._plan_delivery(region)

    def pending(self, regions: Sequence[str]) -> int:
        """Return how many records these regions have still to get."""
        return sum(sum(self._rules.pending(region).values()) for region in regions)


def no_majority(operation: str) -> ClientError:
    """Return what a region says that reaches no other."""
    error = refusal(operation, "InternalServerError", "Internal server error")
    error.response["ResponseMetadata"]["HTTPStatusCode"] = 500
    return error
