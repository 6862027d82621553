"""What an operator may do with a dead letter: replay it, look whether it is settled, drop it.

A place in the log is replayed from the log, an answer by making it due, a message by sending
it as it was. Replaying twice does nothing more: commands are known by their token, commits by
their position, and a letter that has ended stays ended until the same thing fails again.
"""

from collections.abc import Callable
from typing import Any, Literal

import orjson
from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict

from eventstore.aws_errors import error_code
from eventstore.errors import CorruptLog, StoreUnavailable, described
from handlers.dependencies import Dependencies
from handlers.intake import GROUP
from handlers.settling import Settling, commit_of
from projections.answers import DETAIL_TYPES, SOURCE
from projections.failures import (
    ACKS,
    BUS,
    COMMANDS,
    LANE,
    LOG,
    PROJECTOR,
    RESPONDER,
    STREAM,
    SUPERSEDED,
    SWEEPER,
)
from projections.letters import Filing, Letter

Outcome = Literal["done", "replaying", "dropped", "failed", "refused", "unknown", "unavailable"]


class Told(BaseModel):
    """What came of an order, and a sentence for the operator."""

    model_config = ConfigDict(frozen=True)

    letter: str
    outcome: Outcome
    detail: str


class Replays:
    """Carries out orders on the letters of one region."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._region = deps.settings.region
        self._settling = Settling(deps)
        self._replays: dict[str, Callable[[Letter], Told]] = {
            PROJECTOR: self._from_the_log,
            STREAM: self._from_the_log,
            LOG: self._look_at_the_log,
            RESPONDER: self._make_due,
            SWEEPER: self._make_due,
            SUPERSEDED: self._sent_by_its_producer,
            COMMANDS: self._send_again,
            LANE: self._send_again,
            ACKS: self._send_again,
            BUS: self._send_again,
        }

    def replay(self, letter_id: str) -> Told:
        """Have what failed tried again. Safe to repeat, at any time."""
        letter = self._waiting(letter_id)
        if isinstance(letter, Told):
            return letter
        if self._is_under_way(letter):
            return self._settled(letter) or _told(letter, "replaying", "it is under way already")
        try:
            return self._replays[letter.source](letter)
        except StoreUnavailable as error:
            return _told(letter, "unavailable", f"{error}; replay it again later")
        except (CorruptLog, ClientError) as error:
            return self._failed_again(letter, error)

    def look(self, letter_id: str) -> Told:
        """Say where a letter stands; end it if what it is about has been settled."""
        letter = self._waiting(letter_id)
        if isinstance(letter, Told):
            return letter
        try:
            settled = self._settled(letter)
        except (StoreUnavailable, CorruptLog, ClientError) as error:
            return _told(letter, "unavailable", described(error))
        if settled is not None:
            return settled
        if letter.state == "replaying":
            return _told(letter, "replaying", "it is under way")
        return _told(letter, "failed", letter.error)

    def drop(self, letter_id: str, *, by: str, reason: str) -> Told:
        """End a letter unprocessed, and record who wanted it and why."""
        letter = self._waiting(letter_id)
        if isinstance(letter, Told):
            return letter
        if not by.strip() or not reason.strip():
            return _told(letter, "refused", "say who drops it (by) and why (reason)")
        if (why_not := self._never_dropped(letter)) is not None:
            return _told(letter, "refused", why_not)
        if not self._deps.letters.drop(letter, by=by, reason=reason, at_ms=self._now_ms()):
            return _told(letter, "failed", "it has just failed again; look at it first")
        return _told(letter, "dropped", f"dropped by {by}: {reason}")

    def _waiting(self, letter_id: str) -> Letter | Told:
        """Return a letter that waits, or what there is to say of one that does not."""
        letter = self._deps.letters.get(letter_id)
        if letter is None:
            detail = f"{self._region} has no letter {letter_id}"
            return Told(letter=letter_id, outcome="unknown", detail=detail)
        if letter.state in {"done", "dropped"}:
            return _told(letter, letter.state, f"it is {letter.state}; nothing is left to do")
        return letter

    # What stands in the log.

    def _from_the_log(self, letter: Letter) -> Told:
        if letter.aggregate_id is None:
            return _told(letter, "refused", f"{letter.kept_at} names no commit; look at it")
        if (settled := self._settled(letter)) is not None:
            return settled
        head = self._deps.log.head(letter.aggregate_id, consistent=True)
        if head is None:
            return _told(letter, "refused", "the log has no commit of it; restore the log first")
        # The last commit is enough: the projector reads everything before it from the log.
        self._deps.queues.ring(self._region, head)
        return self._sent(letter, f"{head.commit_id} is on its way to the projector")

    def _look_at_the_log(self, letter: Letter) -> Told:
        settled = self._settled(letter)
        return settled or _told(
            letter,
            "refused",
            "the log lacks what this letter holds: put it back, or drop the letter if the change "
            "is right",
        )

    def _sent_by_its_producer(self, letter: Letter) -> Told:
        return _told(
            letter,
            "refused",
            "a commit does not hold its command; sent again by its producer, which was told, it "
            "is decided anew; then drop this letter",
        )

    # Answers.

    def _make_due(self, letter: Letter) -> Told:
        if (settled := self._settled(letter)) is not None:
            return settled
        responses = self._deps.responses_of(self._region)
        responses.postpone(commit_of(letter), due_ms=self._now_ms())
        return self._sent(letter, "its answer is due now; the sweeper takes it within a minute")

    # Messages.

    def _send_again(self, letter: Letter) -> Told:
        body = letter.payload or self._stored_event(letter)
        if body is None:
            return _told(letter, "refused", "its message is not kept any more; drop it")
        settings = self._deps.settings
        queue, more = {
            COMMANDS: (settings.commands_queue, _same_command(letter)),
            LANE: (settings.lane_queue, {}),
            ACKS: (settings.acks_queue, {}),
            BUS: (settings.answers_queue, {}),
        }[letter.source]
        self._deps.queues.send(self._region, queue, body, **more)
        # Only now: were it ended first, a crash in between would lose the message.
        if not self._deps.letters.finish(letter, at_ms=self._now_ms()):
            return _told(letter, "replaying", f"sent to {queue}; it has failed again meanwhile")
        return _told(letter, "done", f"sent to {queue}")

    def _stored_event(self, letter: Letter) -> str | None:
        """Return the event of an answer that was too large for a letter, from its stored body."""
        if letter.source != BUS or letter.commit_id is None:
            return None
        response = self._deps.responses_of(self._region).get(letter.commit_id)
        if response is None or response.body is None:
            return None
        detail = orjson.loads(response.body)
        event = {
            "source": SOURCE,
            "detail-type": DETAIL_TYPES[detail["outcome"]],
            "detail": detail,
        }
        return orjson.dumps(event).decode()

    # What all of them share.

    def _never_dropped(self, letter: Letter) -> str | None:
        """Return why a letter must not be dropped, None if it may be."""
        if letter.source in {PROJECTOR, STREAM} and self._settling.stands_in_the_log(letter):
            return (
                "what waits behind it is the log itself, which nobody may pass over; "
                "put right what is wrong, then replay it or rebuild the read model"
            )
        if letter.source in {RESPONDER, SWEEPER}:
            return "its answer is owed; put right what is wrong, then replay it"
        return None

    def _settled(self, letter: Letter) -> Told | None:
        why = self._settling.end_if_settled(letter)
        return None if why is None else _told(letter, "done", why)

    def _sent(self, letter: Letter, detail: str) -> Told:
        self._deps.letters.replaying(letter, at_ms=self._now_ms())
        return _told(letter, "replaying", detail)

    def _is_under_way(self, letter: Letter) -> bool:
        again_ms = self._deps.settings.replay_again_s * 1000
        return letter.replayed_at_ms is not None and (
            self._now_ms() < letter.replayed_at_ms + again_ms
        )

    def _failed_again(self, letter: Letter, error: CorruptLog | ClientError) -> Told:
        why = described(error)
        if isinstance(error, ClientError):
            why = f"it was refused with {error_code(error)}"
        again = Filing(letter_id=letter.letter_id, source=letter.source, error=why)
        self._deps.letters.file(again, at_ms=self._now_ms())
        return _told(letter, "failed", why)

    def _now_ms(self) -> int:
        return self._deps.edge.now_ms()


def _same_command(letter: Letter) -> dict[str, Any]:
    """Return what makes a message the same command again: its group, its key, its first time."""
    carried = {name: text for name, text in letter.attributes.items() if name != GROUP}
    return {
        "MessageGroupId": letter.attributes.get(GROUP, "antiphon"),
        # Two operators at once are one message: SQS sees the second as a duplicate.
        "MessageDeduplicationId": f"{letter.letter_id}.{letter.attempts}",
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": text} for name, text in carried.items()
        },
    }


def _told(letter: Letter, outcome: Outcome, detail: str) -> Told:
    return Told(letter=letter.letter_id, outcome=outcome, detail=detail)
