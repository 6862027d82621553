"""Answer what should have been answered: pull is the proof where push got lost.

The sweeper takes overdue pending answers and reads the applied positions in the regions
themselves. A region that has applied the commit counts as acknowledged; one that has not gets
the commit sent again. So a lost message costs time, never an answer.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from eventstore.commits import Commit, parse_commit_id
from eventstore.errors import StoreUnavailable
from eventstore.log import CommitLog
from projections.bounds import READ_BOUNDS, ReadBounds
from projections.proof import Prover
from projections.responder import Responder
from projections.responses import Response, ResponseStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one sweep did. `lagging` counts, by region, commits not applied or not answered for."""

    looked_at: int
    answered: int
    lagging: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """The sweeper of one region; `ring` sends a commit to the projector of a region."""

    responder: Responder
    log: CommitLog
    prover: Prover
    responses: ResponseStore
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
        proof = self.prover.look(commit, response.lacks(self.responder.required))
        for region in (*proof.lagging, *proof.silent):
            lagging[region] = lagging.get(region, 0) + 1
        for region in proof.lagging:
            with suppress(StoreUnavailable):
                self.ring(region, commit)
        if not proof.applied_at_ms:
            return response
        return self.responses.gather(commit_id, proof.applied_at_ms, due_ms=self.now_ms())
