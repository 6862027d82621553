"""The event table of EVENTUAL mode: a replica in each region, by infra.local's rules.

A region writes its own replica, at once and whoever else writes the same item. What it has
written reaches the others when the network lets it, each change on its own and in any order; of
an item every replica keeps the last write.
"""

import math
import random
from collections.abc import Callable
from typing import Any

from infra.local.replication import EventualReplication
from tests.dynamodb.in_process import Change
from tests.dynamodb.values import Item
from tests.simulation.engine import Engine
from tests.simulation.network import Network
from tests.simulation.virtual_time import VirtualTime

Shown = Callable[[str, Change], None]


class EventualTables:
    """The replicas. `shown` is told of every change of one, as its stream shows it."""

    def __init__(
        self,
        time: VirtualTime,
        network: Network,
        *,
        table: str,
        replicas: dict[str, Engine],
        shown: Shown,
        pickup_ms: float,
        chance: random.Random,
    ) -> None:
        """Take `pickup_ms`: how long, at most, a change lies before it is sent."""
        self._time = time
        self._table = table
        self.replicas = replicas
        self._shown = shown
        self._rules = EventualReplication(
            network.links, replicas=network.regions, pickup_ms=pickup_ms, chance=chance
        )
        self._due_ms = dict.fromkeys(network.regions, math.inf)
        network.on_change(self._links_changed)

    def call(self, operation: str, request: dict[str, Any], *, region: str) -> dict[str, Any]:
        """Serve a call that came in at a region, at once."""
        engine = self.replicas[region]
        before = len(engine.changes)
        answer: dict[str, Any] = getattr(engine, operation)(**request)
        for change in engine.changes[before:]:
            self._rules.wrote(region, self._place(change.key), change.new, now_ms=self._time.now_ms)
            self._shown(region, change)
        for each in self.replicas:
            self._plan_delivery(each)
        return answer

    def delay(self, region: str, *, extra_ms: float) -> None:
        """Let what a region writes from now on take longer to the others."""
        for other in self.replicas:
            self._rules.delay(region, other, extra_ms=extra_ms)

    def items(self, region: str) -> tuple[Item, ...]:
        """Return every commit that a region's replica has."""
        return self.replicas[region].items(self._table)

    def pending(self) -> int:
        """Return how many changes are on their way."""
        return sum(sum(self._rules.pending(region).values()) for region in self.replicas)

    @staticmethod
    def _place(key: Item) -> tuple[str, str]:
        return key["a"]["S"], key["q"]["N"]

    def _links_changed(self) -> None:
        self._rules.links_changed(now_ms=self._time.now_ms)
        for region in self.replicas:
            self._plan_delivery(region)

    def _plan_delivery(self, region: str) -> None:
        due_ms = self._rules.next_ms(region)
        if due_ms < self._due_ms[region]:
            self._due_ms[region] = due_ms
            self._time.at(due_ms, lambda: self._deliver(region, due_ms))

    def _deliver(self, region: str, due_ms: float) -> None:
        if due_ms == self._due_ms[region]:
            self._due_ms[region] = math.inf
        while (arrival := self._rules.due(region, now_ms=self._time.now_ms)) is not None:
            if self._rules.wins(region, arrival):
                self._take(region, arrival.key, arrival.image)
            self._rules.arrived(region, arrival)
        self._plan_delivery(region)

    def _take(self, region: str, place: Any, image: Item | None) -> None:
        """Put what has won into a replica; the same image again is no change."""
        engine, key = self.replicas[region], {"a": {"S": place[0]}, "q": {"N": place[1]}}
        old = engine.get_item(TableName=self._table, Key=key).get("Item")
        if old == image:
            return
        kind = "INSERT" if old is None else "REMOVE" if image is None else "MODIFY"
        change = Change(number=0, table=self._table, kind=kind, key=key, old=old, new=image)
        engine.copy_in(change)
        self._shown(region, change)
