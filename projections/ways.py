"""The way of commits through one region: when each arrived, and when each projection applied it.

A record for traces and metrics, in times of that region's clock. Nothing is decided by it, and
parts of it may be missing: what was applied before is acknowledged again without it.
"""

from collections.abc import Callable, Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eventstore.commits import LAST_MS, Commit
from projections.projection import Projection

# In ms after the commit was decided. Clocks differ, so an offset may be below zero.
Offset = Annotated[int, Field(ge=-LAST_MS, le=LAST_MS)]


class Way(BaseModel):
    """One commit's way through one region, each time in ms after it was decided.

    Attributes:
        committed: it stood in the log, by the clock of its region of origin; the fast lane tells.
        arrived: it came to the projector here; None where it was found in the log at a gap.
        applied: each projection, by name, had applied it.
        heard: its acknowledgement came to the region that answers, by the clock of that.

    """

    # What a newer version tells besides is left aside: nothing is decided by any of it.
    model_config = ConfigDict(frozen=True, extra="ignore")

    committed: Offset | None = None
    arrived: Offset | None = None
    applied: dict[str, Offset] = {}
    heard: Offset | None = None

    def stored(self) -> str:
        """Return it as JSON, without what it lacks."""
        return self.model_dump_json(exclude_defaults=True)

    @classmethod
    def read(cls, text: str) -> "Way":
        """Return what was stored; nothing, if it cannot be read: no answer may stop at it."""
        try:
            return cls.model_validate_json(text)
        except ValidationError:
            return cls()


class Ways:
    """Notes the ways of the commits of one batch, as they are gone.

    Args:
        now_ms: the wall clock, in ms since 1970.

    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._came_at_ms = now_ms()
        self._committed_at_ms: dict[str, int] = {}
        self._arrived: set[str] = set()
        self._applied: dict[str, dict[str, int]] = {}

    def arrived(self, commits: Iterable[Commit], *, committed_at_ms: int | None) -> None:
        """Note commits of the batch, and when they were committed, where that is told."""
        for commit in commits:
            self._arrived.add(commit.commit_id)
            if committed_at_ms is not None:
                self._committed_at_ms[commit.commit_id] = committed_at_ms

    def applied(self, build: Projection, commits: Iterable[Commit]) -> None:
        """Note that a projection has applied commits, just now."""
        now_ms = self._now_ms()
        for commit in commits:
            at = self._applied.setdefault(commit.commit_id, {})
            at[build.name] = now_ms - commit.recorded_at_ms

    def of(self, commit: Commit) -> Way | None:
        """Return the way of a commit; None if nothing here applied it in this batch."""
        applied = self._applied.get(commit.commit_id)
        if applied is None:
            return None
        committed_at_ms = self._committed_at_ms.get(commit.commit_id)
        return Way(
            committed=None if committed_at_ms is None else committed_at_ms - commit.recorded_at_ms,
            arrived=self._came_at_ms - commit.recorded_at_ms if self.has(commit) else None,
            applied=applied,
        )

    def has(self, commit: Commit) -> bool:
        """Say whether a commit came with the batch, and was not found in the log at a gap."""
        return commit.commit_id in self._arrived
