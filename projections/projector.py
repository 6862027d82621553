"""Apply commits to the read models of one region, and acknowledge them to their origin.

Apply-if-next: a view moves only over an unbroken run of commits from exactly where it stands.
So late, early, repeated and reordered arrivals are all harmless, and a gap is filled from the
log instead of waiting in memory. An aggregate stops at its first failure; others go on.
A commit is acknowledged only after every projection that covers it has applied it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from botocore.exceptions import ClientError

from domain.registry import Registry
from eventstore.aws_errors import may_pass
from eventstore.commits import Commit
from eventstore.errors import StoreUnavailable
from eventstore.folding import domain_events
from eventstore.log import CommitLog
from projections.acknowledgements import Acknowledger, messages_by_region
from projections.bounds import READ_BOUNDS, ReadBounds
from projections.failures import set_aside_commit
from projections.gaps import commits_after
from projections.lane import Delivery
from projections.letters import Filing, LetterStore
from projections.projection import Change, Document, Projection
from projections.regions import Topology
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


@dataclass(frozen=True, slots=True)
class _Applied:
    """Commits of one aggregate that were applied now, and that arrived but were before."""

    now: Sequence[Commit]
    before: Sequence[Commit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Projector:
    """The projector of one region.

    Args:
        region: the projector's own.
        regions: all of them; commits of an origin that is no longer one are not acknowledged.
        topology: who answers for whom, as far as it is known. The projector goes on in every
            state, and by old ones an acknowledgement takes a detour, nothing else.
        acknowledge: sends acknowledgements to the regions of origin.
        redeliver: has commits delivered to this projector again, some seconds later.
        now_ms: the wall clock, in ms since 1970.

    """

    region: str
    regions: frozenset[str]
    topology: Callable[[], Topology]
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

    def apply(self, deliveries: Iterable[Delivery]) -> Failures:
        """Apply commits that arrived, in any order, with repetitions."""
        arrived: dict[str, dict[int, Commit]] = defaultdict(dict)
        again: set[str] = set()
        for delivery in deliveries:
            for commit in delivery.commits:
                arrived[commit.aggregate_id][commit.position] = commit
                again |= {commit.commit_id} if delivery.again else set()
        views = self._read_views(arrived)
        failures = Failures({}, {})
        applied: list[_Applied] = []
        for aggregate_id, by_position in arrived.items():
            in_order = [by_position[at] for at in sorted(by_position)]
            try:
                applied.append(self._apply_aggregate(aggregate_id, in_order, views))
            except Exception as error:  # noqa: BLE001 - whatever stops one aggregate stops it alone
                if may_pass(error) or not self.file(set_aside_commit(in_order[0], error)):
                    failures.again[aggregate_id] = error
                else:
                    failures.aside[aggregate_id] = error
        failures.again.update(self._acknowledge(applied, again))
        return failures

    def file(self, failure: Filing) -> bool:
        """File a dead letter, so that the others can go on; False if that could not be done."""
        try:
            self.letters.file(failure, at_ms=self.now_ms())
        except (StoreUnavailable, ClientError):
            return False
        return True

    def _covering(self, aggregate_id: str) -> list[Projection]:
        return [p for p in self.projections if p.covers(aggregate_id)]

    def _read_views(self, aggregate_ids: Iterable[str]) -> dict[tuple[str, str], View]:
        """Read the views of a batch together; what cannot be read is left to its aggregate."""
        try:
            return self.views.read_many((p, a) for a in aggregate_ids for p in self._covering(a))
        except (StoreUnavailable, ClientError, KeyError, ValueError):
            return {}

    def _apply_aggregate(
        self, aggregate_id: str, arrived: Sequence[Commit], batch: dict[tuple[str, str], View]
    ) -> _Applied:
        """Bring every view of an aggregate up to what arrived, slice by slice."""
        covering = self._covering(aggregate_id)
        keys = [(p.name, aggregate_id) for p in covering]
        known = all(key in batch for key in keys)
        read = batch if known else self.views.read_many((p, aggregate_id) for p in covering)
        views = {key: read[key] for key in keys}
        lowest = min((view.applied for view in views.values()), default=0)
        run = commits_after(self.log, lowest, arrived)
        aggregate = self.registry.aggregate_of(aggregate_id)
        # A long gap makes progress that a time-out half way does not undo.
        for start in range(0, len(run), self.bounds.commits_a_write):
            part = run[start : start + self.bounds.commits_a_write]
            self._open_answers(part)
            changes = [Change(commit, domain_events(aggregate, commit)) for commit in part]
            for projection in covering:
                key = (projection.name, aggregate_id)
                views[key] = self._advance(projection, aggregate_id, changes, views[key])
        return _Applied(run, [c for c in arrived if c.last_position <= lowest])

    def _open_answers(self, commits: Sequence[Commit]) -> None:
        """Let every answer that is owed here be known before its commit is applied.

        So a crash after this leaves an answer that the sweeper knows to be pending.
        """
        now_ms = self.now_ms()
        answering = self.topology().answering_region
        for commit in commits:
            # What is folded again long after must not be answered again.
            if answering(commit.origin) == self.region and not self.bounds.may_be_forgotten(
                commit.recorded_at_ms, now_ms=now_ms
            ):
                due_ms = now_ms + self.bounds.answer_due_ms
                self.responses.gather(commit.commit_id, {}, due_ms=due_ms)

    def _advance(
        self, projection: Projection, aggregate_id: str, changes: Sequence[Change], view: View
    ) -> View:
        """Bring one view over these changes; return it as it is then."""
        for _ in range(self.bounds.view_write_tries):
            ahead = [c for c in changes if c.commit.last_position > view.applied]
            if not ahead:
                return view
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
        return view

    def _acknowledge(
        self, applied: Sequence[_Applied], redelivered: set[str]
    ) -> dict[str, Exception]:
        """Acknowledge to the regions that answer; return the aggregates that must come again."""
        # What was applied before is acknowledged again: its acknowledgement may be lost.
        commits = [
            c for one in applied for c in (*one.before, *one.now) if c.origin in self.regions
        ]
        if not commits:
            return {}
        answering = self.topology().answering_region
        bodies = messages_by_region(
            commits, answering=answering, region=self.region, applied_at_ms=self.now_ms()
        )
        unheard = self.acknowledge(bodies)
        # An origin out of reach must not hold up the stream for all others: what it has not
        # heard comes back to this projector later, and is acknowledged then. One copy: what
        # repeats for another reason has its copy under way.
        new = {commit.commit_id for one in applied for commit in one.now}
        wanted = new | redelivered
        again = [c for c in commits if answering(c.origin) in unheard and c.commit_id in wanted]
        if again:
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
