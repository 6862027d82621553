"""The judge of a run: every invariant over one history, without the code that made it.

`check` says what does not hold, and how often each invariant had something to look at.
"""

from collections import Counter
from dataclasses import dataclass

from tests.simulation.checker import (
    answers,
    branches,
    forgetting,
    letters,
    log_rules,
    other_reads,
    reads,
    results,
    views,
)
from tests.simulation.checker.findings import Findings, Violation
from tests.simulation.checker.index import index_of
from tests.simulation.history import History


@dataclass(frozen=True, slots=True)
class Verdict:
    """What does not hold, and how often each invariant was looked at: 0 has shown nothing."""

    violations: tuple[Violation, ...]
    looked: Counter[str]

    @property
    def clean(self) -> bool:
        return not self.violations

    @property
    def broken(self) -> frozenset[str]:
        """The names of the invariants that do not hold."""
        return frozenset(violation.invariant for violation in self.violations)


def check(history: History) -> Verdict:
    """Hold a history against every invariant."""
    index, found = index_of(history), Findings()
    every = (log_rules, results, reads, other_reads, answers, views, letters, forgetting, branches)
    for rules in every:
        try:
            rules.check(index, found)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # Whatever cannot be read as documented ends the look of these rules, not the verdict.
            text = f"{rules.__name__.rpartition('.')[2]}: {type(error).__name__}: {error}"
            found.blame("readable", text)
        found.looked["readable"] += 1
    return Verdict(tuple(found.violations), found.looked)
