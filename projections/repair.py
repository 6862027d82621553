"""Mend what a region made of the log: re-apply, fold again, answer. The log is never touched.

Everything goes by the ways that there are: the projector's queue, the conditional write of a
view, the response item and the sweeper. So it may be done twice, beside live commands, and by
two people at once. What may not be mended so is refused, and changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from domain.registry import Registry
from eventstore.chain import chain_after
from eventstore.commits import Commit
from eventstore.errors import CorruptLog, StoreUnavailable, described
from eventstore.folding import domain_events
from eventstore.log import CommitLog
from eventstore.sealing import IN_CLEAR, Cipher
from projections.applying import fold_changes, one_write
from projections.bounds import READ_BOUNDS, ReadBounds
from projections.builds import Builds
from projections.projection import Change, Projection
from projections.responses import ResponseStore
from projections.views import View, ViewStore


class How(StrEnum):
    """The ways to mend something."""

    APPLY = "apply"
    REFOLD = "refold"
    ANSWER = "answer"


class Mend(BaseModel):
    """One thing to mend in one region.

    Attributes:
        how: send the aggregate to the projector again, fold a view anew from the log, or have
            a commit answered.
        subject: the aggregate's id, for an answer the commit's.
        build: with `refold`, which (`Projection.build`).

    """

    model_config = ConfigDict(frozen=True)

    how: How
    region: str
    subject: str
    build: str = ""

    @property
    def told(self) -> str:
        """What is done, in words."""
        match self.how:
            case How.APPLY:
                return f"{self.subject}: send it to the projector again"
            case How.REFOLD:
                return f"{self.subject}: fold {self.build} again from the log"
            case How.ANSWER:
                return f"{self.subject}: look for the proof of every region, and answer it"


class RepairRefused(Exception):
    """This cannot be mended here; nothing was changed. The message says what can be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """Mends one region.

    Args:
        log: read consistently.
        views: of the region, builds as they are named.
        builds: which builds there are now.
        ring: sends a commit to the region's projector.
        sweep: has the region's sweeper look at what is due; how many answers it gave.

    """

    log: CommitLog
    registry: Registry
    views: ViewStore
    builds: Callable[[], Builds]
    responses: ResponseStore
    ring: Callable[[Commit], None]
    sweep: Callable[[], int]
    now_ms: Callable[[], int]
    cipher: Cipher = IN_CLEAR
    bounds: ReadBounds = READ_BOUNDS

    def mend(self, mend: Mend) -> None:
        """Mend one thing; an answer is only made due: `sweep` gives it.

        Raises:
            RepairRefused: it cannot be done so.
            StoreUnavailable: do the same again.

        """
        try:
            match mend.how:
                case How.APPLY:
                    self._apply(mend.subject)
                case How.REFOLD:
                    self._refold(mend.build, mend.subject)
                case How.ANSWER:
                    self._owe(mend.subject)
        except CorruptLog as error:
            raise RepairRefused(f"the log itself is wrong: {error}") from error
        except ClientError as error:
            raise StoreUnavailable(described(error)) from error

    def _apply(self, aggregate_id: str) -> None:
        """The last commit is enough: the projector reads the rest of its gap from the log."""
        head = self.log.head(aggregate_id, consistent=True)
        if head is None:
            raise RepairRefused(f"the log has no commit of {aggregate_id}")
        self.ring(head)

    def _owe(self, commit_id: str) -> None:
        """Open the answer if it never was, and make it due; one that was given stays given."""
        now_ms = self.now_ms()
        response = self.responses.gather(commit_id, {}, due_ms=now_ms)
        if response is None:
            # Published: takes it out of the pending once more, should it still stand there.
            self.responses.mark_published(commit_id, at_ms=now_ms)
        else:
            self.responses.postpone(commit_id, due_ms=now_ms)

    def _refold(self, label: str, aggregate_id: str) -> None:
        """Write the view anew as of where it stands, on condition that it still stands there.

        So a projector that applies meanwhile wins, and this folds once more, on what it wrote.
        """
        build = next((b for b in self.builds().written() if b.build == label), None)
        if build is None:
            raise RepairRefused(f"{label} is not in use any more")
        for _ in range(self.bounds.view_write_tries):
            try:
                stands = self.views.read(build, aggregate_id, consistent=True).applied
            except (KeyError, ValueError, CorruptLog):
                told = f"the view of {aggregate_id} cannot be read, so nobody knows where it stands"
                raise RepairRefused(f"{told}: antiphon rebuild {build.name}") from None
            if self._fold_at(build, aggregate_id, stands):
                return
        raise StoreUnavailable(f"{label} of {aggregate_id} is written by others; try again")

    def _fold_at(self, build: Projection, aggregate_id: str, stands: int) -> bool:
        here = list(self.log.read(aggregate_id, upto=stands, consistent=True))
        # In EVENTUAL mode some may be superseded; in STRONG mode it is all of them up to a hole.
        commits = chain_after(0, here).run
        if not commits or commits[-1].last_position != stands:
            # Whoever lowered it would hide that the log has lost something.
            told = f"{build.build} of {aggregate_id} stands at {stands}, where the log has no end"
            raise RepairRefused(f"{told}; if the log was restored: antiphon rebuild {build.name}")
        aggregate = self.registry.aggregate_of(aggregate_id)
        changes = [
            Change(commit, domain_events(aggregate, commit, self.cipher)) for commit in commits
        ]
        view, rows = fold_changes(build, View(), changes)
        start = 0
        while start < len(changes):
            part = one_write(changes[start:], self.bounds)
            kept = {c.commit.position: rows[c.commit.position] for c in part} if rows else {}
            # The document comes with every slice of rows, so the last write leaves both whole.
            if not self.views.write(build, aggregate_id, before=stands, view=view, rows=kept):
                return False
            start += len(part) if rows else len(changes)
        return True
