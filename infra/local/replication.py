"""The rules of a strongly consistent global table over a network that can be cut.

Pure: no input or output, no clock; every method that depends on time is told it,
in milliseconds. Guarantees one order of records on every replica, delivery to
every replica once the network allows, and none before. What really stores and
carries the records is the caller's business.

The rules follow DynamoDB's multi-Region strong consistency: a write is
acknowledged once a majority of the replicas has it; a region that reaches no
majority refuses writes and strong reads, and still serves eventual reads.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice, pairwise

# Means measured by AWS between its regions in 2020; other pairs get a round number.
ROUND_TRIPS_MS: Mapping[frozenset[str], float] = {
    frozenset({"us-east-1", "eu-west-1"}): 70.0,
    frozenset({"eu-west-1", "ap-south-1"}): 118.0,
    frozenset({"us-east-1", "ap-south-1"}): 182.0,
}
UNKNOWN_ROUND_TRIP_MS = 150.0


@dataclass(frozen=True, kw_only=True)
class Link:
    """The connection of two regions, the same in both directions."""

    a: str
    b: str
    rtt_ms: float
    jitter_ms: float = 0.0
    cut: bool = False


@dataclass(frozen=True, kw_only=True)
class Route:
    """A way through the network: the regions passed, both ends included."""

    regions: tuple[str, ...]
    one_way_ms: float


class Links:
    """All links of the regions: round trips, cuts, and delays set by hand.

    A link with jitter takes a different time for each way, drawn by `chance`; what is on
    the way still arrives in the order that its receiver promises.
    """

    def __init__(
        self,
        regions: Sequence[str],
        *,
        round_trips_ms: Mapping[frozenset[str], float],
        chance: random.Random | None = None,
    ) -> None:
        self.regions = tuple(regions)
        self._chance = chance or random.Random(0)  # noqa: S311 - delays, nothing secret
        self._jitters: dict[frozenset[str], float] = {}
        self._round_trips = {
            frozenset(pair): round_trips_ms.get(frozenset(pair), UNKNOWN_ROUND_TRIP_MS)
            for pair in combinations(self.regions, 2)
        }
        self._usual = dict(self._round_trips)
        self._cuts: set[frozenset[str]] = set()
        self._down: set[str] = set()

    def table(self) -> list[Link]:
        """Every link as it is now, in the order of the region list."""
        return [
            Link(
                a=a,
                b=b,
                rtt_ms=self._round_trips[frozenset({a, b})],
                jitter_ms=self._jitters.get(frozenset({a, b}), 0.0),
                cut=self.is_cut(a, b),
            )
            for a, b in combinations(self.regions, 2)
        ]

    def cut(self, a: str, b: str | None = None) -> None:
        """Cut the link of `a` and `b`, or every link of `a`."""
        self._cuts |= self._links_of(a, b)

    def heal(self, a: str | None = None, b: str | None = None) -> None:
        """Mend the link of `a` and `b`, or every link of `a`, or every link there is.

        Mending everything also takes back the delays that were set by hand.
        """
        if a is None:
            self._cuts.clear()
            self._round_trips = dict(self._usual)
            self._jitters.clear()
        else:
            self._cuts -= self._links_of(a, b)

    def take_down(self, region: str) -> None:
        """Let nothing reach or leave a region; its links stay as they are, cut or not."""
        self._down.add(region)

    def bring_up(self, region: str) -> None:
        """Let a region use its links again."""
        self._down.discard(region)

    def delay(self, a: str, b: str | None, *, rtt_ms: float, jitter_ms: float = 0.0) -> None:
        """Set the round trip of one link, or of every link of `a`, from `rtt_ms` up.

        With jitter, a round trip takes up to `jitter_ms` longer.
        """
        if not (0 <= rtt_ms < math.inf and 0 <= jitter_ms < math.inf):
            raise ValueError(f"a round trip cannot take {rtt_ms} ms and up to {jitter_ms} ms more")
        for link in self._links_of(a, b):
            self._round_trips[link] = rtt_ms
            self._jitters[link] = jitter_ms

    def undelay(self, a: str, b: str | None) -> None:
        """Give one link, or every link of `a`, its usual round trip back."""
        for link in self._links_of(a, b):
            self._round_trips[link] = self._usual[link]
            self._jitters.pop(link, None)

    def is_cut(self, a: str, b: str) -> bool:
        """Whether the direct link of two different regions is cut, or one of them is down."""
        return frozenset({a, b}) in self._cuts or a in self._down or b in self._down

    def one_way_ms(self, a: str, b: str) -> float:
        """Half the round trip of the direct link; a region is at no distance from itself."""
        return 0.0 if a == b else self._round_trips[frozenset({a, b})] / 2

    def travel_ms(self, regions: Sequence[str]) -> float:
        """One way along these regions, jitter included; another time each time."""
        return sum(
            self.one_way_ms(a, b) + (self._chance.uniform(0, jitter_ms / 2) if jitter_ms else 0.0)
            for a, b in pairwise(regions)
            for jitter_ms in [self._jitters.get(frozenset({a, b}), 0.0)]
        )

    def route(self, a: str, b: str) -> Route | None:
        """The quickest way from `a` to `b` over links that are not cut, if there is one."""
        heap: list[tuple[float, tuple[str, ...]]] = [(0.0, (a,))]
        settled: set[str] = set()
        while heap:
            so_far, path = heapq.heappop(heap)
            here = path[-1]
            if here == b:
                return Route(regions=path, one_way_ms=so_far)
            if here in settled:
                continue
            settled.add(here)
            for neighbour in self.regions:
                if neighbour not in settled and not self.is_cut(here, neighbour):
                    step = self.one_way_ms(here, neighbour)
                    heapq.heappush(heap, (so_far + step, (*path, neighbour)))
        return None

    def is_open(self, route: Route) -> bool:
        """Whether no link of a route is cut."""
        return not any(self.is_cut(a, b) for a, b in pairwise(route.regions))

    def majority_round_trip_ms(self, region: str) -> float | None:
        """How long `region` waits until a majority has answered; None if it reaches none."""
        reached = sorted(
            2 * self.travel_ms(route.regions)
            for other in self.regions
            if other != region and (route := self.route(region, other)) is not None
        )
        needed = len(self.regions) // 2
        if needed == 0:
            return 0.0
        return reached[needed - 1] if len(reached) >= needed else None

    def nearest(self, region: str) -> str:
        """The region that takes part in a write of `region`: the nearest reachable other.

        If none is reachable, the nearest by distance: a write that is in the
        journal was acknowledged by some other region before the cut.
        """

        def distance(other: str) -> tuple[bool, float]:
            route = self.route(region, other)
            direct = self.one_way_ms(region, other)
            return (route is None, direct if route is None else route.one_way_ms)

        return min((other for other in self.regions if other != region), key=distance)

    def between(self, a: str | None, b: str | None) -> set[frozenset[str]]:
        """The links that are meant: one, all of `a`, or all there are.

        Raises: ValueError for a region that is none, and for a region with itself.
        """
        return set(self._round_trips) if a is None else self._links_of(a, b)

    def _links_of(self, a: str, b: str | None) -> set[frozenset[str]]:
        for region in (a, b):
            if region is not None and region not in self.regions:
                raise ValueError(f"{region} is not one of {', '.join(self.regions)}")
        if a == b:
            raise ValueError(f"{a} has no link to itself")
        return {link for link in self._round_trips if a in link and (b is None or b in link)}


@dataclass(kw_only=True)
class _Journey:
    """A record's way to one replica; no route while nobody who has it reaches the replica."""

    route: Route | None
    arrival_ms: float


