"""What requests cost: DynamoDB's rules of read and write units, counted per operation.

A write unit is 1 KB begun of the larger of old and new item, twice that in a transaction; a
read unit is 4 KB begun, half of it for an eventual read. Indexes are charged beside the table.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.dynamodb.table import Table
from tests.dynamodb.values import Item, size_of

_WRITE_BYTES = 1024
_READ_BYTES = 4096


@dataclass(frozen=True)
class Used:
    """Requests and units. `index_units` are the write units of indexes."""

    requests: float = 0
    read_units: float = 0
    write_units: float = 0
    index_units: float = 0

    def __add__(self, other: "Used") -> "Used":
        return Used(
            self.requests + other.requests,
            self.read_units + other.read_units,
            self.write_units + other.write_units,
            self.index_units + other.index_units,
        )

    def __sub__(self, other: "Used") -> "Used":
        return self + other * -1

    def __mul__(self, times: float) -> "Used":
        return Used(
            self.requests * times,
            self.read_units * times,
            self.write_units * times,
            self.index_units * times,
        )

    def __truediv__(self, parts: float) -> "Used":
        return self * (1 / parts)


class Meter:
    """Counts by (operation, table). A request on several tables counts once for each."""

    def __init__(self) -> None:
        self.used: dict[tuple[str, str], Used] = defaultdict(Used)

    def add(self, operation: str, table: str, used: Used) -> None:
        self.used[operation, table] += used

    @contextmanager
    def measured(self) -> Iterator[dict[tuple[str, str], Used]]:
        """Yield a dictionary that holds, when the block has ended, what was used in it."""
        before = dict(self.used)
        during: dict[tuple[str, str], Used] = {}
        yield during
        during |= {
            place: used - before.get(place, Used())
            for place, used in self.used.items()
            if used != before.get(place)
        }


def total(used: dict[tuple[str, str], Used]) -> Used:
    """Return the sum over operations and tables."""
    return sum(used.values(), Used())


def written(table: Table, old: Item | None, new: Item | None, *, times: int = 1) -> Used:
    """Return what a write costs; `times` is 2 in a transaction, for the table's part."""
    size = max(size_of(old or {}), size_of(new or {}), 1)
    units = math.ceil(size / _WRITE_BYTES) * times
    return Used(write_units=units, index_units=_index_units(table, old, new))


def _index_units(table: Table, old: Item | None, new: Item | None) -> int:
    units = 0
    for index in table.indexes.values():
        was = index.shown(old) if old is not None and index.holds(old) else None
        will = index.shown(new) if new is not None and index.holds(new) else None
        if was == will:
            continue
        if was and will and index.place(was) == index.place(will):
            units += math.ceil(max(size_of(was), size_of(will)) / _WRITE_BYTES)
        else:
            units += sum(math.ceil(size_of(item) / _WRITE_BYTES) for item in (was, will) if item)
    return units


def read(size: int, *, consistent: bool) -> Used:
    """Return what reading `size` bytes costs; reading nothing costs the least there is."""
    units = max(math.ceil(size / _READ_BYTES), 1)
    return Used(read_units=units if consistent else units / 2)
