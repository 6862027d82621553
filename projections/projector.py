"""Apply commits to the read models of one region, and acknowledge them to their origin.

Apply-if-next: a view moves only over an unbroken run of commits from exactly where it stands.
So late, early, repeated and reordered arrivals are all harmless, and a gap is filled from the
log instead of waiting in memory. An aggregate stops at its first failure; others go on.
A commit is acknowledged only after every projection that covers it has applied it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from domain.registry import Registry
from eventstore.commits import Commit
from eventstore.errors import StoreUnavailable
from eventstore.folding import domain_events
from eventstore.log import CommitLog
from projections.acknowledgements import Acknowledger, messages_by_origin
from projections.bounds import READ_BOUNDS, ReadBounds
from projections.gaps import commits_after
from projections.letters import LetterStore
from projections.projection import Change, Document, Projection
from projections.responses import ResponseStore
from projections.views import View, ViewStore


@dataclass(frozen=True, slots=True)
class Failures:
    """The aggregates of a batch that failed, with the error.

    Attributes:
        again: a passing failure: their commits must be delivered again.
        aside: set aside as dead letters: delivering them again would not help.

    """

    again: dict[str, Exception]
    aside: dict[str, Exception]


@dataclass(frozen=True, slots=True, kw_only=True)
class Projector:
    """The projector of one region.

    Args:
        acknowledge: sends acknowledgements to the regions of origin.
        redeliver: has commits delivered to this projector again, some seconds later.
        now_ms: the wall clock, in ms since 1970.

    """

    region: str
    log: CommitLog
    registry: Registry
    projections: Sequence[Projection]
    views: ViewStore
    responses: ResponseStore
    letters: LetterStore
    acknowledge: Acknowledger
    redeliver: Callable[[Sequence[Commit]], None]
    now_ms: Callable[[], int]
    bounds: ReadBounds = READ_BOUNDS

    def apply(self, commits: Iterable[Commit]) -> Failures:
        """Apply commits that arrived, in any order, with repetitions."""
        arrived: dict[str, dict[int, Commit]] = defaultdict(dict)
        for commit in commits:
            arrived[commit.aggregate_id][commit.position] = commit
        wanted = [
            (p, aggregate_id) for aggregate_id in arrived for p in self._covering(aggregate_id)
        ]
        views = self.views.read_many(wanted)
        failed: dict[str, Exception] = {}
        poisoned: dict[str, Exception] = {}
        applied: dict[str, list[Commit]] = {}
        for aggregate_id, by_position in arrived.items():
            in_order = [by_position[at] for at in sorted(by_position)]
            try:
                applied[aggregate_id] = self._apply_aggregate(aggregate_id, in_order, views)
            except StoreUnavailable as error:
                failed[aggregate_id] = error
            except Exception as error:  # noqa: BLE001 - whatever stops one aggregate stops it alone
                poisoned[aggregate_id] = error
        failed |= self._acknowledge(applied)
        for aggregate_id, poison in poisoned.items():
            position = min(arrived[aggregate_id])
            failed |= self.set_aside(aggregate_id, position=position, error=poison)
        return Failures(failed, {name: e for name, e in poisoned.items() if name not in failed})

    def set_aside(
        self, aggregate_id: str, *, position: int, error: Exception
    ) -> dict[str, Exception]:
        """File a dead letter, so that the others can go on; return what must come again."""
        try:
            self.letters.file(aggregate_id, position=position, error=error, at_ms=self.now_ms())
        except StoreUnavailable as unavailable:
            return {aggregate_id: unavailable}
        return {}

    def _covering(self, aggregate_id: str) -> Iterator[Projection]:
        return (p for p in self.projections if p.covers(aggregate_id))

    def _apply_aggregate(
        self, aggregate_id: str, arrived: Sequence[Commit], views: dict[tuple[str, str], View]
    ) -> list[Commit]:
        """Bring every view of an aggregate up to what arrived; return what to acknowledge."""
        covering = list(self._covering(aggregate_id))
        lowest = min((views[p.name, aggregate_id].applied for p in covering), default=0)
        run = commits_after(self.log, lowest, arrived)
        for commit in run:
            if commit.origin == self.region:
                # The item is there before the commit is applied anywhere here, so a crash
                # after this line leaves an answer that the sweeper knows to be pending.
                due_ms = self.now_ms() + self.bounds.answer_due_ms
                self.responses.gather(commit.commit_id, {}, due_ms=due_ms)
        aggregate = self.registry.aggregate_by_tag(aggregate_id.partition(".")[0])
        changes = [Change(commit, domain_events(aggregate, commit)) for commit in run]
        for projection in covering:
            self._advance(projection, aggregate_id, changes, views[projection.name, aggregate_id])
        # What was applied before is acknowledged again: its acknowledgement may be lost.
        return [*(c for c in arrived if c.last_position <= lowest), *run]

    def _advance(
        self, projection: Projection, aggregate_id: str, changes: Sequence[Change], view: View
    ) -> None:
        for _ in range(self.bounds.view_write_tries):
            ahead = [c for c in changes if c.commit.last_position > view.applied]
            if not ahead:
                return
            if not ahead[0].commit.follows(view.applied):
                # The view is behind where it was read: only a rebuild can do that. Look again.
                raise StoreUnavailable(f"{projection.name} moved back while it was applied")
            moved, rows = _fold(projection, view, _one_write(ahead, self.bounds))
            written = self.views.write(
                projection, aggregate_id, before=view.applied, view=moved, rows=rows
            )
            # Another projector was first: not a failure, only news.
            view = moved if written else self.views.read(projection, aggregate_id, consistent=True)
        if view.applied < changes[-1].commit.last_position:
            raise StoreUnavailable(f"{projection.name} is contended; apply again")

    def _acknowledge(self, applied: dict[str, list[Commit]]) -> dict[str, Exception]:
        everything = [commit for commits in applied.values() for commit in commits]
        if not everything:
            return {}
        bodies = messages_by_origin(everything, region=self.region, applied_at_ms=self.now_ms())
        unheard = self.acknowledge(bodies)
        again = [commit for commit in everything if commit.origin in unheard]
        if again:
            # An origin out of reach must not hold up the stream for all others: what it has
            # not heard comes back to this projector later, and is acknowledged then.
            try:
                self.redeliver(again)
            except StoreUnavailable as error:
                return {commit.aggregate_id: error for commit in again}
        return {}


def _one_write(changes: Sequence[Change], bounds: ReadBounds) -> Sequence[Change]:
    """Return as many changes from the start as one write takes: rows and bytes are bounded."""
    size = 0
    for count, change in enumerate(changes):
        size += sum(len(event.data) for event in change.commit.events)
        if count and (count >= bounds.commits_a_write or size > bounds.bytes_a_write):
            return changes[:count]
    return changes


def _fold(
    projection: Projection, view: View, changes: Sequence[Change]
) -> tuple[View, dict[int, Document]]:
    document = view.document
    rows: dict[int, Document] = {}
    for change in changes:
        document = projection.apply(document, change)
        if projection.row is not None:
            rows[change.commit.position] = projection.row(change)
    last = changes[-1].commit
    return View(last.last_position, last.position, document), rows