@dataclass(kw_only=True)
class _Record:
    position: int
    origin: str
    appended_ms: float
    # Since when a region knows the record to be committed, and so can pass it on.
    known_since_ms: dict[str, float]
    journeys: dict[str, _Journey] = field(default_factory=dict)


class Deliveries:
    """When each record of the journal reaches each replica."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._waiting: dict[str, deque[_Record]] = {region: deque() for region in links.regions}

    def append(self, position: int, *, origin: str, now_ms: float) -> None:
        """Take a record that the journal has just got from `origin`.

        The journal's moment is the middle of the writer's wait: the writer
        knows half a round trip later that its record is committed, and the
        other replicas learn it from there.
        """
        partner = self._links.nearest(origin)
        half_ms = self._links.one_way_ms(origin, partner)
        if (route := self._links.route(origin, partner)) is not None:
            half_ms = route.one_way_ms
        record = _Record(
            position=position,
            origin=origin,
            appended_ms=now_ms,
            known_since_ms={origin: now_ms + half_ms, partner: now_ms + 2 * half_ms},
        )
        for region, waiting in self._waiting.items():
            record.journeys[region] = self._journey(record, region, now_ms=now_ms)
            waiting.append(record)

    def due(self, region: str, *, now_ms: float, limit: int) -> list[int]:
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
        return now_ms - record.appended_ms

    def links_changed(self, *, now_ms: float) -> None:
        """Plan again what was on its way over a link that is cut, or had no way at all."""
        for region, waiting in self._waiting.items():
            for record in waiting:
                journey = record.journeys[region]
                if journey.route is None or not self._links.is_open(journey.route):
                    if journey.route is not None and journey.arrival_ms <= now_ms:
                        continue  # It had arrived before the cut, and waits for an earlier one.
                    record.journeys[region] = self._journey(record, region, now_ms=now_ms)

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

    def _journey(self, record: _Record, region: str, *, now_ms: float) -> _Journey:
        best = _Journey(route=None, arrival_ms=math.inf)
        for holder, since_ms in record.known_since_ms.items():
            route = self._links.route(holder, region)
            if route is not None:
                arrival_ms = max(now_ms, since_ms) + self._links.travel_ms(route.regions)
                if arrival_ms < best.arrival_ms:
                    best = _Journey(route=route, arrival_ms=arrival_ms)
        return best


def round_trips(regions: Collection[str], *, realistic: bool) -> Mapping[frozenset[str], float]:
    """The round trips between some regions: as measured, or none at all."""
    return {
        frozenset(pair): ROUND_TRIPS_MS.get(frozenset(pair), UNKNOWN_ROUND_TRIP_MS)
        if realistic
        else 0.0
        for pair in combinations(regions, 2)
    }
