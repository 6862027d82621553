"""Which faults are on, and whether one strikes now: drawn by a seeded chance, never by a clock.

Pure: knows regions and links by name and does nothing to them. Guarantees that the same
seed and the same questions in the same order give the same faults.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import pairwise
from typing import Any

from infra.local.actions import Lose, Repeat, Skew, Slow, Throttle
from infra.local.replication import Links


class Fate(Enum):
    """What becomes of one call between regions."""

    ARRIVES = auto()
    REQUEST_LOST = auto()
    ANSWER_LOST = auto()
    TWICE = auto()


@dataclass(kw_only=True)
class _LinkFaults:
    requests: float = 0.0
    answers: float = 0.0
    repeats: float = 0.0


@dataclass(kw_only=True)
class _RegionFaults:
    killed: bool = False
    slow_ms: float = 0.0
    skew_ms: int = 0
    throttled: dict[str, float] = field(default_factory=dict)


class Faults:
    """The faults of a running system, but for cuts and delays, which are the links' own."""

    def __init__(self, links: Links, *, seed: int, regions: Sequence[str] | None = None) -> None:
        """Args: regions: those that something runs in; all of the network if left out."""
        self.regions = links.regions if regions is None else tuple(regions)
        self._links = links
        self._chance = random.Random(seed)  # noqa: S311 - faults, nothing secret
        self._by_link: dict[frozenset[str], _LinkFaults] = {}
        self._by_region = {region: _RegionFaults() for region in self.regions}

    def lose(self, order: Lose) -> None:
        """Lose requests or answers from now on. Raises: ValueError for no such link."""
        for link in self._of_links(order.a, order.b):
            link.requests, link.answers = order.requests, order.answers

    def repeat(self, order: Repeat) -> None:
        """Carry out calls twice from now on. Raises: ValueError for no such link."""
        for link in self._of_links(order.a, order.b):
            link.repeats = order.rate

    def throttle(self, order: Throttle) -> None:
        """Refuse calls from now on. Raises: ValueError for no such region."""
        throttled = self._region(order.region).throttled
        throttled.update((service, order.rate) for service in order.services)

    def slow(self, order: Slow) -> None:
        """Slow a region down. Raises: ValueError for no such region."""
        self._region(order.region).slow_ms = order.ms

    def skew(self, order: Skew) -> None:
        """Note what a region's clock is off by. Raises: ValueError for no such region."""
        self._region(order.region).skew_ms = order.ms

    def kill(self, region: str) -> None:
        """Note that a region is dead. Raises: ValueError for no such region, or a dead one."""
        if self._region(region).killed:
            raise ValueError(
                f"{region} is killed already; start it with: antiphon region start {region}"
            )
        self._region(region).killed = True

    def start(self, region: str) -> None:
        """Note that a region lives again. Raises: ValueError if it was not dead."""
        self.check_killed(region)
        self._region(region).killed = False

    def check_killed(self, region: str) -> None:
        """Raises: ValueError for no such region, or one that is not dead."""
        if not self._region(region).killed:
            raise ValueError(f"{region} is running; there is nothing to start")

    def calm(self) -> None:
        """End all of it, but for killed regions, which somebody has to start."""
        self._by_link.clear()
        for faults in self._by_region.values():
            faults.slow_ms, faults.skew_ms = 0.0, 0
            faults.throttled.clear()

    def killed(self) -> list[str]:
        """The regions that are dead now."""
        return [region for region, faults in self._by_region.items() if faults.killed]

    def is_killed(self, region: str) -> bool:
        """Whether a region is dead now."""
        return self._by_region[region].killed

    def slow_ms(self, region: str) -> float:
        """How much longer everything takes in a region."""
        return self._by_region[region].slow_ms

    def skew_ms(self, region: str) -> int:
        """How far the clock of a region's functions is ahead."""
        return self._by_region[region].skew_ms

    def throttles(self, region: str, service: str) -> bool:
        """Whether a call to a region's service is refused this time."""
        return self._strikes(self._by_region[region].throttled.get(service, 0.0))

    def fate(self, regions: Sequence[str]) -> Fate:
        """What becomes of a call along these regions this time."""
        for pair in pairwise(regions):
            link = self._by_link.get(frozenset(pair))
            if link is None:
                continue
            if self._strikes(link.requests):
                return Fate.REQUEST_LOST
            if self._strikes(link.answers):
                return Fate.ANSWER_LOST
            if self._strikes(link.repeats):
                return Fate.TWICE
        return Fate.ARRIVES

    def of_link(self, a: str, b: str) -> dict[str, float]:
        """A link's rates, for people."""
        link = self._by_link.get(frozenset({a, b})) or _LinkFaults()
        return {
            "lost_requests": link.requests,
            "lost_answers": link.answers,
            "repeated": link.repeats,
        }

    def of_region(self, region: str) -> dict[str, Any]:
        """A region's faults, for people."""
        faults = self._by_region[region]
        return {
            "region": region,
            "killed": faults.killed,
            "slow_ms": faults.slow_ms,
            "skew_ms": faults.skew_ms,
            "throttled": {service: rate for service, rate in faults.throttled.items() if rate},
        }

    def _strikes(self, rate: float) -> bool:
        # Without a fault nothing is drawn: it costs the usual call nothing.
        return rate > 0 and self._chance.random() < rate

    def _of_links(self, a: str | None, b: str | None) -> Iterable[_LinkFaults]:
        return [self._by_link.setdefault(link, _LinkFaults()) for link in self._links.between(a, b)]

    def _region(self, region: str) -> _RegionFaults:
        if region not in self._by_region:
            raise ValueError(f"{region} is not one of {', '.join(self._by_region)}")
        return self._by_region[region]
