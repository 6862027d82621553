"""Whether what a dead letter is about has been settled, by a replay or by anything else.

Looks at what counts, never at what was tried: the read models, the log, the answer. A letter
that is settled ends; nothing else about it changes here.
"""

from collections.abc import Callable, Iterable

import orjson
from botocore.exceptions import ClientError

from eventstore.commits import Commit, from_item
from eventstore.errors import CorruptLog, StoreUnavailable
from handlers.dependencies import Dependencies
from projections.failures import LOG, PROJECTOR, RESPONDER, STREAM, SWEEPER
from projections.letters import Letter


class Settling:
    """Looks at the causes of one region's letters."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._region = deps.settings.region
        self._settled: dict[str, Callable[[Letter], str | None]] = {
            PROJECTOR: self._caught_up,
            STREAM: self._caught_up,
            LOG: self._restored,
            RESPONDER: self._answered,
            SWEEPER: self._answered,
        }

    def end_if_settled(self, letter: Letter) -> str | None:
        """End a letter of which the cause is gone, and return why it is.

        None while it is not, or where it cannot be known: a message only its reader can judge.

        Raises:
            StoreUnavailable, CorruptLog: it cannot be known now.

        """
        look = self._settled.get(letter.source)
        why = look(letter) if look is not None else None
        if why is None or not self._deps.letters.finish(letter, at_ms=self._deps.edge.now_ms()):
            return None
        return why

    def end_all_settled(self, letters: Iterable[Letter], *, until_ms: int) -> int:
        """End the letters of which the cause is gone; return how many. Bounded in time."""
        ended = 0
        for letter in letters:
            if self._deps.edge.now_ms() >= until_ms:
                break
            try:
                ended += self.end_if_settled(letter) is not None
            except (StoreUnavailable, CorruptLog, ClientError):
                continue
        return ended

    def stands_in_the_log(self, letter: Letter) -> bool:
        """Say whether a letter is about a commit that the log has.

        What never was there, such as a commit that somebody sent to a queue, holds up nothing.
        """
        if letter.aggregate_id is None or letter.position is None:
            return False
        try:
            return self._deps.log.get(*_place(letter), consistent=True) is not None
        except (CorruptLog, StoreUnavailable, ClientError):
            # What cannot be read is taken to be there.
            return True

    def _caught_up(self, letter: Letter) -> str | None:
        if letter.aggregate_id is None:
            return None
        head = self._deps.log.head(letter.aggregate_id, consistent=True)
        if head is None or head.last_position < (letter.position or 0):
            return None
        proof = self._deps.prover.look(head, [self._region])
        return "every read model has applied its log" if proof.applied_at_ms else None

    def _restored(self, letter: Letter) -> str | None:
        there = self._deps.log.get(*_place(letter), consistent=True)
        return "the log has it again" if there is not None and there == _kept(letter) else None

    def _answered(self, letter: Letter) -> str | None:
        response = self._deps.responses_of(self._region).get(commit_of(letter))
        if response is None:
            return "no answer is owed for it here"
        return "it is answered" if response.published_at_ms is not None else None


def _place(letter: Letter) -> tuple[str, int]:
    assert letter.aggregate_id is not None
    assert letter.position is not None
    return letter.aggregate_id, letter.position


def commit_of(letter: Letter) -> str:
    """Return the commit whose answer a letter is about."""
    return letter.commit_id or letter.letter_id.partition(".")[2]


def _kept(letter: Letter) -> Commit | None:
    try:
        return from_item(orjson.loads(letter.payload or "{}"))
    except CorruptLog:
        return None
