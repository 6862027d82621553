"""What an audit reads, and what it finds: raw items by key or page by page, nothing kept.

`antiphon.reading` has it of a running system; tests have it of tables in memory, where any
one thing can be altered.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from antiphon.violations import Violation
from projections.builds import BuildState
from projections.regions import Topology
from projections.repair import Mend

Item = dict[str, Any]
# A commit's place in the log: aggregate id and position.
LogPlace = tuple[str, int]
# A view item's: partition key and sort key.
Place = tuple[str, str]
Table = Literal["events", "views", "responses"]

KEYS: Mapping[Table, tuple[str, ...]] = {
    "events": ("a", "q"),
    "views": ("k", "s"),
    "responses": ("c",),
}


class Source(Protocol):
    """Reads one system, consistently but for the regions' replicas of the log."""

    @property
    def regions(self) -> Sequence[str]:
        """The regions that can be looked at."""
        ...

    def topology(self) -> Topology:
        """Return the regions' states now."""
        ...

    def unreached(self) -> Mapping[str, str]:
        """Return which regions something may be unable to reach now, and why."""
        ...

    def build_states(self, region: str) -> Mapping[str, BuildState]:
        """Return the states of a region's builds now."""
        ...

    def log_pages(self) -> Iterator[Sequence[Item]]:
        """Yield the whole log; the commits of an aggregate come together and in order."""
        ...

    def log_of(self, aggregate_id: str) -> Sequence[Item]:
        """Return the commits of one aggregate, as stored."""
        ...

    def in_log(self, places: Iterable[LogPlace]) -> set[LogPlace]:
        """Return those of these places where the log has a commit."""
        ...

    def get(self, region: str, table: Table, keys: Iterable[Item]) -> list[Item]:
        """Return the items there are of these keys; of the log as the region's replica has it."""
        ...

    def pages(self, region: str, table: Table) -> Iterator[Sequence[Item]]:
        """Yield all of a region's table; of the log what is in the region's replica."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        late: it may only be on its way; it is no violation before it has had its time.
        concerns: the regions without which it cannot come.
        mend: how it can be repaired, None if it cannot.

    """

    violation: Violation
    late: bool = False
    concerns: frozenset[str] = frozenset()
    mend: Mend | None = None
