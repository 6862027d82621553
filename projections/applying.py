"""Bring the builds of one aggregate over an unbroken run of commits: the heart of the read side.

Apply-if-next: a view moves only from exactly where it stands, by one conditional write. So it
makes no difference who applies, how often or in which order commits arrive. Both the projector
and a rebuild apply in this one way, side by side.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from domain.registry import Registry
from eventstore.aws_errors import may_pass
from eventstore.chain import epoch_of
from eventstore.commits import Commit, size_of
from eventstore.errors import StoreUnavailable
from eventstore.folding import domain_events
from eventstore.sealing import IN_CLEAR, Cipher
from projections.bounds import READ_BOUNDS, ReadBounds
from projections.gaps import Gaps
from projections.projection import Change, Document, Projection
from projections.views import MAX_ROWS_A_WRITE, View, ViewStore

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

    gaps: Gaps
    registry: Registry
    views: ViewStore
    cipher: Cipher = IN_CLEAR
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
        begun = tuple(views.values())
        run = self._run(aggregate_id, arrived, views=begun, before_a_write=before_a_write)
        left_behind: dict[str, tuple[Projection, Exception]] = {}
        # A long gap makes progress that a time-out half way does not undo.
        for start in range(0, len(run), self.bounds.commits_a_write):
            part = run[start : start + self.bounds.commits_a_write]
            before_a_write(part)
            changes = [self._change(commit) for commit in part]
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
        applied = [views[b.build, aggregate_id] for b in covering if b.build not in left_behind]
        if run and not _in_all(applied, run[-1]):
            # Another projector has turned a view to a newer branch, which this run is not of.
            raise StoreUnavailable(f"{aggregate_id} has turned to another branch; apply again")
        aside = [c for c in arrived if any(v.left_aside(c.last_position) for v in applied)]
        if aside:
            before_a_write(aside)
        now = [c for c in run if not _in_all(begun, c)]
        before = [c for c in arrived if _in_all(begun, c) and c not in aside]
        return Applied(aggregate_id, now, before, tuple(left_behind.values()))

    def _run(
        self,
        aggregate_id: str,
        arrived: Sequence[Commit],
        *,
        views: Sequence[View],
        before_a_write: Callable[[Sequence[Commit]], None],
    ) -> Sequence[Commit]:
        """Return what is to be applied: from where the last of these views stands."""
        lowest = min((view.applied for view in views), default=0)
        chain = self.gaps.after(aggregate_id, lowest, arrived)
        if chain.turned:
            chain = self.gaps.after(aggregate_id, 0, arrived)
        if chain.superseded:
            # Nobody comes upon them again: their producers are owed to be told, as answers are.
            before_a_write(chain.superseded)
        return chain.run

    def _advance(
        self, build: Projection, aggregate_id: str, changes: Sequence[Change], view: View
    ) -> View:
        """Bring one view over these changes; return it as it is then."""
        for _ in range(self.bounds.view_write_tries):
            ahead = [c for c in changes if c.commit.last_position > view.applied]
            if not ahead:
                break
            if ahead[0].commit.follows(view.applied):
                moved, rows = fold_changes(build, view, one_write(ahead, self.bounds))
            elif ahead[0].commit.epoch > epoch_of(view.applied):
                moved, rows = self._fold_again(build, view, ahead[-1].commit)
            else:
                # The view is behind where it was read: only its removal can do that. Look again.
                raise StoreUnavailable(f"{build.name} moved back while it was applied")
            written = self.views.write(
                build, aggregate_id, before=view.applied, view=moved, rows=rows
            )
            # Another projector was first: not a failure, only news.
            view = moved if written else self.views.read(build, aggregate_id, consistent=True)
        if view.applied < changes[-1].commit.last_position:
            raise StoreUnavailable(f"{build.name} is contended; apply again")
        return view

    def _fold_again(
        self, build: Projection, view: View, last: Commit
    ) -> tuple[View, dict[int, Document]]:
        """Return a view of another branch than the one it is of, up to `last`, and its new rows."""
        chain = self.gaps.after(last.aggregate_id, 0, [last])
        run = [commit for commit in chain.run if commit.position <= last.position]
        if not run or run[-1] != last:
            raise StoreUnavailable(f"{last.aggregate_id} has turned once more; apply again")
        moved, all_rows = fold_changes(build, View(), [self._change(commit) for commit in run])
        rows = {
            commit.position: all_rows[commit.position]
            for commit in run
            if commit.position in all_rows and not view.has(commit.last_position)
        }
        if build.row is not None:
            for commit in chain.superseded:
                if view.has(commit.last_position):
                    # It was shown: it stays, and says that it counts no more.
                    told = build.row(self._change(commit))
                    rows[commit.position] = {**told, "superseded": True}
        while len(rows) > MAX_ROWS_A_WRITE:
            first = {at: rows.pop(at) for at in list(rows)[:MAX_ROWS_A_WRITE]}
            self.views.put_rows(build, last.aggregate_id, first)
        return moved, rows

    def _change(self, commit: Commit) -> Change:
        aggregate = self.registry.aggregate_of(commit.aggregate_id)
        return Change(commit, domain_events(aggregate, commit, self.cipher))


def _in_all(views: Sequence[View], commit: Commit) -> bool:
    return all(view.has(commit.last_position) for view in views)


def one_write(changes: Sequence[Change], bounds: ReadBounds) -> Sequence[Change]:
    """Return as many changes from the start as one write takes: rows and bytes are bounded."""
    size = 0
    for count, change in enumerate(changes):
        size += size_of(change.commit.events)
        if count and (count >= bounds.commits_a_write or size > bounds.bytes_a_write):
            return changes[:count]
    return changes


def fold_changes(
    build: Projection, view: View, changes: Sequence[Change]
) -> tuple[View, dict[int, Document]]:
    """Return a view after some changes, and the rows of those changes by position."""
    rows: dict[int, Document] = {}
    for change in changes:
        view = applied(build, view, change)
        if build.row is not None and not view.gone:
            rows[change.commit.position] = build.row(change)
    return view, {} if view.gone else rows


def applied(build: Projection, view: View, change: Change) -> View:
    """Return the view after one more change: of a forgotten subject there is nothing to show."""
    commit, left = change.commit, view.left
    if view.applied and commit.epoch > epoch_of(view.applied):
        left = (*left, view.applied)
    gone = view.gone or change.forgets
    document = None if gone else build.apply(view.document, change)
    return View(commit.last_position, commit.position, document, left, gone)
