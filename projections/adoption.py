"""Take over the answers of a region that is lost for good.

Every commit of the window that came in there gets a response item in the region that adopts
it, and its sweeper does the rest: proves, builds, publishes. What the lost region had published
already may be published once more: under the same id, but with the times and the state of now
where the body is lost with the region.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from eventstore.errors import StoreUnavailable
from eventstore.scanning import Entry, LogScan
from projections.responses import Response, ResponseStore


@dataclass(frozen=True, slots=True)
class Adopted:
    """How far an adoption is: commits looked at, answers opened, answers known to be given."""

    looked_at: int = 0
    opened: int = 0
    given: int = 0


@dataclass(slots=True, kw_only=True)
class Adoption:
    """Opens the answers of lost origins. Safe to repeat: what is open or given stays as it is.

    Args:
        scan: the log, read where it can be reached.
        adopter: the response items of the region that adopts.
        lost: those of the lost region, to use if they can be read.
        together: adopts some commits at the same time; says of each whether it was answered.
        now_ms: the wall clock, in ms since 1970.
        window_ms: how old a commit may be that is still answered.

    """

    scan: LogScan
    adopter: ResponseStore
    lost: ResponseStore
    together: Callable[[Sequence[Callable[[], bool]]], Sequence[bool]]
    now_ms: Callable[[], int]
    window_ms: int
    _lost_is_silent: bool = field(default=False, init=False)

    def run(self, origins: frozenset[str]) -> Iterator[Adopted]:
        """Adopt page by page; begin it only when nothing is recorded for these origins any more.

        Raises:
            StoreUnavailable: the log or the adopter's items cannot be reached; begin again.

        """
        since_ms = self.now_ms() - self.window_ms
        looked_at = opened = given = 0
        for page in self.scan.pages():
            theirs = [e for e in page if e.origin in origins and e.recorded_at_ms >= since_ms]
            # The first alone: if the lost region is silent, only that one waits for it.
            were_given = [self._adopt(entry) for entry in theirs[:1]]
            were_given += self.together([partial(self._adopt, entry) for entry in theirs[1:]])
            looked_at += len(page)
            given += sum(were_given)
            opened += len(theirs) - sum(were_given)
            yield Adopted(looked_at, opened, given)

    def _adopt(self, entry: Entry) -> bool:
        """Open the answer to one commit; True if it was published already."""
        response = self._known(entry)
        if response is not None and response.published_at_ms is not None:
            return True
        opened = self.adopter.gather(entry.commit_id, {}, due_ms=self.now_ms())
        if opened is None:
            return True
        if response is not None and response.body is not None:
            # Built there and perhaps published: then this is the body that it was.
            stored_at_ms = response.stored_at_ms or 0
            self.adopter.store_body(entry.commit_id, response.body, at_ms=stored_at_ms)
        return False

    def _known(self, entry: Entry) -> Response | None:
        """Return what the lost region knows; once it is silent it is not asked again."""
        if self._lost_is_silent:
            return None
        try:
            return self.lost.get(entry.commit_id)
        except StoreUnavailable:
            self._lost_is_silent = True
            return None
