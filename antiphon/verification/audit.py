"""A whole system against its own promises, beside live commands, in bounded memory.

One pass over the log, some aggregates at a time, then what is not right is looked at again
until it is, or until nothing has moved for a while. What is late then is a violation, unless
something stands in its way: that is told as not settled. Wrong is only what was wrong twice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from pydantic import BaseModel

from antiphon.verification.comparing import Comparing
from antiphon.verification.histories import LOG, History, histories
from antiphon.verification.source import Finding, Source
from antiphon.verification.strays import Strays
from antiphon.violations import Unsettled, Violation
from domain.registry import Registry
from eventstore.identity import Keys
from projections.builds import Registered
from projections.projection import Projection
from projections.repair import Mend

NOT_SEEN = "nothing of this region was looked at"
EMPTY = "the log is empty: nothing to verify; play a feed first"
# Aggregates are held against the regions together until they have so many commits.
COMMITS_A_LOOK = 200
AGGREGATES_A_LOOK = 50
# What is kept of a system that is all wrong, or all behind: enough to see what it is.
MOST_SUSPECTS = 2_000
MOST_FOUND = 1_000
# What changes between any two of so many looks is not judged.
MOST_DOUBTFUL_LOOKS = 10


class Verdict(BaseModel):
    """What an audit looked at, what was wrong, and what may still be on its way.

    Attributes:
        views: items of read models; `answers` of answers.
        mends: what of the violations can be repaired; what is only late comes by itself.
        unlisted: aggregates, answers and items that were not right, beyond those listed.

    """

    aggregates: int = 0
    commits: int = 0
    events: int = 0
    views: int = 0
    answers: int = 0
    violations: list[Violation] = []
    unsettled: list[Unsettled] = []
    mends: list[Mend] = []
    unlisted: int = 0

    @property
    def settled(self) -> bool:
        """Whether everything that was looked at could be judged."""
        return not self.unsettled and not self.unlisted

    @property
    def good(self) -> bool:
        """Whether everything is as promised."""
        return not self.violations and self.settled


@dataclass(slots=True)
class Suspect:
    """An aggregate that was not right when it was last looked at: `due` is its end as of then."""

    due: int
    findings: Sequence[Finding]
    before: frozenset[Violation] = frozenset()

    def look(self, findings: Sequence[Finding]) -> None:
        """Take what another look has found."""
        self.before = frozenset(finding.violation for finding in self.findings)
        self.findings = findings

    @property
    def late(self) -> Iterator[Finding]:
        """What may be on its way."""
        return (finding for finding in self.findings if finding.late)

    @property
    def wrong(self) -> Iterator[Finding]:
        """What was wrong in two looks; one alone may have met a write half way."""
        return (f for f in self.findings if not f.late and f.violation in self.before)

    @property
    def doubtful(self) -> Iterator[Finding]:
        """What was wrong in the last look only: it must be looked at once more to know."""
        return (f for f in self.findings if not f.late and f.violation not in self.before)


@dataclass(kw_only=True)
class Audit:
    """One audit of one system.

    Args:
        settle_s: how long nothing may move before what is late is called a violation.
        elapsed_s: a monotonic clock; `pause` lets some time pass before another look.

    """

    source: Source
    projections: Sequence[Projection]
    registry: Registry
    keys: Keys
    now_ms: Callable[[], int]
    settle_s: float
    elapsed_s: Callable[[], float]
    pause: Callable[[], None]
    _suspects: dict[str, Suspect] = field(default_factory=dict)

    def run(self) -> Verdict:
        """Look at everything and judge it."""
        verdict = Verdict()
        registered = Registered(self.projections)
        comparing = Comparing(
            source=self.source,
            registered=registered,
            registry=self.registry,
            keys=self.keys,
            now_ms=self.now_ms,
        )
        self._pass(comparing, verdict)
        strays = Strays(source=self.source, registered=registered)
        for violation in strays.find():
            self._note(verdict, violation)
        verdict.views, verdict.answers = strays.views, strays.answers
        stopped = self._settle(comparing)
        for suspect in self._suspects.values():
            self._judge(verdict, suspect, stopped)
        for region in self.source.topology().not_lost:
            if region not in self.source.regions:
                because = stopped.get(region, "it cannot be reached")
                verdict.unsettled.append(
                    Unsettled(where=region, key=region, text=NOT_SEEN, because=because)
                )
        if not verdict.commits:
            text = Violation(kind="log", where=LOG, key="antiphon-events", text=EMPTY)
            verdict.violations.insert(0, text)
        verdict.mends = list(dict.fromkeys(verdict.mends))
        return verdict

    def _pass(self, comparing: Comparing, verdict: Verdict) -> None:
        items = chain.from_iterable(self.source.log_pages())
        for some in _together(histories(items, registry=self.registry)):
            due = {history.aggregate_id: _end(history) for history in some}
            gathered = comparing.gather(some, due)
            for history in some:
                verdict.aggregates += 1
                verdict.commits += len(history.commits)
                verdict.events += sum(len(commit.events) for commit in history.commits)
                end = due[history.aggregate_id]
                found = tuple(comparing.findings(history, gathered, due=end))
                if found and len(self._suspects) < MOST_SUSPECTS:
                    self._suspects[history.aggregate_id] = Suspect(end, found)
                elif found:
                    verdict.unlisted += 1

    def _settle(self, comparing: Comparing) -> Mapping[str, str]:
        """Look again until all is right or nothing moves; return what stood in the way."""
        moved_s, late, looks = self.elapsed_s(), self._count_late(), 0
        while True:
            looks += 1
            stopped = self.source.unreached()
            self._look_again(comparing)
            if self._count_late() < late:
                moved_s, late = self.elapsed_s(), self._count_late()
            over = self.elapsed_s() - moved_s >= self.settle_s
            waiting = any(
                not _excuse(finding, stopped)
                for suspect in self._suspects.values()
                for finding in suspect.late
            )
            doubtful = any(True for suspect in self._suspects.values() for _ in suspect.doubtful)
            doubtful = doubtful and looks < MOST_DOUBTFUL_LOOKS
            if not doubtful and (over or not waiting):
                return {**stopped, **self.source.unreached()}
            self.pause()

    def _look_again(self, comparing: Comparing) -> None:
        suspects = tuple(self._suspects)
        for start in range(0, len(suspects), AGGREGATES_A_LOOK):
            some = suspects[start : start + AGGREGATES_A_LOOK]
            due = {aggregate_id: self._suspects[aggregate_id].due for aggregate_id in some}
            gathered = comparing.gather([self._history(one) for one in some], due)
            for aggregate_id in some:
                history, end = self._history(aggregate_id), due[aggregate_id]
                found = tuple(comparing.findings(history, gathered, due=end))
                if found:
                    self._suspects[aggregate_id].look(found)
                else:
                    del self._suspects[aggregate_id]

    def _history(self, aggregate_id: str) -> History:
        items = self.source.log_of(aggregate_id)
        found = next(histories(items, registry=self.registry), None)
        return found or History(aggregate_id=aggregate_id)

    def _count_late(self) -> int:
        return sum(1 for suspect in self._suspects.values() for _ in suspect.late)

    def _judge(self, verdict: Verdict, suspect: Suspect, stopped: Mapping[str, str]) -> None:
        for finding in (*suspect.wrong, *suspect.late, *suspect.doubtful):
            because = _excuse(finding, stopped) if finding.late else None
            if finding in suspect.doubtful:
                because = "it changed while it was looked at"
            if because is None:
                self._note(verdict, finding.violation)
                verdict.mends += [finding.mend] if finding.mend is not None else []
            elif len(verdict.unsettled) < MOST_FOUND:
                verdict.unsettled.append(_unsettled(finding.violation, because))
            else:
                verdict.unlisted += 1

    @staticmethod
    def _note(verdict: Verdict, violation: Violation) -> None:
        if len(verdict.violations) < MOST_FOUND:
            verdict.violations.append(violation)
        else:
            verdict.unlisted += 1


def _together(all_of_them: Iterator[History]) -> Iterator[list[History]]:
    """Yield histories in groups, each of about as many commits as are looked at together."""
    some: list[History] = []
    for history in all_of_them:
        some.append(history)
        if sum(len(one.items) for one in some) >= COMMITS_A_LOOK:
            yield some
            some = []
    if some:
        yield some


def _end(history: History) -> int:
    """Return the position of the last commit, readable or not."""
    return int(history.items[-1]["q"]["N"])


def _unsettled(one: Violation, because: str) -> Unsettled:
    """Tell of what would be a violation why it is none yet."""
    return Unsettled(where=one.where, key=one.key, text=one.text, because=because)


def _excuse(finding: Finding, stopped: Mapping[str, str]) -> str | None:
    """Return what may keep it from coming, None if nothing does."""
    return next((stopped[region] for region in sorted(finding.concerns & stopped.keys())), None)
