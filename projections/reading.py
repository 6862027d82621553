"""Read one aggregate's view at the consistency that the reader asks for.

- `eventual`: what this region has applied.
- `at_least` a token: at or after the commit that the token names; waits, bounded.
- `strong`: as of the log's head. The rest of the log is folded onto the view by the
  projection's own `apply`, so a lagging region answers late to nobody. In EVENTUAL mode the
  head is that in the region which appends: it has all that was answered, and all that it took.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.registry import Registry
from eventstore.chain import chain_after
from eventstore.commits import EPOCH_SPAN, Commit
from eventstore.consistency import ConsistencyToken, token_at
from eventstore.errors import StoreUnavailable, Superseded
from eventstore.folding import domain_events
from eventstore.identity import Keys
from eventstore.log import CommitLog
from eventstore.sealing import IN_CLEAR, Cipher
from projections.applying import applied
from projections.bounds import READ_BOUNDS, ReadBounds
from projections.projection import Change, Document, Projection
from projections.views import View, ViewStore


class NotCaughtUp(Exception):
    """The region has not applied what the token names within the time given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A document as a reader gets it; None if nothing is known of the aggregate.

    `stale` is whether it is from before what the reader asked for; None for an eventual read,
    which asks for nothing, so that nobody takes it for fresh. `gone`: the subject was forgotten.
    """

    document: Document | None
    applied_sequence: int
    consistency_token: str | None
    stale: bool | None
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Reads in one region. `elapsed_s` is monotonic, `pause` waits seconds.

    `newest` returns the log that has everything of an aggregate: in STRONG mode each one has.
    """

    log: CommitLog
    newest: Callable[[str], CommitLog]
    views: ViewStore
    registry: Registry
    keys: Keys
    elapsed_s: Callable[[], float]
    pause: Callable[[float], None]
    cipher: Cipher = IN_CLEAR
    bounds: ReadBounds = READ_BOUNDS

    def eventual(self, projection: Projection, aggregate_id: str) -> Reading:
        """Return what this region has applied, however old."""
        view = self.views.read(projection, aggregate_id, consistent=False)
        return self._reading(aggregate_id, view, stale=None)

    def at_least(
        self,
        projection: Projection,
        aggregate_id: str,
        *,
        token: ConsistencyToken,
        wait_s: float,
        stale_on_timeout: bool,
    ) -> Reading:
        """Return a view that has applied the token's commit, waiting for it up to `wait_s`.

        Raises:
            NotCaughtUp: it has not, and the reader did not ask for a stale answer then.
            Superseded: it stands on a later branch, of which that commit is not.

        """
        deadline_s = self.elapsed_s() + wait_s
        while True:
            view = self.views.read(projection, aggregate_id, consistent=True)
            if view.has(token.last_position):
                return self._reading(aggregate_id, view)
            if self.elapsed_s() >= deadline_s:
                break
            self.pause(self.bounds.read_poll_ms / 1000)
        if stale_on_timeout:
            return self._reading(aggregate_id, view, stale=True)
        if view.left_aside(token.last_position):
            raise Superseded("the token's commit was superseded; the command was not carried out")
        sequence = view.applied % EPOCH_SPAN
        raise NotCaughtUp(f"this region has applied sequence {sequence}, not {token.sequence} yet")

    def strong(self, projection: Projection, aggregate_id: str) -> Reading:
        """Return the view as of the log's head, read across regions.

        Raises:
            StoreUnavailable: the region that has it cannot be reached, or is just changing.

        """
        # Folded on by the same build's code that has written it.
        projection, view = self.views.read_live(projection, aggregate_id, consistent=True)
        aggregate = self.registry.aggregate_of(aggregate_id)
        log = self.newest(aggregate_id)
        view, rest = self._rest(log, aggregate_id, view)
        if self.newest(aggregate_id) is not log:
            raise StoreUnavailable("the aggregate has moved to another region meanwhile")
        for commit in rest:
            change = Change(commit, domain_events(aggregate, commit, self.cipher))
            view = applied(projection, view, change)
        return self._reading(aggregate_id, view)

    def _rest(self, log: CommitLog, aggregate_id: str, view: View) -> tuple[View, Sequence[Commit]]:
        """Return the commits up to the log's head, and the view to fold them onto."""
        here = list(log.read(aggregate_id, after=view.applied, consistent=True))
        chain = chain_after(view.applied, here)
        # The view may be ahead of another region's log, by what may be superseded.
        ahead = not here and log is not self.log and view.applied
        if chain.turned or (ahead and log.get(aggregate_id, view.commit, consistent=True) is None):
            view = View()
            chain = chain_after(0, list(log.read(aggregate_id, consistent=True)))
        if not chain.whole:
            raise StoreUnavailable(f"commits of {aggregate_id} are still on their way")
        return view, chain.run

    def _reading(self, aggregate_id: str, view: View, *, stale: bool | None = False) -> Reading:
        token = None
        if view.applied:
            token = token_at(
                self.keys,
                aggregate_id=aggregate_id,
                position=view.commit,
                last_position=view.applied,
            )
        return Reading(
            document=view.document,
            applied_sequence=view.applied % EPOCH_SPAN,
            consistency_token=token,
            stale=stale,
            gone=view.gone,
        )
