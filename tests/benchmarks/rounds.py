"""Rounds of measuring in which every way has its turn: what disturbs one disturbs all.

Figures are medians over rounds, and ratios are medians of each round's ratio, since the machine
is as fast in one round as it is in no other. Nothing here asserts: figures are told.
"""

import gc
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from tests.benchmarks.contenders import Contender, Way

US_PER_S = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long to measure: rounds, commands of a way in each, threads that append side by side."""

    rounds: int
    commands: int
    threads: int = 8


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one way cost a command: times in microseconds, ratios to the first way."""

    name: str
    cpu_us: float
    wall_us: float
    cpu_ratio: float
    wall_ratio: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(ways: Sequence[Way], effort: Effort) -> list[Measured]:
    """Measure one command after another, of each way in turn."""
    lanes = [_Lane(way.of(0)) for way in ways]
    for lane in lanes:
        lane.run(effort.commands)
    rounds = []
    for number in range(effort.rounds):
        # Another way begins each round.
        turn = number % len(lanes)
        order = [*range(turn, len(lanes)), *range(turn)]
        told = {}
        for at in order:
            # What the way before left to collect is not this one's.
            gc.collect()
            told[at] = lanes[at].run(effort.commands)
        rounds.append([told[at] for at in range(len(lanes))])
    return [
        _measured(way.name, [(one[at], one[0]) for one in rounds]) for at, way in enumerate(ways)
    ]


def throughput(ways: Sequence[Way], effort: Effort) -> list[dict[str, Any]]:
    """Measure commands a second of one process, each thread with its own aggregate."""
    lanes = [[_Lane(way.of(lane)) for lane in range(1, effort.threads + 1)] for way in ways]
    rates: list[list[float]] = [[] for _ in ways]
    with ThreadPoolExecutor(effort.threads) as pool:
        for number in range(effort.rounds + 1):
            for at in [(number + step) % len(ways) for step in range(len(ways))]:
                gc.collect()
                begun_s = time.perf_counter()
                list(pool.map(lambda lane: lane.run(effort.commands), lanes[at]))
                spent_s = time.perf_counter() - begun_s
                # The first round opens connections.
                if number > 0:
                    rates[at].append(effort.threads * effort.commands / spent_s)
    return [
        {
            "name": way.name,
            "a_second": statistics.median(rates[at]),
            "ratio": statistics.median(
                one / first for one, first in zip(rates[at], rates[0], strict=True)
            ),
        }
        for at, way in enumerate(ways)
    ]


class _Lane:
    """One contender, and how far it has come."""

    def __init__(self, contender: Contender) -> None:
        self._contender = contender
        self._done = 1

    def run(self, commands: int) -> tuple[float, float]:
        """Return (CPU, wall) of the process in microseconds a command."""
        numbers = range(self._done + 1, self._done + commands + 1)
        self._done += commands
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        for number in numbers:
            self._contender.take(number)
        cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
        return cpu_s / commands * US_PER_S, wall_s / commands * US_PER_S


def _measured(name: str, pairs: Sequence[tuple[Any, Any]]) -> Measured:
    median = statistics.median
    return Measured(
        name=name,
        cpu_us=median(own[0] for own, _ in pairs),
        wall_us=median(own[1] for own, _ in pairs),
        cpu_ratio=median(own[0] / first[0] for own, first in pairs),
        wall_ratio=median(own[1] / first[1] for own, first in pairs),
    )
