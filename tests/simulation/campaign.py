"""Many runs, each judged: one after the other, or in several processes.

What comes back of a run is small and plain, so that it can cross processes; a run that failed
is played again from its plan when somebody wants to look at it.
"""

import gc
import multiprocessing
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from tests.simulation.checker.verdict import check
from tests.simulation.eventual_planning import plan_of
from tests.simulation.plan import Mode, Plan
from tests.simulation.run import Run, play, sandboxes

# So many objects more before a process of runs looks which of the young ones are garbage.
_GARBAGE = 50_000
# An invariant of our own, beside the checker's: it is not in the history.
NOTHING_UNPLANNED = "no-unplanned-error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What came of one run.

    Args:
        violations: each with its invariant and what was seen.
        situations: how often each came up.
        looked: how often each invariant had something to look at.

    """

    seed: int
    violations: tuple[tuple[str, str], ...]
    situations: Counter[str]
    looked: Counter[str]
    commands: int
    faults: int

    @property
    def broken(self) -> frozenset[str]:
        return frozenset(invariant for invariant, _ in self.violations)


@dataclass(slots=True)
class Tally:
    """What came of many runs together."""

    runs: int = 0
    commands: int = 0
    situations: Counter[str] = field(default_factory=Counter)
    looked: Counter[str] = field(default_factory=Counter)
    failed: list[Judged] = field(default_factory=list)
    least_commands: int | None = None
    least_faults: int | None = None

    def add(self, judged: Judged) -> None:
        """Count one run more."""
        self.runs += 1
        self.commands += judged.commands
        self.situations += judged.situations
        self.looked += judged.looked
        self.failed += [judged] if judged.violations else []
        self.least_commands = min(judged.commands, self.least_commands or judged.commands)
        self.least_faults = min(
            judged.faults, judged.faults if self.least_faults is None else self.least_faults
        )


def judge(plan: Plan) -> Judged:
    """Play a plan and hold its history against every invariant."""
    return judge_run(play(plan))


def judge_run(run: Run) -> Judged:
    """Hold the history of a run against every invariant."""
    verdict = check(run.history)
    found = [(violation.invariant, violation.line) for violation in verdict.violations]
    found += [(NOTHING_UNPLANNED, surprise) for surprise in run.surprises]
    faults = sum(
        count
        for name, count in run.situations.items()
        if name.startswith(("fault: ", "crash: ", "outage: "))
    )
    return Judged(
        seed=run.plan.seed,
        violations=tuple(found),
        situations=run.situations,
        looked=verdict.looked,
        commands=run.commands,
        faults=faults,
    )


def _collect_less() -> None:
    """Look for garbage seldom, and never among modules: it took a fifth of the time of runs."""
    sandboxes()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE, 20, 20)


def judge_seed(seed: int, mode: Mode = "STRONG") -> Judged:
    """Play and judge the plan of a seed."""
    return judge(plan_of(seed, mode))


def judge_seeds(seeds: Iterable[int], *, jobs: int, mode: Mode = "STRONG") -> Iterator[Judged]:
    """Play and judge seeds, in as many processes as given; the results come in their order."""
    if jobs == 1:
        yield from map(partial(judge_seed, mode=mode), seeds)
        return
    # Not forked: a process of its own has no threads of ours in an unknown state.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_collect_less) as pool:
        try:
            yield from pool.map(partial(judge_seed, mode=mode), seeds, chunksize=4)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
