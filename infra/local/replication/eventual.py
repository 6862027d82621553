"""One global table with multi-Region eventual consistency (MREC): the rules, and no storage.

Guarantees that all replicas of an item end as its last write says, last by true time and, at
the same moment, by the order of the regions. Guarantees nothing of the order of different
items, as DynamoDB does not: each change takes its own time, and changes of one item may merge.
Remembers an item only while a change of it is on its way.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from infra.local.replication.links import Links

# How often two changes of an item that leave together leave as one.
MERGE_CHANCE = 0.5

# When a write happened, the region's place in the list, and its number: a total order.
Stamp = tuple[float, int, int]


@dataclass(kw_only=True, eq=False)
class Arrival:
    """A change on its way to one replica.

    Attributes:
        image: the item after the change; None where it was deleted.
        sent_ms: until then a later change of the item may take its place.
        arrives_ms: infinity while the link is cut.
    """

    key: Hashable
    image: Any | None
    origin: str
    stamp: Stamp
    written_ms: float
    sent_ms: float
    arrives_ms: float
    number: int


class EventualReplication:
    """Which write of an item each replica holds, and which are under way."""

    def __init__(
        self,
        links: Links,
        *,
        replicas: Collection[str],
        pickup_ms: float = 0.0,
        chance: random.Random | None = None,
    ) -> None:
        """Take the network; times are in ms.

        Args:
            replicas: the regions that have one. Of two writes at one moment, that of the
                region wins which stands later in the network's list.
            pickup_ms: how long, at most, a change lies before it is sent; drawn for each.
        """
        self.replicas = tuple(replicas)
        self._links = links
        self._pickup_ms = pickup_ms
        self._chance = chance or random.Random(0)  # noqa: S311 - delays, nothing secret
        self._number = 0
        self._held: dict[Hashable, dict[str, Stamp]] = {}
        self._under_way: Counter[Hashable] = Counter()
        self._extra_ms: dict[tuple[str, str], float] = {}
        # By region: (arrives_ms, number, arrival); an entry whose time is not the arrival's
        # any more is out of date and skipped.
        self._heaps: dict[str, list[tuple[float, int, Arrival]]] = {
            region: [] for region in self.replicas
        }
        self._waiting: dict[str, dict[int, Arrival]] = {region: {} for region in self.replicas}
        # Those that have reached a replica, and of which it is not known yet that they are in it.
        self._landing: dict[str, dict[int, Arrival]] = {region: {} for region in self.replicas}
        # The newest change of an item from one region to another, while it can be merged into.
        self._unsent: dict[tuple[str, str, Hashable], Arrival] = {}

    def delay(self, origin: str, region: str, *, extra_ms: float) -> None:
        """Let changes from `origin` to `region` take longer than their way, in this direction."""
        self._extra_ms[origin, region] = extra_ms

    def wrote(self, region: str, key: Hashable, image: Any | None, *, now_ms: float) -> None:
        """Take a write that a region has just made in its own replica.

        Args:
            image: the whole item as it is now; None if it was deleted.
        """
        stamp = self._stamp(region, key, now_ms)
        others = [other for other in self.replicas if other != region]
        if others:
            self._held.setdefault(key, {})[region] = stamp
        for other in others:
            self._send(key, image, origin=region, to=other, stamp=stamp, now_ms=now_ms)

    def add_replica(self, region: str, *, source: str, now_ms: float) -> None:
        """Let a region have a replica, into which the caller copies what `source` holds.

        What is on its way to `source`, or about to be put there, goes there as well. It is no
        newer than `source`, also of items that are deleted there or were written before it came.
        """
        self.replicas = (*self.replicas, region)
        self._heaps[region], self._waiting[region], self._landing[region] = [], {}, {}
        for held in self._held.values():
            held.pop(region, None)
            if source in held:
                held[region] = held[source]
        for coming in [*self._landing[source].values(), *self._waiting[source].values()]:
            self._launch(replace(coming), to=region, now_ms=now_ms)

    def copy(self, key: Hashable, *, source: str, to: str) -> bool:
        """Note that `to` holds of an item what `source` does; ask under the item's locks in both.

        Returns: False if it holds something newer, and nothing is to be copied.
        """
        held = self._held.get(key, {})
        if to in held and (source not in held or held[source] < held[to]):
            return False
        if source in held:
            held[to] = held[source]
        return True

    def remove_replica(self, region: str) -> None:
        """Forget a replica and what is on its way to it; its own changes still go on."""
        self.replicas = tuple(other for other in self.replicas if other != region)
        for arrival in self._waiting.pop(region).values():
            self._forget_unsent(region, arrival)
            self._landed(arrival.key)
        del self._heaps[region], self._landing[region]

    def due(self, region: str, *, now_ms: float) -> Arrival | None:
        """Take the next change that has reached a replica; `arrived` says what to do with it."""
        heap = self._heaps[region]
        while heap and heap[0][0] <= now_ms:
            arrives_ms, number, arrival = heapq.heappop(heap)
            if self._waiting[region].get(number) is arrival and arrival.arrives_ms == arrives_ms:
                self._landing[region][number] = self._waiting[region].pop(number)
                self._forget_unsent(region, arrival)
                return arrival
        return None

    def wins(self, region: str, arrival: Arrival) -> bool:
        """Whether a change is newer than what the replica holds; ask under the item's lock."""
        held = self._held.get(arrival.key, {}).get(region)
        return held is None or arrival.stamp > held

    def arrived(self, region: str, arrival: Arrival) -> None:
        """Note that a change is in the replica if it won, or is dropped if it lost."""
        key = arrival.key
        if self.wins(region, arrival):
            self._held.setdefault(key, {})[region] = arrival.stamp
        # A replica that is gone meanwhile has none.
        self._landing.get(region, {}).pop(arrival.number, None)
        self._landed(key)

    def next_ms(self, region: str) -> float:
        """When the next change reaches a replica; infinity while none is on its way."""
        heap = self._heaps[region]
        while heap:
            arrives_ms, number, arrival = heap[0]
            if self._waiting[region].get(number) is arrival and arrival.arrives_ms == arrives_ms:
                return arrives_ms
            heapq.heappop(heap)
        return math.inf

    def links_changed(self, *, now_ms: float) -> None:
        """Hold back what is on a link that is cut, and let go what is on one that is mended."""
        for region, waiting in self._waiting.items():
            for arrival in waiting.values():
                cut = self._links.is_cut(arrival.origin, region)
                if cut and arrival.arrives_ms > now_ms:
                    arrival.arrives_ms = math.inf
                elif not cut and math.isinf(arrival.arrives_ms):
                    self._plan(region, arrival, since_ms=max(now_ms, arrival.sent_ms))

    def pending(self, region: str) -> Mapping[str, int]:
        """How many changes of each origin are on their way to a replica."""
        counts = Counter(dict.fromkeys(self.replicas, 0))
        counts.update(arrival.origin for arrival in self._waiting[region].values())
        return counts

    def remembered(self) -> int:
        """How many items the rules remember: those with a change on its way, and no others."""
        return len(self._held)

    def _stamp(self, region: str, key: Hashable, now_ms: float) -> Stamp:
        """A stamp newer than that of the write which this one was evaluated on."""
        self._number += 1
        held = self._held.get(key, {}).get(region)
        stamp = (now_ms, self._links.regions.index(region), self._number)
        if held is not None and stamp <= held:
            return (math.nextafter(held[0], math.inf), *stamp[1:])
        return stamp

    def _send(
        self, key: Hashable, image: Any | None, *, origin: str, to: str, stamp: Stamp, now_ms: float
    ) -> None:
        unsent = self._unsent.get((origin, to, key))
        if unsent is not None and self._merges(unsent, now_ms=now_ms):
            unsent.image, unsent.stamp = image, stamp
            return
        pickup_ms = self._chance.uniform(0, self._pickup_ms) if self._pickup_ms else 0.0
        arrival = Arrival(
            key=key,
            image=image,
            origin=origin,
            stamp=stamp,
            written_ms=now_ms,
            sent_ms=now_ms + pickup_ms,
            arrives_ms=math.inf,
            number=stamp[2],
        )
        self._unsent[origin, to, key] = arrival
        self._launch(arrival, to=to, now_ms=now_ms)

    def _merges(self, unsent: Arrival, *, now_ms: float) -> bool:
        """Whether a later change takes the place of one that is on its way."""
        if math.isinf(unsent.arrives_ms):
            # However long a link is cut, what waits for it is one change of each item at most.
            return True
        return now_ms < unsent.sent_ms and self._chance.random() < MERGE_CHANCE

    def _launch(self, arrival: Arrival, *, to: str, now_ms: float) -> None:
        self._under_way[arrival.key] += 1
        self._waiting[to][arrival.number] = arrival
        arrival.arrives_ms = math.inf
        if not self._links.is_cut(arrival.origin, to):
            self._plan(to, arrival, since_ms=max(now_ms, arrival.sent_ms))

    def _plan(self, region: str, arrival: Arrival, *, since_ms: float) -> None:
        way_ms = self._links.travel_ms((arrival.origin, region))
        extra_ms = self._extra_ms.get((arrival.origin, region), 0.0)
        arrival.arrives_ms = since_ms + way_ms + extra_ms
        heapq.heappush(self._heaps[region], (arrival.arrives_ms, arrival.number, arrival))

    def _forget_unsent(self, region: str, arrival: Arrival) -> None:
        place = (arrival.origin, region, arrival.key)
        if self._unsent.get(place) is arrival:
            del self._unsent[place]

    def _landed(self, key: Hashable) -> None:
        """With nothing of an item on its way, all replicas hold the same, and no older can come."""
        self._under_way[key] -= 1
        if not self._under_way[key]:
            del self._under_way[key]
            self._held.pop(key, None)
