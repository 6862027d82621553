"""Whether a region's views have reached the log: aggregate by aggregate, one page in memory.

What is behind is sent to the region's projector, which reads the rest of its gap itself. A
page is left only once everything on it is applied; so when the last page is, every commit
that was in the log when this began is applied in the region.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from eventstore.commits import Commit
from eventstore.errors import CorruptLog, StoreUnavailable
from eventstore.scanning import Entry, Scan
from projections.projection import Projection
from projections.views import ViewStore

# How often a laggard is sent again: every so many looks that find it lagging still.
_RING_AGAIN = 20


class Commits(Protocol):
    """Finds single commits: a log, or all replicas of one."""

    def get(self, aggregate_id: str, position: int, *, consistent: bool) -> Commit | None:
        """Return the commit whose first event has this position, None if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Compared:
    """How far a comparison is: `aggregates` looked at, `behind` of the page at hand."""

    aggregates: int
    behind: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Compares the log with the views of regions.

    Args:
        scan: the log, read where it can be reached.
        log: the same, for single commits.
        projections: every one that must have applied what it covers.
        views_of: reads any region's views.
        ring: sends a commit to the projector of a region.

    """

    scan: Scan
    log: Commits
    projections: Sequence[Projection]
    views_of: Callable[[str], ViewStore]
    ring: Callable[[str, Commit], None]

    def catch_up(
        self, region: str, *, concerns: Callable[[Entry], bool] = lambda _entry: True
    ) -> Iterator[Compared]:
        """Go over the log until the region has applied all of it that `concerns`.

        Yields while something is behind, so that the caller can pause, and after each page.

        Raises:
            StoreUnavailable: the log or the views cannot be read; begin again.

        """
        views = self.views_of(region)
        aggregates = 0
        for page in self.scan.pages():
            heads = _heads(entry for entry in page if concerns(entry))
            aggregates += len(heads)
            looks = 0
            # Unbounded on purpose: only the operator may decide to go without a region.
            while behind := self._behind(views, heads):
                if looks % _RING_AGAIN == 0:
                    self._ring(region, behind)
                looks += 1
                yield Compared(aggregates, tuple(behind))
                heads = behind
            yield Compared(aggregates, ())

    def _behind(self, views: ViewStore, heads: Mapping[str, int]) -> dict[str, int]:
        """Return the heads that some view of the region has not applied."""
        covering = [(p, a) for a in heads for p in self.projections if p.covers(a)]
        return {
            aggregate_id: heads[aggregate_id]
            for (_, aggregate_id), view in views.read_every(covering).items()
            if view.applied < heads[aggregate_id]
        }

    def _ring(self, region: str, behind: Mapping[str, int]) -> None:
        for aggregate_id, position in behind.items():
            commit = self.log.get(aggregate_id, position, consistent=True)
            if commit is None:
                raise CorruptLog(f"{aggregate_id}.{position} was in the log and is not any more")
            try:
                self.ring(region, commit)
            except StoreUnavailable:
                # The next ringing has another try; the stream brings it, too.
                return


def _heads(entries: Iterable[Entry]) -> dict[str, int]:
    """Return the last position of each aggregate among some commits."""
    heads: dict[str, int] = {}
    for entry in entries:
        heads[entry.aggregate_id] = max(entry.position, heads.get(entry.aggregate_id, 0))
    return heads
