"""Links between regions: round trips, jitter, cuts, and the quickest way over what is left.

Pure: no input or output, no clock. Guarantees that a route passes no link that is cut,
and that the same seed gives the same jitter. What is sent over the links is the caller's
business.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

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

    def majority_round_trip_ms(
        self, region: str, *, members: Collection[str] | None = None
    ) -> float | None:
        """How long `region` waits until a majority has answered; None if it reaches none.

        Args:
            members: the regions of which it takes a majority, itself included. Default: all.
        """
        members = self.regions if members is None else members
        reached = sorted(
            2 * self.travel_ms(route.regions)
            for other in members
            if other != region and (route := self.route(region, other)) is not None
        )
        needed = len(members) // 2
        if needed == 0:
            return 0.0
        return reached[needed - 1] if len(reached) >= needed else None

    def nearest(self, region: str, *, members: Collection[str] | None = None) -> str:
        """The region that takes part in a write of `region`: the nearest reachable member.

        If none is reachable, the nearest by distance: a write that is in the
        journal was acknowledged by some other region before the cut.
        """

        def distance(other: str) -> tuple[bool, float]:
            route = self.route(region, other)
            direct = self.one_way_ms(region, other)
            return (route is None, direct if route is None else route.one_way_ms)

        others = self.regions if members is None else members
        return min((other for other in others if other != region), key=distance)

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


def round_trips(regions: Collection[str], *, realistic: bool) -> Mapping[frozenset[str], float]:
    """The round trips between some regions: as measured, or none at all."""
    return {
        frozenset({a, b}): round_trip_ms(a, b) if realistic else 0.0
        for a, b in combinations(regions, 2)
    }


def round_trip_ms(a: str, b: str) -> float:
    """The usual round trip between two regions; a region is at no distance from itself."""
    return 0.0 if a == b else ROUND_TRIPS_MS.get(frozenset({a, b}), UNKNOWN_ROUND_TRIP_MS)
