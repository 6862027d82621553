"""The network between the regions: who reaches whom, and how long a call is on its way.

Cuts may overlap, and a region that is down is one that nobody reaches: a link is open again
only when every reason for its being cut is gone. Routes and distances are infra.local's rules.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations

from infra.local.replication import Links, round_trips

Pair = tuple[str, str]


class Network:
    """The links of the regions, with the reasons why some are cut or slow."""

    def __init__(self, regions: Sequence[str]) -> None:
        self.regions = tuple(regions)
        self.links = Links(regions, round_trips_ms=round_trips(regions, realistic=True))
        self.down: set[str] = set()
        # Whether every region reaches every other, as is the rule.
        self.all_open = True
        self._cuts: Counter[Pair] = Counter()
        self._delays: dict[Pair, float] = {}
        self._changed: list[Callable[[], None]] = []
        self._majority: dict[str, float | None] = {}
        self._one_way: dict[Pair, float] = {}

    def on_change(self, act: Callable[[], None]) -> None:
        """Have something done whenever a link has changed."""
        self._changed.append(act)

    def cut(self, pairs: Sequence[Pair]) -> None:
        self._cuts.update(map(_ordered, pairs))
        self._apply()

    def mend(self, pairs: Sequence[Pair]) -> None:
        self._cuts.subtract(map(_ordered, pairs))
        self._apply()

    def slow(self, pair: Pair, *, rtt_ms: float | None) -> None:
        """Make a link's round trip longer; None gives it its usual one again."""
        if rtt_ms is None:
            self._delays.pop(_ordered(pair), None)
        else:
            self._delays[_ordered(pair)] = rtt_ms
        self._apply()

    def take_down(self, region: str) -> None:
        self.down.add(region)
        self._apply()

    def bring_up(self, region: str) -> None:
        self.down.discard(region)
        self._apply()

    def is_open(self, a: str, b: str) -> bool:
        """Say whether a call from one region gets to the other, and its answer back."""
        if self.all_open:
            return True
        if a in self.down or b in self.down:
            return False
        return a == b or not self.links.is_cut(a, b)

    def majority_ms(self, region: str) -> float | None:
        """Return the round trip to a majority of the replicas, None if there is none."""
        if region not in self._majority:
            self._majority[region] = self.links.majority_round_trip_ms(region)
        return self._majority[region]

    def one_way_ms(self, a: str, b: str) -> float:
        """Return how long anything takes from one region to another, or within one."""
        found = self._one_way.get((a, b))
        if found is None:
            found = self._one_way[a, b] = self.links.one_way_ms(a, b)
        return found

    def _apply(self) -> None:
        self.all_open = not self.down and not any(count > 0 for count in self._cuts.values())
        self._one_way.clear()
        self.links.heal()
        for pair, rtt_ms in self._delays.items():
            self.links.delay(*pair, rtt_ms=rtt_ms)
        for pair, reasons in self._cuts.items():
            if reasons > 0:
                self.links.cut(*pair)
        for region in self.down:
            self.links.cut(region)
        self._majority.clear()
        for act in self._changed:
            act()


def pairs_of(regions: Sequence[str], region: str | None = None) -> list[Pair]:
    """Return all pairs of regions, or those that one region is in."""
    return [pair for pair in combinations(regions, 2) if region is None or region in pair]


def _ordered(pair: Pair) -> Pair:
    a, b = pair
    return (a, b) if a < b else (b, a)
