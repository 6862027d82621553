"""What the checker promises to look at, what it found, and how often it had something to look at.

An invariant that never had anything to look at has shown nothing: `looked` tells them apart.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

INVARIANTS: Final = {
    # The log.
    "contiguous": "positions of an aggregate have no gap and no overlap; each commit names the "
    "one before",
    "log-immutable": "what was appended stays as it was: nothing is changed, removed or slipped in",
    "asked-for": "every commit decides a command that was sent, and says so truly",
    "decided-once": "a command is decided once, however often it is sent",
    "decision-is-valid": "deciding again on the state before gives the recorded decision",
    "expected-sequence-met": "a command with `expected_sequence` is decided only on that change",
    "depends-on-met": "a command is decided only after the commit it depends on",
    "real-time-order": "what was seen before a command was sent is before it in the log",
    "queue-in-order": "commands of one aggregate sent to a queue are decided in that order",
    # What producers are told.
    "reply-names-its-commit": "a recorded reply names a commit in the log, and tells it truly",
    "duplicate-same-result": "every reply to one command tells the same result",
    "fresh-once": "one reply at most says that it was not a duplicate: that of who appended",
    "refused-leaves-nothing": "a command that was not recorded, says the reply, is not in the log",
    "refusal-justified": "no valid request is refused without its reason",
    "queued-command-kept": (
        "a command that a queue took is decided, or kept whole as dead, unless who it names was "
        "forgotten"
    ),
    "every-call-ends": "every call ends with an answer or a problem as they are documented",
    # What readers are shown.
    "read-shows-the-log": "every document shown is the fold of the log at its sequence",
    "token-read-not-older": "a read with a token is never from before it, and never 404 for it",
    "read-not-behind-its-region": "a consistent read shows all that its region had applied",
    "strong-read-linearizable": "a strong read shows every commit that was in the log before it",
    "read-after-event-b": "after Event B, a read in a region that it names shows it",
    "timeline-shows-the-log": "a timeline has a row for each commit, newest first, without a gap",
    "list-shows-the-log": "every document in a list is a fold of the log and belongs there",
    "history-is-the-log": "history is the log up to a sequence or time, exactly",
    "status-is-true": "what became of a command is told as it is",
    "gone-is-gone": "of who was forgotten reads show nothing any more, and say so",
    # Event B.
    "acknowledged-after-applied": "a region that is told to have applied a commit has",
    "event-b-after-all-applied": "when Event B is built, every region in it has applied the commit",
    "event-b-required-regions": "Event B leaves out no region but one that is drained",
    "event-b-state": "the state in Event B is the fold at or after its commit",
    "event-b-tells-its-commit": "Event B tells its commit, its events and its id truly",
    "one-answer-one-body": "one answer has one id and one body",
    "answered-finally": "every commit is answered once faults have ended",
    "responses-closed": "at the end every response item is published, and only those may expire",
    # The read side.
    "view-moves-over-the-log": "a view moves forward only, from where it is to the end of a commit",
    "views-equal-fold": "at the end every view of every region is the fold of the log",
    "forgotten-for-good": "of who was forgotten nothing that is left anywhere can be read",
    "letters-lose-nothing": "what was set aside is whole, and its aggregate is not forgotten",
    "readable": "everything that is stored and told has the form that the documents give it",
    "came-to-rest": "once faults have ended nothing moves any more",
}
# In EVENTUAL mode only.
OF_EVENTUAL: Final = {
    "one-home-an-epoch": "a commit is appended by the one region that is home in its epoch",
    "decided-in-its-tenure": "nothing is told as decided that came in once another could append",
    "answered-stays": "what was answered is never superseded, and what counts is never told to be",
    "superseded-lawfully": "nothing is superseded but what was taken by force or came too late",
    "superseded-is-kept": "every commit that is superseded is kept as a letter",
    "serves-with-the-answered": "a region that comes to serve has applied all that was answered",
    "forwarded-once": "a command goes from where it came in to one other region, and no further",
    "replicas-agree": "at the end every replica has the same commits, all that were appended",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An invariant that does not hold: which, what was seen, and the records that show it.

    `about` is a commit id, an aggregate id or an operation; `steps` point at records.
    """

    invariant: str
    text: str
    about: str = ""
    steps: tuple[int, ...] = ()

    @property
    def line(self) -> str:
        at = f" (steps {', '.join(map(str, self.steps))})" if self.steps else ""
        return f"{self.invariant}: {self.about}: {self.text}{at}"


@dataclass(slots=True)
class Findings:
    """Collects violations, and counts how often each invariant had something to look at."""

    violations: list[Violation] = field(default_factory=list)
    looked: Counter[str] = field(default_factory=Counter)

    def expect(
        self,
        invariant: str,
        holds: bool,  # noqa: FBT001 - reads as a sentence: expect(name, this == that, ...)
        text: str,
        *,
        about: str = "",
        steps: tuple[int, ...] = (),
    ) -> bool:
        """Count a look at an invariant; blame what does not hold. Returns `holds`."""
        self.looked[invariant] += 1
        if not holds:
            self.blame(invariant, text, about=about, steps=steps)
        return holds

    def blame(
        self, invariant: str, text: str, *, about: str = "", steps: tuple[int, ...] = ()
    ) -> None:
        """Note a violation."""
        assert invariant in INVARIANTS or invariant in OF_EVENTUAL, (
            f"there is no invariant {invariant}"
        )
        found = Violation(invariant=invariant, text=text, about=about, steps=steps)
        self.violations.append(found)
