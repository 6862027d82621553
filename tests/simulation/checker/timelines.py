"""How things stood at any step of a run: views, region states, versions of projections.

Each is a list of changes in order; to ask is to look for the last change before.
"""

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tests.simulation.history import History, HomeChanged, Record, StateChanged, Switched

T = TypeVar("T")


@dataclass(slots=True)
class Timeline(Generic[T]):
    """Values over time; `first` is the one before any change."""

    first: T
    steps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    values: list[T] = field(default_factory=list)

    def add(self, record: Record, value: T) -> None:
        self.steps.append(record.step)
        self.times.append(record.at_ms)
        self.values.append(value)

    def at(self, step: int) -> T:
        """Return the value once the record of this step had happened."""
        found = bisect_right(self.steps, step)
        return self.values[found - 1] if found else self.first

    def at_ms(self, at_ms: float) -> T:
        """Return the value before anything happened at this time."""
        found = bisect_left(self.times, at_ms)
        return self.values[found - 1] if found else self.first

    def between(self, from_ms: float, step: int) -> Iterator[T]:
        """Yield every value that it had from a time up to a step."""
        start = bisect_left(self.times, from_ms)
        end = max(start, bisect_right(self.steps, step))
        yield self.values[start - 1] if start else self.first
        yield from self.values[start:end]


@dataclass(slots=True)
class Regions:
    """The regions' control states and the versions that their readers use."""

    states: dict[str, Timeline[str]]
    versions: dict[tuple[str, str], Timeline[str]]
    # Regions that were lost, for good or until they came back: others may have answered for them.
    adopted: set[str]


_SLOTS = 60


class HomesOverTime:
    """Who appended to what, in EVENTUAL mode: each epoch of a slot, when it ended and how."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._homes: dict[tuple[int, int], str] = {}
        self._ended: dict[tuple[int, int], int] = {}
        self._taken: set[tuple[int, int]] = set()
        for record in records:
            if isinstance(record, HomeChanged):
                self._homes.setdefault((record.slot, record.epoch), record.home)
                if record.epoch:
                    self._ended.setdefault((record.slot, record.epoch - 1), record.step)
                if record.taken is not None:
                    self._taken.add((record.slot, record.taken))

    def home(self, aggregate: str, epoch: int) -> str | None:
        """Return the region that appends in an epoch, None if there is no such epoch."""
        return self._homes.get((slot_of(aggregate), epoch))

    def ended(self, aggregate: str, epoch: int) -> int | None:
        """Return the step at which another region could append, None if it never could."""
        return self._ended.get((slot_of(aggregate), epoch))

    def was_taken(self, aggregate: str, epoch: int) -> bool:
        """Say whether an epoch was ended by force."""
        return (slot_of(aggregate), epoch) in self._taken

    def any_taken(self, aggregate: str) -> bool:
        """Say whether any epoch of an aggregate was ended by force."""
        return any(slot == slot_of(aggregate) for slot, _ in self._taken)


def slot_of(aggregate: str) -> int:
    return zlib.crc32(aggregate.encode()) % _SLOTS


def regions_of(history: History) -> Regions:
    """Return how regions and versions changed."""
    terms = history.terms
    found = Regions(
        states={region: Timeline("active") for region in terms.regions},
        versions={
            (region, projection): Timeline(version)
            for region in terms.regions
            for projection, version in terms.versions.items()
        },
        adopted=set(terms.lost),
    )
    for record in history.records:
        if isinstance(record, StateChanged):
            found.states[record.region].add(record, record.state)
            if record.adopter is not None:
                found.adopted.add(record.region)
        elif isinstance(record, Switched):
            found.versions[record.region, record.projection].add(record, record.version)
    return found
