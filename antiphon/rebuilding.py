"""Drive the rebuild of one projection in one region: segments side by side, at a pace.

Shows and paces; what may happen when is `projections.rebuild`'s to say. Whoever is killed here
leaves nothing to clean up: run again, it goes on from the checkpoints.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, TypeVar

from antiphon.problems import Problem
from antiphon.rebuild_lease import LOOK_S, Lease, Pace
from eventstore.errors import StoreUnavailable
from projections.builds import BuildState, Phase
from projections.rebuild import Rebuild

TRIES = 8
LONGEST_PAUSE_S = 5.0

T = TypeVar("T")


class Display(Protocol):
    """Shows how far a rebuild is."""

    def tell(self, text: str) -> None:
        """Say what has begun or ended."""
        ...

    def pass_over(self, title: str, *, done: int, total: int) -> None:
        """Begin to show a pass over the log, of which some may be done; counts are commits."""
        ...

    def advance(self, done: int) -> None:
        """Show how many commits of the pass are done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """Rebuilds one projection in one region.

    Args:
        lease: held while this is at it.
        pace: what the segments keep to, together.
        go_on: the command that goes on where this was left.

    """

    rebuild: Rebuild
    name: str
    segments: int
    lease: Lease
    pace: Pace
    display: Display
    go_on: str
    _stop: threading.Event = field(default_factory=threading.Event)

    def build_and_switch(self) -> BuildState:
        """Build anew, or go on, until readers have the new build.

        Raises:
            Problem: somebody else is at it, or the store was away for too long.

        """
        # Somebody was killed while removing what was out of use.
        self.clear()
        state = self.rebuild.begin(self.name)
        if state.phase is Phase.FILLING:
            self.display.tell(f"version {state.other} is built; readers keep version {state.live}")
            self._pass("first pass")
            state = self.rebuild.write_both(self.name)
        if state.phase is Phase.BOTH:
            self._hold("until every projector writes both versions")
            self._pass("second pass")
            state = self.rebuild.switch(self.name)
            self.display.tell(f"readers get version {state.live}; {state.other} is kept up to date")
        return state

    def give_back(self) -> BuildState:
        """Give readers the build that they had before, once it shows all that they have seen.

        Raises: as `build_and_switch`.
        """
        state = self.rebuild.abort(self.name)
        if state.phase is Phase.RETURNING:
            told = f"readers keep version {state.live} until {state.other} shows all that it does"
            self.display.tell(told)
            self._hold(f"until every projector writes version {state.other} first")
            self._pass("pass over the log")
            state = self.rebuild.switch(self.name)
        return state

    def remove(self) -> int:
        """Delete what is written and read no more; return how many items that were."""
        state = self.rebuild.state(self.name)
        left = state.other
        if left is None or state.phase not in {Phase.SWITCHED, Phase.RETURNED}:
            raise Problem(f"there is no old version of {self.name} to remove")
        self._hold(f"until nobody reads version {left} any more")
        self.rebuild.retire(self.name)
        return self.clear()

    def clear(self) -> int:
        """Delete the items of the build that is out of use; return how many there were."""
        label = self.rebuild.state(self.name).leftover
        if label is None:
            return 0
        self._hold(f"until no projector writes version {label} any more")
        deleted, start = 0, None
        while True:
            page = self._patiently(partial(self.rebuild.remove, self.name, start=start))
            deleted += page.deleted
            start = page.following
            if start is None:
                return deleted
            self.lease.keep()
            time.sleep(self.pace.wait_s())

    def _pass(self, title: str) -> None:
        before = self.rebuild.progress(self.name)
        segments = before[0].segments if before else self.segments
        done = sum(one.commits for one in before)
        total = self.rebuild.scan.estimated_commits()
        self.display.pass_over(title, done=done, total=total)
        counts = dict.fromkeys(range(segments), 0)
        self._stop.clear()
        with ThreadPoolExecutor(segments, thread_name_prefix="segment") as pool:
            running = [pool.submit(self._segment, at, segments, counts) for at in range(segments)]
            try:
                self._watch(running, counts, done)
            finally:
                self._stop.set()

    def _watch(self, running: list[Future[None]], counts: Mapping[int, int], done: int) -> None:
        """Show how far the segments are and keep the lease, until they end or one fails."""
        while True:
            ended, left = wait(running, timeout=LOOK_S, return_when=FIRST_EXCEPTION)
            self.display.advance(done + sum(counts.values()))
            for one in ended:
                one.result()
            if not left:
                return
            self.lease.keep()

    def _segment(self, segment: int, segments: int, counts: dict[int, int]) -> None:
        while not self._stop.is_set():
            step = self._patiently(
                lambda: self.rebuild.step(self.name, segment=segment, segments=segments)
            )
            counts[segment] += step.commits
            if step.done:
                return
            self._stop.wait(self.pace.wait_s())

    def _hold(self, why: str) -> None:
        left_s = self.rebuild.held_for_s(self.name)
        if left_s > 0:
            self.display.tell(f"holding for {left_s:.0f} s, {why}")
        while left_s > 0:
            time.sleep(min(left_s, 1.0))
            self.lease.keep()
            left_s = self.rebuild.held_for_s(self.name)

    def _patiently(self, act: Callable[[], T]) -> T:
        """Do something that may be repeated, again and again while the store is away."""
        pause_s = LOOK_S
        for left in reversed(range(TRIES)):
            try:
                return act()
            except StoreUnavailable as error:
                if not left or self._stop.wait(pause_s):
                    raise Problem(f"{error}; go on with: {self.go_on}") from error
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        raise AssertionError("every try returns or raises")
