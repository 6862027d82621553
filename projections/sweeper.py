"""Answer what should have been answered: pull is the proof where push got lost.

The sweeper takes overdue pending answers and reads the applied positions in the regions
themselves. A region that has applied the commit counts as acknowledged; one that has not gets
the commit sent again. So a lost message costs time, never an answer. What every required region
has left aside for a later branch (in EVENTUAL mode) is told to its producer as superseded.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from eventstore.commits import Commit, parse_commit_id
from eventstore.errors import CorruptLog, StoreUnavailable
from projections.bounds import READ_BOUNDS, ReadBounds
from projections.proof import Prover
from projections.responder import Responder
from projections.response_items import Response
from projections.responses import ResponseStore

_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one sweep did. `lagging` counts, by region, commits not applied or not answered for.

    `published` tells of each answer when it was decided and published, in ms since 1970.
    """

    looked_at: int
    answered: int
    lagging: Mapping[str, int]
    unanswerable: Mapping[str, Exception]
    published: Sequence[tuple[int, int]] = ()


@dataclass(slots=True)
class _Sweep:
    """What one sweep has seen so far; regions in `silent` are not asked again in it."""

    looked_at: int = 0
    answered: int = 0
    lagging: dict[str, int] = field(default_factory=dict)
    unanswerable: dict[str, Exception] = field(default_factory=dict)
    published: list[tuple[int, int]] = field(default_factory=list)
    recorded_at_ms: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeper:
    """The sweeper of one region.

    Args:
        commit_at: returns a commit of the log, by aggregate id and position.
        given: returns what another region knows of the answer to a commit.
        ring: sends a commit to the projector of a region.
        keep: keeps a commit that is superseded as a dead letter.

    """

    responder: Responder
    commit_at: Callable[[str, int], Commit | None]
    prover: Prover
    responses: ResponseStore
    given: Callable[[str, str], Response | None]
    ring: Callable[[str, Commit], None]
    keep: Callable[[Commit], None]
    now_ms: Callable[[], int]
    bounds: ReadBounds = READ_BOUNDS

    def sweep(self) -> Swept:
        """Look at overdue answers once each, bounded in number and time.

        Raises:
            StoreUnavailable: it is not known which regions are required.

        """
        self.responder.topology()
        swept = _Sweep()
        until_ms = self.now_ms() + self.bounds.sweep_ms
        for commit_id in self.responses.overdue(
            now_ms=self.now_ms(), limit=self.bounds.sweep_answers
        ):
            if self.now_ms() >= until_ms:
                break
            swept.looked_at += 1
            try:
                answered = self._answer(commit_id, swept)
            except Exception as error:  # noqa: BLE001 - one that cannot be answered stops no other
                swept.unanswerable[commit_id] = error
                answered = False
                if isinstance(error, StoreUnavailable):
                    # Of unknown age, but not old for that: it may be on its way here.
                    swept.recorded_at_ms.setdefault(commit_id, self.now_ms())
            if answered:
                swept.answered += 1
            else:
                self._postpone(commit_id, swept)
        return Swept(
            looked_at=swept.looked_at,
            answered=swept.answered,
            lagging=swept.lagging,
            unanswerable=swept.unanswerable,
            published=swept.published,
        )

    def _answer(self, commit_id: str, swept: _Sweep) -> bool:
        """Gather every proof that can be had now, and answer if that is all of them."""
        response = self.responses.get(commit_id)
        place = parse_commit_id(commit_id)
        commit = self.commit_at(*place) if place else None
        if response is None or commit is None:
            raise CorruptLog("a pending answer is of no commit in the log")
        swept.recorded_at_ms[commit_id] = commit.recorded_at_ms
        # Read for each: a sweep may take longer than states may be gone by.
        need = self.responder.need(commit_id)
        if not need.topology.may_answer(self.responder.region, commit.origin):
            return self._is_given_by(need.topology.answering_region(commit.origin), commit_id)
        required = need.required(self.responder.region)
        lacking = response.lacks(required)
        proof = self.prover.look(commit, lacking, skip=swept.silent)
        swept.silent.update(proof.silent)
        for region in (*proof.lagging, *proof.silent):
            swept.lagging[region] = swept.lagging.get(region, 0) + 1
        for region in proof.lagging:
            with suppress(StoreUnavailable):
                self.ring(region, commit)
        if proof.superseded and self._is_superseded(commit, required):
            # First, so that it is kept whatever becomes of this sweep.
            self.keep(commit)
            return self.responder.supersede(response, commit)
        if proof.applied_at_ms:
            gathered = self.responses.gather(commit_id, proof.applied_at_ms, due_ms=self.now_ms())
            if gathered is None:
                return True
            response = gathered
        if response.lacks(required):
            return False
        heard = self.responder.answer([response])
        swept.unanswerable.update(heard.unanswerable)
        swept.published += heard.published
        return not (heard.again or heard.unanswerable)

    def _is_given_by(self, region: str, commit_id: str) -> bool:
        """Say whether the region that answers now has answered, and close the item here if so.

        Who goes by a state that was may acknowledge to who answered then. Until it is answered
        there it stays pending: it may come home, or its time may come here.
        """
        with suppress(StoreUnavailable):
            given = None if region == self.responder.region else self.given(region, commit_id)
            if given is not None and given.published_at_ms is not None:
                self.responses.take_over(given)
                return True
        return False

    def _is_superseded(self, commit: Commit, required: frozenset[str]) -> bool:
        """Say whether every required region is on a branch without a commit.

        All of them are asked: one that has acknowledged it may have turned since.
        """
        return set(self.prover.look(commit, required).superseded) == required

    def _postpone(self, commit_id: str, swept: _Sweep) -> None:
        """Look again later, the later the older it is: old ones must not hold up new ones."""
        now_ms = self.now_ms()
        age_ms = now_ms - swept.recorded_at_ms.get(commit_id, 0)
        wait_ms = min(max(self.bounds.sweep_again_ms, age_ms // 4), _HOUR_MS)
        with suppress(StoreUnavailable):
            self.responses.postpone(commit_id, due_ms=now_ms + wait_ms)
