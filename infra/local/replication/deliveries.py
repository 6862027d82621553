"""When the records of one ordered log reach each replica, over a network that can be cut.

Pure: no input or output, no clock; every method that depends on time is told it, in
milliseconds. Guarantees one order of records on every replica, delivery to every replica
once the network allows, and none before. Remembers a record, some hundred bytes of it and
nothing of what it says, until the last replica holds it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from infra.local.replication.links import Links, Route


@dataclass(kw_only=True, slots=True)
class _Journey:
    """A record's way to one replica; no route while nobody who has it reaches the replica."""

    route: Route | None
    arrival_ms: float


@dataclass(kw_only=True, slots=True)
class _Record:
    position: int
    origin: str
    appended_ms: float
    # Since when a region knows the record to be committed, and so can pass it on.
    known_since_ms: dict[str, float]
    journeys: dict[str, _Journey] = field(default_factory=dict)


class Deliveries:
    """When each record of the journal reaches each replica."""

    def __init__(
        self,
        links: Links,
        replicas: Collection[str] | None = None,
        *,
        members: Collection[str] | None = None,
    ) -> None:
        """Take the network.

        Args:
            replicas: the regions that get the records. Default: all of the network.
            members: those that can take part in a write, a witness included. Default: all.
        """
        self._links = links
        self._members = links.regions if members is None else tuple(members)
        self._waiting: dict[str, deque[_Record]] = {
            region: deque() for region in (links.regions if replicas is None else replicas)
        }

    def append(self, position: int, *, origin: str, now_ms: float) -> None:
        """Take a record that the journal has just got from `origin`.

        The journal's moment is the middle of the writer's wait: the writer
        knows half a round trip later that its record is committed, and the
        other replicas learn it from there.
        """
        partner = self._links.nearest(origin, members=self._members)
        half_ms = self._links.one_way_ms(origin, partner)
        if (route := self._links.route(origin, partner)) is not None:
            half_ms = route.one_way_ms
        record = _Record(
            position=position,
            origin=origin,
            appended_ms=now_ms,
            known_since_ms={origin: now_ms + half_ms, partner: now_ms + 2 * half_ms},
        )
        routes = _Routes(self._links)
        for region, waiting in self._waiting.items():
            record.journeys[region] = self._journey(record, region, routes, now_ms=now_ms)
            waiting.append(record)

    def due(self, region: str, *, now_ms: float, limit: int | None) -> list[int]:
        """The next records that have reached a replica, at most `limit`, in the journal's order."""
        return [record.position for record in islice(self._arrived(region, now_ms=now_ms), limit)]

    def next_ms(self, region: str) -> float:
        """When the next record is due at a replica; infinity while none is on its way."""
        waiting = self._waiting[region]
        return waiting[0].journeys[region].arrival_ms if waiting else math.inf

    def delivered(self, region: str, position: int, *, now_ms: float) -> float:
        """Note that the replica holds its next record.

        Returns: how long the record took from the journal to here, in ms.
        """
        record = self._waiting[region].popleft()
        assert record.position == position, "a replica takes records in the journal's order"
        record.known_since_ms.setdefault(region, now_ms)
        del record.journeys[region]
        return now_ms - record.appended_ms

    def links_changed(self, *, now_ms: float) -> None:
        """Plan again what was on its way over a link that is cut, or had no way at all."""
        routes = _Routes(self._links)
        for region, waiting in self._waiting.items():
            for record in waiting:
                journey = record.journeys[region]
                if journey.route is None or not self._links.is_open(journey.route):
                    if journey.route is not None and journey.arrival_ms <= now_ms:
                        continue  # It had arrived before the cut, and waits for an earlier one.
                    record.journeys[region] = self._journey(record, region, routes, now_ms=now_ms)

    def pending(self, region: str) -> Mapping[str, int]:
        """How many records of each origin a replica has still to get."""
        counts = dict.fromkeys(self._links.regions, 0)
        for record in self._waiting[region]:
            counts[record.origin] += 1
        return counts

    def _arrived(self, region: str, *, now_ms: float) -> Iterator[_Record]:
        for record in self._waiting[region]:
            if record.journeys[region].arrival_ms > now_ms:
                # Records behind it may have come by a quicker way; they wait.
                return
            yield record

    def _journey(self, record: _Record, region: str, routes: _Routes, *, now_ms: float) -> _Journey:
        best = _Journey(route=None, arrival_ms=math.inf)
        for holder, since_ms in record.known_since_ms.items():
            route = routes.between(holder, region)
            if route is not None:
                arrival_ms = max(now_ms, since_ms) + self._links.travel_ms(route.regions)
                if arrival_ms < best.arrival_ms:
                    best = _Journey(route=route, arrival_ms=arrival_ms)
        return best


class _Routes:
    """Routes as they are now, each looked for once: what waits for a mended link are many."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._known: dict[tuple[str, str], Route | None] = {}

    def between(self, a: str, b: str) -> Route | None:
        """The quickest way from `a` to `b`, if there is one."""
        if (a, b) not in self._known:
            self._known[a, b] = self._links.route(a, b)
        return self._known[a, b]
