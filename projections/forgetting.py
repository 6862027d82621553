"""Forget a subject everywhere: what tells who it was can be read by nobody, then is removed.

The log says so first, so that nothing is decided about the subject any more; then its key is
destroyed; and once nobody can go by the key any more, what was made of the log is erased. Whoever
is stopped anywhere begins again: every step may be done twice. The log itself is never touched.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from domain.aggregate import Aggregate, personal_fields
from eventstore.commits import Commit
from eventstore.errors import StoreUnavailable
from eventstore.log import CommitLog
from eventstore.snapshots import Snapshots
from eventstore.subject_keys import SubjectKeys
from projections.answers import SUPERSEDED
from projections.erasure import ViewErasure
from projections.letters import HOLDING_COMMITS, Letter, LetterStore
from projections.responses import ResponseStore

# How often everything is looked through again until there is nothing left to erase.
_PASSES = 5


class ForgettingRefused(Exception):
    """The subject cannot be forgotten; nothing was changed. The message says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """How far it is: `phase` in a word or two, `told` in a sentence; `waits` if it must pause."""

    phase: str
    told: str
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionsData:
    """What a region holds of subjects besides its replica of the log."""

    keys: SubjectKeys
    views: ViewErasure
    snapshots: Snapshots
    responses: ResponseStore
    letters: LetterStore
    # Deletes the answers about an aggregate that wait in the mailbox; returns how many.
    empty_mailbox: Callable[[str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """Forgets one subject, for one operator.

    Args:
        log: read where it can be reached, consistently.
        aggregate, aggregate_id, natural_key: the subject.
        regions: every region that may hold anything; one that does not answer is waited for.
        data_of: what any region holds.
        order: has the command decided that forgets; returns its commit id.
        fresh_s: how long functions go by a key that they have read, in seconds.
        elapsed_s: a monotonic clock; now_ms: the wall clock, only to record.

    """

    log: CommitLog
    aggregate: Aggregate[Any]
    aggregate_id: str
    natural_key: str
    regions: Sequence[str]
    data_of: Callable[[str], RegionsData]
    order: Callable[[], str]
    fresh_s: float
    elapsed_s: Callable[[], float]
    now_ms: Callable[[], int]

    def forget(self) -> Iterator[Step]:
        """Go the way to its end; when this ends, nobody can tell who the subject was.

        Raises:
            ForgettingRefused: nothing is known of the subject, or the domain refused.
            StoreUnavailable: something cannot be reached; begin again to go on.

        """
        if self.log.head(self.aggregate_id, consistent=True) is None:
            raise ForgettingRefused(f"nothing is known of such a {self.aggregate.name}")
        decided = self.order()
        yield Step("decided", f"{decided}: from here on it refuses every command")
        commits = list(self.log.read(self.aggregate_id, consistent=True))
        yield from self._answered(commits, decided)
        # While it can still be read: nobody may file it anew once this is over.
        yield from self._letters_erased()
        self.data_of(self.regions[0]).keys.destroy(self.aggregate_id, at_ms=self.now_ms())
        yield Step("key destroyed", "what is sealed of it opens for nobody who asks now")
        yield from self._known_everywhere()
        yield from self._held()
        yield from self._erased(commits)
        yield Step("forgotten", self._remains(commits))

    def _answered(self, commits: Sequence[Commit], decided: str) -> Iterator[Step]:
        """Wait until no answer about it is owed: it would have to be told of nobody.

        The decision is answered last, and its answer says that every required region has applied
        it: what came before is opened in its region by then.
        """
        if self.data_of(self.regions[0]).keys.is_forgotten(self.aggregate_id, consistent=True):
            return
        owed = [commit.commit_id for commit in commits]
        while True:
            owed = [one for one in owed if self._is_owed(one, must_be_there=one == decided)]
            if not owed:
                break
            yield Step("its answers", f"{len(owed)} are still to be given", waits=True)

        if self._is_superseded(decided):
            told = f"{decided} was superseded when its region was lost; begin again"
            raise StoreUnavailable(told)

    def _is_superseded(self, commit_id: str) -> bool:
        """Say whether a decision counts for nothing: it must be in the log before the key goes."""
        responses = [self.data_of(region).responses.get(commit_id) for region in self.regions]
        bodies = [one.body for one in responses if one is not None and one.body is not None]
        return any(orjson.loads(body)["outcome"] == SUPERSEDED for body in bodies)

    def _is_owed(self, commit_id: str, *, must_be_there: bool) -> bool:
        found = [self.data_of(region).responses.get(commit_id) for region in self.regions]
        there = [response for response in found if response is not None]
        if not there:
            return must_be_there
        # Where a region was lost, another gives its answers: once given is given.
        return all(response.published_at_ms is None for response in there)

    def _letters_erased(self) -> Iterator[Step]:
        erased = 0
        for region in self.regions:
            letters = self.data_of(region).letters
            erased += sum(self._erase_letter(letters, one) for one in letters.all())
        yield Step("dead letters", f"the messages of {erased} were erased")

    def _erase_letter(self, letters: LetterStore, listed: Letter) -> bool:
        letter = letters.get(listed.letter_id)
        if letter is None or (letter.payload is None and not letter.attributes):
            return False
        texts = (letter.payload or "", *letter.attributes.values())
        named = any(self.natural_key in text for text in texts)
        theirs = letter.aggregate_id == self.aggregate_id and letter.source not in HOLDING_COMMITS
        return (named or theirs) and letters.erase(letter)

    def _known_everywhere(self) -> Iterator[Step]:
        """Wait until each region's own replica says that the key is destroyed."""
        waiting = list(self.regions)
        while waiting:
            waiting = [region for region in waiting if not self._is_known_in(region)]
            if waiting:
                told = f"{', '.join(waiting)} cannot be seen to know it yet"
                yield Step("key destroyed", told, waits=True)

    def _is_known_in(self, region: str) -> bool:
        try:
            return self.data_of(region).keys.is_forgotten(self.aggregate_id, consistent=False)
        except StoreUnavailable:
            return False

    def _held(self) -> Iterator[Step]:
        """Wait until no function goes by the key any more, whenever it has read it."""
        until_s = self.elapsed_s() + self.fresh_s
        while (left_s := until_s - self.elapsed_s()) > 0:
            told = f"functions may go by what they have read for {left_s:.0f} s more"
            yield Step("held", told, waits=True)

    def _erased(self, commits: Sequence[Commit]) -> Iterator[Step]:
        for _ in range(_PASSES):
            erased = 0
            for region in self.regions:
                erased += self._erase_in(self.data_of(region), commits)
            yield Step("erased", f"{erased} items showed something of it")
            yield from self._letters_erased()
            if not erased:
                return
        raise StoreUnavailable("something of it is stored anew again and again; begin again")

    def _erase_in(self, data: RegionsData, commits: Sequence[Commit]) -> int:
        erased = data.views.erase(self.aggregate_id) + data.snapshots.erase(self.aggregate_id)
        erased += sum(data.responses.erase_body(commit.commit_id) for commit in commits)
        return erased + data.empty_mailbox(self.aggregate_id)

    def _remains(self, commits: Sequence[Commit]) -> str:
        clear = clear_commits(self.aggregate, commits)
        told = (
            f"what remains is the pseudonym {self.aggregate_id} with {len(commits)} commits: "
            "what was done and when, and nothing of whom"
        )
        if not clear:
            return told
        return f"{told}; but {len(clear)} commits are from before there were keys, and in clear"


def clear_commits(aggregate: Aggregate[Any], commits: Sequence[Commit]) -> list[Commit]:
    """Return the commits that hold something personal unsealed, as before there were keys."""
    return [
        commit
        for commit in commits
        if commit.outcome == "accepted"
        and any(
            not event.sealed and personal_fields(aggregate.event_class(event.topic))
            for event in commit.events
        )
    ]
