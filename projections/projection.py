"""What a read model is: one module with a pure `apply`, and where its items stand.

A projection never reads a clock, a table or another projection: given the view so far and
the next commit it says the view after it. So it can be rebuilt from the log at any time. It is
not asked about a subject that is forgotten: there is nothing to show of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from domain.aggregate import Event
from eventstore.commits import Commit
from eventstore.identity import Keys

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A commit with its domain events read; a refusal or a no-op has none."""

    commit: Commit
    events: tuple[Event, ...]

    @property
    def forgets(self) -> bool:
        """Whether from this commit on nothing of the aggregate is shown any more."""
        return any(event.forgets for event in self.events)


def _no_list_keys(_document: Document, _keys: Keys) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """A read model of the aggregates with these tags.

    Args:
        name: part of every key of its items; permanent for one version.
        version: goes up when `apply` changes what it writes.
        generation: goes up when the same version is built once more; code leaves it at 0.
        tags: the aggregates that it shows; None for every one.
        apply: (document so far, change) -> document after it; None while there is nothing.
        row: a change as an item of its own beside the document, or None for no such items.
        list_keys: the lists that a document stands in, by index attribute (`l1`, `l2`).
        shows_state: Event B takes the aggregate's state from this projection.

    """

    name: str
    version: int
    tags: frozenset[str] | None
    apply: Callable[[Document | None, Change], Document | None]
    row: Callable[[Change], Document] | None = None
    list_keys: Callable[[Document, Keys], Mapping[str, str]] = _no_list_keys
    shows_state: bool = False
    generation: int = 0

    @property
    def label(self) -> str:
        """Tell this build from other builds of the projection: its version, and generation."""
        return f"{self.version}.{self.generation}" if self.generation else str(self.version)

    @property
    def build(self) -> str:
        """What every key of this build begins with."""
        return f"{self.name}#{self.label}"

    def key(self, aggregate_id: str) -> str:
        """Return the partition key of all items of one aggregate in this build."""
        return f"{self.build}#{aggregate_id}"

    def covers(self, aggregate_id: str) -> bool:
        """Say whether this projection shows the aggregate."""
        return self.tags is None or aggregate_id.partition(".")[0] in self.tags
