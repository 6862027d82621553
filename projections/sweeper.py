"""Answer what should have been answered: pull is the proof where push got lost.

The sweeper takes overdue pending answers and reads the applied positions in the regions
themselves. A region that has applied the commit counts as acknowledged; one that has not gets
the commit sent again. So a lost message costs time, never an answer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eventstore.commits import Commit, parse_commit_id
from eventstore.errors import StoreUnavailable
from eventstore.log import CommitLog
from projections.bounds import READ_BOUNDS, ReadBounds
from projections.projection import Projection
from projections.responder import Responder
from projections.responses import Response, ResponseStore
from projections.views import ViewStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one sweep did. `lagging` counts the commits each region had not applied."""

    looked_at: int
    answered: int
    lagging: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """The sweeper of one region; `views_of` reads any region's views, `ring` wakes a projector."""

    responder: Responder
    log: CommitLog
    projections: Sequence[Projection]
    responses: ResponseStore
    views_of: Callable[[str], ViewStore]
    ring: Callable[[str, Commit], None]
    now_ms: Callable[[], int]
    bounds: ReadBounds = READ_BOUNDS

    def sweep(self) -> Swept:
        """Look at every overdue answer once, a bounded number of them."""
        lagging: dict[str, int] = {}
        looked_at = answered = 0
        for commit_id in self.responses.overdue(
            now_ms=self.now_ms(), limit=self.bounds.sweep_answers
        ):
            looked_at += 1
            response = self._prove(commit_id, lagging)
            if response is None:
                continue
            if response.lacks(self.responder.required) or self.responder.answer([response]):
                due_ms = self.now_ms() + self.bounds.sweep_again_ms
                self.responses.postpone(commit_id, due_ms=due_ms)
            else:
                answered += 1
        return Swept(looked_at=looked_at, answered=answered, lagging=lagging)

    def _prove(self, commit_id: str, lagging: dict[str, int]) -> Response | None:
        """Return the response with every region's proof that can be had now."""
        response = self.responses.get(commit_id)
        place = parse_commit_id(commit_id)
        if response is None or response.published_at_ms is not None or place is None:
            return None
        commit = self.log.get(*place, consistent=True)
        if commit is None:
            return None
        proven: dict[str, int] = {}
        for region in sorted(response.lacks(self.responder.required)):
            try:
                if self._has_applied(region, commit):
                    proven[region] = self.now_ms()
                else:
                    lagging[region] = lagging.get(region, 0) + 1
                    self.ring(region, commit)
            except StoreUnavailable:
                lagging[region] = lagging.get(region, 0) + 1
        if not proven:
            return response
        return self.responses.gather(commit_id, proven, due_ms=self.now_ms())

    def _has_applied(self, region: str, commit: Commit) -> bool:
        covering = [
            (p, commit.aggregate_id) for p in self.projections if p.covers(commit.aggregate_id)
        ]
        views = self.views_of(region).read_many(covering)
        return all(view.applied >= commit.last_position for view in views.values())
