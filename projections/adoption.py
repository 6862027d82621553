"""Hand the answers of a lost region over to who adopts it, and home again when it returns.

Either way every commit that came in there has its answer in one place before anybody may give
it: what was published goes over as it was, what was only built is published as it was built,
and the rest is opened where it is to be answered. So a commit has one body under its one id;
but where the tables of a lost region cannot be read, what it had published is answered anew.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from eventstore.errors import StoreUnavailable
from eventstore.scanning import Entry, Scan
from projections.bounds import ReadBounds
from projections.response_items import Response
from projections.responses import ResponseStore

# A lost region is asked this often, with these pauses, before it counts as silent.
_PAUSES_S = (0.5, 1.0, 2.0, 4.0)
_READ_TRIES = 4


@dataclass(frozen=True, slots=True)
class Adopted:
    """How far an adoption is.

    Attributes:
        looked_at: commits of the log so far.
        opened: answers that are to be given now.
        given: answers known to be given before.
        silent: regions whose answers could not be read, so that some are given once more.

    """

    looked_at: int = 0
    opened: int = 0
    given: int = 0
    silent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Homed:
    """How far answers are on their way home: commits looked at, answers still to be given."""

    looked_at: int
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """Moves answers between regions. Safe to repeat: what is open or given stays as it is.

    Args:
        scan: the log, read where it can be reached.
        responses_of: the response items of any region.
        together: does some things at the same time; returns what each returned.
        now_ms: the wall clock, in ms since 1970.
        pause: waits seconds.
        bounds: say how long an answer is kept, so how old a commit is that may lack one.

    """

    scan: Scan
    responses_of: Callable[[str], ResponseStore]
    together: Callable[[Sequence[Callable[[], bool]]], Sequence[bool]]
    now_ms: Callable[[], int]
    pause: Callable[[float], None]
    bounds: ReadBounds

    def take_over(self, adopter: str, keepers: Mapping[str, Sequence[str]]) -> Iterator[Adopted]:
        """Open the answers of lost origins in the region that adopts them, page by page.

        Begin it only when nothing is recorded for these origins any more, and nobody answers
        them: so what is found here is all that there will be.

        Args:
            adopter: the region that is to answer.
            keepers: by origin, the regions that may have answers of it.

        Raises:
            StoreUnavailable: the log or some items cannot be reached now; begin again.

        """
        lost = sorted({region for regions in keepers.values() for region in regions} - {adopter})
        pending = {region: self._pending_in(region) for region in lost}
        silent = tuple(region for region, found in pending.items() if found is None)
        owed = frozenset[str]().union(*(found for found in pending.values() if found))
        looked_at = opened = given = 0
        for page in self.scan.pages():
            theirs = [e for e in page if e.origin in keepers and self._may_be_owed(e, owed)]
            were_given = self.together(
                [
                    partial(
                        self._adopt,
                        entry,
                        adopter=adopter,
                        ask=[r for r in keepers[entry.origin] if r not in {adopter, *silent}],
                    )
                    for entry in theirs
                ]
            )
            looked_at += len(page)
            given += sum(were_given)
            opened += len(theirs) - sum(were_given)
            yield Adopted(looked_at, opened, given, silent)

    def bring_home(self, region: str, answering: str, origins: frozenset[str]) -> Iterator[Homed]:
        """Bring the answers that another region has given to these origins home to a region.

        Ends when every one of them is given and at home. Begin it only when nothing is
        recorded for these origins any more.

        Raises: as `take_over`.
        """
        owed = frozenset(self.responses_of(region).pending())
        yield from self._bring(
            region,
            answering,
            lambda entry: entry.origin in origins and self._may_be_owed(entry, owed),
        )

    def close(self, region: str, answering: str, origins: frozenset[str]) -> Iterator[Homed]:
        """Close what a region had taken over of these origins, and another has answered since.

        Raises: as `take_over`.
        """
        owed = frozenset(self.responses_of(region).pending())
        yield from self._bring(
            region,
            answering,
            lambda entry: entry.origin in origins and entry.commit_id in owed,
        )

    def _bring(
        self, region: str, answering: str, concerns: Callable[[Entry], bool]
    ) -> Iterator[Homed]:
        looked_at = 0
        for page in self.scan.pages():
            left = [entry for entry in page if concerns(entry)]
            looked_at += len(page)
            # Unbounded on purpose: until they are given, the region must not serve.
            while True:
                home = self.together(
                    [partial(self._home, entry, region, answering) for entry in left]
                )
                left = [entry for entry, is_home in zip(left, home, strict=True) if not is_home]
                yield Homed(looked_at, len(left))
                if not left:
                    break

    def _may_be_owed(self, entry: Entry, owed: frozenset[str]) -> bool:
        """Say whether a commit may lack its answer: of what is pending the age does not matter."""
        forgotten = self.bounds.may_be_forgotten(entry.recorded_at_ms, now_ms=self.now_ms())
        return not forgotten or entry.commit_id in owed

    def _pending_in(self, region: str) -> frozenset[str] | None:
        """Return what a region has not answered, None if it is silent.

        One read that fails says little: it may be throttled, and what it had published would
        be answered anew. And who was heard once is not silent later: then reading must succeed.
        """
        for pause_s in (*_PAUSES_S, None):
            try:
                return frozenset(self.responses_of(region).pending())
            except StoreUnavailable:
                if pause_s is not None:
                    self.pause(pause_s)
        return None

    def _adopt(self, entry: Entry, *, adopter: str, ask: Sequence[str]) -> bool:
        """Open the answer to one commit; True if it was published already."""
        here = self.responses_of(adopter)
        known = here.get(entry.commit_id)
        if known is not None and known.published_at_ms is not None:
            return True
        told = self._told(entry, ask)
        if told is not None and told.published_at_ms is not None and not _has_body(known):
            here.take_over(told)
            return True
        if here.gather(entry.commit_id, {}, due_ms=self.now_ms()) is None:
            return True
        if told is not None and told.body is not None:
            # Built there and perhaps published: then this is the body that it was.
            here.store_body(entry.commit_id, told.body, at_ms=told.stored_at_ms or 0)
        return False

    def _told(self, entry: Entry, ask: Sequence[str]) -> Response | None:
        """Return what these regions know of an answer: of two, who has published it."""
        found = [self._read(region, entry.commit_id) for region in ask]
        known = [response for response in found if response is not None]
        known.sort(key=lambda one: (one.published_at_ms is None, one.body is None))
        return known[0] if known else None

    def _read(self, region: str, commit_id: str) -> Response | None:
        for _ in range(_READ_TRIES - 1):
            try:
                return self.responses_of(region).get(commit_id)
            except StoreUnavailable:
                self.pause(_PAUSES_S[0])
        return self.responses_of(region).get(commit_id)

    def _home(self, entry: Entry, region: str, answering: str) -> bool:
        """Say whether an answer is given and at home; open it where it is to be given."""
        home, there = self.responses_of(region), self.responses_of(answering)
        kept = home.get(entry.commit_id)
        if kept is not None and kept.published_at_ms is not None:
            return True
        given = there.get(entry.commit_id)
        if given is not None and given.published_at_ms is not None:
            home.take_over(given)
            return True
        if given is None and self.bounds.may_be_forgotten(
            entry.recorded_at_ms, now_ms=self.now_ms()
        ):
            # It was taken over, answered there and expired there: so it expires here, too.
            home.forget(entry.commit_id)
            return True
        there.gather(entry.commit_id, {}, due_ms=self.now_ms())
        # An old one is looked at again only after long; but now its region waits for it. Due
        # since a moment that stands still: who sweeps there may be behind the clock here for ever.
        there.postpone(entry.commit_id, due_ms=entry.recorded_at_ms)
        if kept is not None and kept.body is not None:
            there.store_body(entry.commit_id, kept.body, at_ms=kept.stored_at_ms or 0)
        return False


def _has_body(response: Response | None) -> bool:
    return response is not None and response.body is not None
