"""How far each region's read models are behind, from what is seen of commits and writes.

Pure. A read model of a region is behind by the commits that the same read model has applied
in another region and not yet here; so nothing need be known of which commits it shows. Bounded:
of more commits than it remembers it says that there are more.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from typing import Any

# Commits remembered that some region has still to apply, by read model.
MOST_REMEMBERED = 5_000
# Times of commits that no read model has applied yet.
_MOST_COMMITTED = 20_000
# Aggregates of which is remembered what every region has applied, by read model.
_MOST_AGGREGATES = 20_000


@dataclass(kw_only=True)
class _Waiting:
    since_ms: float
    by: set[str] = field(default_factory=set)


class ProjectionLags:
    """The read models of all regions, held against each other."""

    def __init__(self, regions: tuple[str, ...]) -> None:
        self._regions = regions
        self._committed_ms: OrderedDict[str, float] = OrderedDict()
        # By projection and aggregate, what is not applied everywhere, by position.
        self._waiting: dict[str, dict[str, dict[int, _Waiting]]] = defaultdict(dict)
        self._count: dict[str, int] = defaultdict(int)
        self._everywhere: dict[str, OrderedDict[str, int]] = defaultdict(OrderedDict)
        self._last_ms: dict[tuple[str, str], float] = {}

    def committed(self, commit: str, *, now_ms: float) -> None:
        """Note when a commit came into the log."""
        self._committed_ms[commit] = now_ms
        if len(self._committed_ms) > _MOST_COMMITTED:
            self._committed_ms.popitem(last=False)

    def applied(self, commit: str, *, projection: str, region: str, now_ms: float) -> None:
        """Note that a region's read model stands at a commit, and so after all before it."""
        aggregate_id, _, text = commit.rpartition(".")
        position = int(text)
        if position <= self._everywhere[projection].get(aggregate_id, 0):
            # Once more, or into another build of the same read model: that lags behind nobody.
            return
        since_ms = self._committed_ms.get(commit, now_ms)
        self._last_ms[projection, region] = now_ms - since_ms
        waiting = self._waiting[projection].setdefault(aggregate_id, {})
        if position not in waiting and self._count[projection] < MOST_REMEMBERED:
            waiting[position] = _Waiting(since_ms=since_ms)
            self._count[projection] += 1
        for before in [one for one in waiting if one <= position]:
            waiting[before].by.add(region)
            if len(waiting[before].by) == len(self._regions):
                del waiting[before]
                self._count[projection] -= 1
                self._note_everywhere(projection, aggregate_id, before)
        if not waiting:
            del self._waiting[projection][aggregate_id]

    def _note_everywhere(self, projection: str, aggregate_id: str, position: int) -> None:
        everywhere = self._everywhere[projection]
        everywhere[aggregate_id] = max(position, everywhere.pop(aggregate_id, 0))
        if len(everywhere) > _MOST_AGGREGATES:
            everywhere.popitem(last=False)

    def told(self, *, now_ms: float) -> list[dict[str, Any]]:
        """Each read model of each region: its last lag, and what it is behind by."""
        return [
            {
                "projection": projection,
                "region": region,
                "last_ms": _rounded(self._last_ms.get((projection, region))),
                **self._behind(projection, region, now_ms=now_ms),
            }
            for projection in sorted(self._waiting)
            for region in self._regions
        ]

    def _behind(self, projection: str, region: str, *, now_ms: float) -> dict[str, Any]:
        lacking = [
            waiting.since_ms
            for positions in self._waiting[projection].values()
            for waiting in positions.values()
            if region not in waiting.by
        ]
        return {
            "behind": len(lacking),
            "more": self._count[projection] >= MOST_REMEMBERED,
            "oldest_ms": _rounded(now_ms - min(lacking)) if lacking else None,
        }


def _rounded(ms: float | None) -> float | None:
    return None if ms is None else round(max(ms, 0.0), 1)
