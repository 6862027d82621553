"""Bring the builds of one aggregate over an unbroken run of commits: the heart of the read side.

Apply-if-next: a view moves only from exactly where it stands, by one conditional write. So it
makes no difference who applies, how often or in which order commits arrive. Both the projector
and a rebuild apply in this one way, side by side.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from domain.registry import Registry
from eventstore.aws_errors import may_pass
from eventstore.commits import Commit
from eventstore.errors import StoreUnavailable
from eventstore.folding import domain_events
from eventstore.log import CommitLog
from projections.bounds import READ_BOUNDS, ReadBounds
from projections.gaps import commits_after
from projections.projection import Change, Document, Projection
from projections.views import View, ViewStore

# Views by (projection's build, aggregate id).
Views = Mapping[tuple[str, str], View]


def _nothing_before(_commits: Sequence[Commit]) -> None:
    pass


def _nothing_after(_build: Projection, _commits: Sequence[Commit]) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Applied:
    """Commits of one aggregate that were applied now, and that arrived but were before.

    Attributes:
        left_behind: spare builds that could not apply them and never will, with the error.

    """

    aggregate_id: str
    now: Sequence[Commit]
    before: Sequence[Commit]
    left_behind: Sequence[tuple[Projection, Exception]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Applier:
    """Applies to the views of one region. `views` takes builds as they are given."""

    log: CommitLog
    registry: Registry
    views: ViewStore
    bounds: ReadBounds = READ_BOUNDS

    def bring_up(
        self,
        aggregate_id: str,
        arrived: Sequence[Commit],
        *,
        builds: Iterable[Projection],
        known: Views,
        spare: Container[str] = (),
        before_a_write: Callable[[Sequence[Commit]], None] = _nothing_before,
        after_a_write: Callable[[Projection, Sequence[Commit]], None] = _nothing_after,
    ) -> Applied:
        """Bring every build that covers an aggregate up to what arrived, slice by slice.

        Args:
            aggregate_id: the aggregate.
            arrived: some of its commits, by position, without repetition.
            builds: written in this order.
            known: views read before; what is missing is read.
            spare: builds (`Projection.build`) that must not stop the others: what they cannot
                apply they are left behind at.
            before_a_write: called with the commits of each slice.
            after_a_write: called with a build and what it has then applied of a slice.

        Raises:
            StoreUnavailable: try again.
            CorruptLog: the log cannot be applied.

        """
        covering = [build for build in builds if build.covers(aggregate_id)]
        keys = [(build.build, aggregate_id) for build in covering]
        if not all(key in known for key in keys):
            known = self.views.read_many((build, aggregate_id) for build in covering)
        views = {key: known[key] for key in keys}
        lowest = min((view.applied for view in views.values()), default=0)
        run = commits_after(self.log, lowest, arrived)
        aggregate = self.registry.aggregate_of(aggregate_id)
        left_behind: dict[str, tuple[Projection, Exception]] = {}
        # A long gap makes progress that a time-out half way does not undo.
        for start in range(0, len(run), self.bounds.commits_a_write):
            part = run[start : start + self.bounds.commits_a_write]
            before_a_write(part)
            changes = [Change(commit, domain_events(aggregate, commit)) for commit in part]
            for build in covering:
                if build.build in left_behind:
                    continue
                key = (build.build, aggregate_id)
                stood_at = views[key].applied
                try:
                    views[key] = self._advance(build, aggregate_id, changes, views[key])
                except Exception as error:
                    if build.build not in spare or may_pass(error):
                        raise
                    left_behind[build.build] = (build, error)
                else:
                    after_a_write(build, [c for c in part if c.last_position > stood_at])
        before = [c for c in arrived if c.last_position <= lowest]
        return Applied(aggregate_id, run, before, tuple(left_behind.values()))

    def _advance(
        self, build: Projection, aggregate_id: str, changes: Sequence[Change], view: View
    ) -> View:
        """Bring one view over these changes; return it as it is then."""
        for _ in range(self.bounds.view_write_tries):
            ahead = [c for c in changes if c.commit.last_position > view.applied]
            if not ahead:
                return view
            if not ahead[0].commit.follows(view.applied):
                # The view is behind where it was read: only its removal can do that. Look again.
                raise StoreUnavailable(f"{build.name} moved back while it was applied")
            moved, rows = fold_changes(build, view, one_write(ahead, self.bounds))
            written = self.views.write(
                build, aggregate_id, before=view.applied, view=moved, rows=rows
            )
            # Another projector was first: not a failure, only news.
            view = moved if written else self.views.read(build, aggregate_id, consistent=True)
        if view.applied < changes[-1].commit.last_position:
            raise StoreUnavailable(f"{build.name} is contended; apply again")
        return view


def one_write(changes: Sequence[Change], bounds: ReadBounds) -> Sequence[Change]:
    """Return as many changes from the start as one write takes: rows and bytes are bounded."""
    size = 0
    for count, change in enumerate(changes):
        size += sum(len(event.data) for event in change.commit.events)
        if count and (count >= bounds.commits_a_write or size > bounds.bytes_a_write):
            return changes[:count]
    return changes


def fold_changes(
    build: Projection, view: View, changes: Sequence[Change]
) -> tuple[View, dict[int, Document]]:
    """Return a view after some changes, and the rows of those changes by position."""
    document = view.document
    rows: dict[int, Document] = {}
    for change in changes:
        document = build.apply(document, change)
        if build.row is not None:
            rows[change.commit.position] = build.row(change)
    last = changes[-1].commit
    return View(last.last_position, last.position, document), rows
