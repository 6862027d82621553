"""Build a projection anew from the log while its region serves, and change readers over.

Two passes over the log, each by segments. The first, in `filling`, builds what there is. The
second, in `both`, begins when every projector applies new commits to the new build too: so
each commit is applied either by that pass, which reads it consistently, or by the projector on
its arrival, before it is acknowledged. After the pass the new build is behind the old one
nowhere, and only then do readers change over. Nothing is answered because of a rebuild.
What relies on everybody's knowing a phase is refused until this process has seen it that long.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eventstore.errors import StoreUnavailable
from eventstore.scanning import LogSegments
from projections.applying import Applier
from projections.builds import Builds, BuildState, BuildStore, Phase, Registered
from projections.checkpoints import Checkpoint, Checkpoints, Place
from projections.filling import fill
from projections.holding import Holds
from projections.removal import BuildRemoval, RemovedPage

PAGE_COMMITS = 500
# Readers of a state and its changes are few: who loses this often has a rival.
_TRIES = 5


class RebuildRefused(Exception):
    """A rebuild cannot do what was asked; nothing was changed. The message says why."""


class TooSoon(RebuildRefused):
    """A phase must be held longer before this; `wait_s` seconds more."""

    def __init__(self, message: str, *, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class BehindError(Exception):
    """A build lacks what the one that readers have shows, so they cannot change over to it.

    `option` of the command line goes on without it.
    """

    def __init__(self, message: str, *, option: str) -> None:
        super().__init__(message)
        self.option = option


@dataclass(frozen=True, slots=True)
class Step:
    """One page done: the commits in it, what the segment has cost, whether it is at its end."""

    commits: int
    read_units: float
    done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuild:
    """Rebuilds projections of one region. Every method is safe to repeat.

    Args:
        store: the states of the region's builds.
        checkpoints: how far each segment is, so that whoever goes on begins there.
        applier: of the region; its views take builds as they are given.
        now_ms: the wall clock, to show when a phase began.
        holds: how long each phase is held: longer than anybody goes by the one before.
        page_commits: how many commits a step applies at most.

    """

    scan: LogSegments
    store: BuildStore
    checkpoints: Checkpoints
    registered: Registered
    removal: BuildRemoval
    applier: Applier
    now_ms: Callable[[], int]
    holds: Holds
    page_commits: int = PAGE_COMMITS

    def state(self, name: str) -> BuildState:
        """Return where a projection's rebuild is.

        Raises:
            RebuildRefused: there is no such projection.

        """
        if name not in self.registered.names:
            known = ", ".join(self.registered.names)
            raise RebuildRefused(f"there is no projection {name}; there are {known}")
        return Builds(self.registered, self.store.read()).state(name)

    def begin(self, name: str) -> BuildState:
        """Begin to build the code's newest version, or go on with what was begun.

        Raises:
            RebuildRefused: what is left of another build is to be removed first.

        """
        state = self.state(name)
        if state.phase is Phase.RETURNING:
            # Readers have the new build still: it is only kept.
            return self._move(name, state, phase=Phase.SWITCHED)
        if state.phase is not None:
            return state
        if state.leftover is not None:
            raise RebuildRefused(f"version {state.leftover} of {name} is to be removed first")
        newest = self.registered.newest(name)
        live = self.registered.labelled(name, state.live)
        # A label is given once: what was built and given up must never be built upon.
        generation = state.generation + 1
        fresh = newest.version != live.version and state.generation == 0
        label = newest.label if fresh else f"{newest.version}.{generation}"
        return self._move(name, state, other=label, phase=Phase.FILLING, generation=generation)

    def held_for_s(self, name: str) -> float:
        """Return how many seconds the phase must still be held; 0 when that is over."""
        return self.holds.left_s(name, self.state(name).version)

    def progress(self, name: str) -> list[Checkpoint]:
        """Return how far each segment of the present pass is; none before the first step."""
        state = self.state(name)
        return self.checkpoints.all(self._place(name, state)) if state.other else []

    def write_both(self, name: str) -> BuildState:
        """Let the projector apply to both builds from now on.

        Raises:
            BehindError: the first pass has found aggregates that cannot be applied.

        """
        state = self._in_phase(name, Phase.FILLING)
        self._require_none_behind(name, state, self.checkpoints.all(self._place(name, state)))
        return self._move(name, state, phase=Phase.BOTH)

    def switch(self, name: str) -> BuildState:
        """Give readers the other build, in one write; call it when its pass is over.

        Raises:
            RebuildRefused: the pass over the log is not over.
            BehindError: an aggregate that could not be applied has more in the build they have.

        """
        state = self._in_phase(name, Phase.BOTH, Phase.RETURNING)
        progress = self.checkpoints.all(self._place(name, state))
        if not progress or not all(one.done for one in progress):
            told = "second pass" if state.phase is Phase.BOTH else "pass"
            raise RebuildRefused(f"the {told} over the log is not over for {name}")
        self._require_none_behind(name, state, progress)
        assert state.other is not None
        after = Phase.SWITCHED if state.phase is Phase.BOTH else Phase.RETURNED
        return self._move(name, state, live=state.other, other=state.live, phase=after)

    def retire(self, name: str) -> BuildState:
        """Stop writing the build that readers have left; then `remove` may delete its items.

        Raises:
            TooSoon: somebody may still read it.

        """
        state = self._in_phase(name, Phase.SWITCHED, Phase.RETURNED)
        self._require_held(name, state)
        changes = {"other": None, "phase": None, "broken": None, "leftover": state.other}
        state = self._move(name, state, **changes)
        self.checkpoints.clear(name)
        return state

    def abort(self, name: str) -> BuildState:
        """Leave readers with the old build, or begin to give it to them again.

        Before they changed over, the old build is alone again at once. After, it may lack what
        they have seen: a commit on its way to it, or one that its code cannot apply. So it is
        written first from now on, a pass goes over the log once more, and `switch` gives it
        back. The new one is written on until `retire`, since they go on reading it till then.

        Raises:
            RebuildRefused: nothing is being rebuilt.
            BehindError: an aggregate could not be applied to the old build.

        """
        state = self.state(name)
        if state.phase is None:
            raise RebuildRefused(f"nothing is being rebuilt of {name}")
        if state.phase in {Phase.RETURNING, Phase.RETURNED}:
            return state
        if state.phase is Phase.SWITCHED:
            self._require_none_behind(name, state, ())
            # One more: no checkpoint of a pass before counts for this one.
            generation = state.generation + 1
            return self._move(name, state, phase=Phase.RETURNING, generation=generation)
        changes = {"other": None, "phase": None, "broken": None, "leftover": state.other}
        state = self._move(name, state, **changes)
        self.checkpoints.clear(name)
        return state

    def step(self, name: str, *, segment: int, segments: int) -> Step:
        """Apply one page of a segment to the other build; what cannot be applied is noted.

        Raises:
            StoreUnavailable: do the same step again.
            RebuildRefused: nothing is being filled, or by other segments.
            TooSoon: a projector may still leave out the new build, so that a commit of its
                could come after the second pass has looked for it.

        """
        state = self.state(name)
        passing = {Phase.FILLING, Phase.BOTH, Phase.RETURNING}
        if state.phase not in passing or state.other is None:
            raise RebuildRefused(f"nothing of {name} is being filled")
        if state.phase is not Phase.FILLING:
            self._require_held(name, state)
        place = self._place(name, state)
        before = self.checkpoints.get(place, segment) or Checkpoint(segments=segments)
        if before.segments != segments:
            raise RebuildRefused(
                f"the rebuild of {name} goes by {before.segments} segments; go on with as many"
            )
        if before.done:
            return Step(0, 0.0, done=True)
        page = self.scan.page(
            segment=segment, segments=segments, start=before.start, limit=self.page_commits
        )
        build = self.registered.labelled(name, state.other)
        failed = fill(self.applier, build, page.items)
        after = before.after(
            start=page.following, commits=len(page.items), failed=failed, units=page.read_units
        )
        self.checkpoints.put(place, segment, after)
        return Step(len(page.items), page.read_units, done=after.done)

    def remove(self, name: str, *, start: Mapping[str, Any] | None) -> RemovedPage:
        """Delete what one page of the views table has of the build that is out of use.

        Raises:
            RebuildRefused: there is none.
            TooSoon: a projector may still write it.

        """
        state = self.state(name)
        if state.leftover is None:
            raise RebuildRefused(f"no version of {name} is out of use")
        self._require_held(name, state)
        page = self.removal.page(f"{name}#{state.leftover}", start=start)
        if page.following is None:
            self._move(name, state, leftover=None)
        return page

    def _require_none_behind(
        self, name: str, state: BuildState, progress: Sequence[Checkpoint]
    ) -> None:
        """Raise BehindError if the other build lacks of any aggregate what the live one shows."""
        behind = [a for one in progress for a in one.failed if self._is_behind(name, state, a)]
        behind += [state.broken] if state.broken is not None else []
        # What is not kept by name cannot be looked at: then nothing says that it is not behind.
        if behind or any(one.overflown for one in progress):
            told = f"{len(behind)} aggregates could not be applied to version {state.other} "
            told += f"({', '.join(behind[:5])}); readers keep version {state.live}. "
            if state.phase in {Phase.SWITCHED, Phase.RETURNING}:
                raise BehindError(told + "Remove the other", option="--yes")
            raise BehindError(told + "Mend what stops them; give this up", option="--abort")

    def _require_held(self, name: str, state: BuildState) -> None:
        wait_s = self.holds.left_s(name, state.version)
        if wait_s > 0:
            told = state.phase.value if state.phase else "as it is"
            raise TooSoon(f"{name} must be {told} for {wait_s:.1f} s more", wait_s=wait_s)

    def _is_behind(self, name: str, state: BuildState, aggregate_id: str) -> bool:
        """Whether the live build shows more of an aggregate than the other one."""
        assert state.other is not None
        live = self.registered.labelled(name, state.live)
        other = self.registered.labelled(name, state.other)
        views = self.applier.views.read_many([(live, aggregate_id), (other, aggregate_id)])
        return views[other.build, aggregate_id].applied < views[live.build, aggregate_id].applied

    def _place(self, name: str, state: BuildState) -> Place:
        assert state.other is not None
        assert state.phase is not None
        phase = state.phase.value
        if state.phase is Phase.RETURNING:
            phase += f".{state.generation}"
        return Place(name, state.other, phase)

    def _in_phase(self, name: str, *phases: Phase) -> BuildState:
        state = self.state(name)
        if state.phase not in phases:
            told = state.phase.value if state.phase else "not being rebuilt"
            after = " or ".join(phase.value for phase in phases)
            raise RebuildRefused(f"{name} is {told}; this belongs after {after}")
        return state

    def _move(self, name: str, before: BuildState, **changes: object) -> BuildState:
        """Change a state, and return it as it is stored.

        Raises:
            RebuildRefused: somebody else has changed it.

        """
        after = before.model_copy(update={**changes, "since_ms": self.now_ms()})
        for _ in range(_TRIES):
            try:
                changed = self.store.change(name, before, after)
            except StoreUnavailable:
                # It may be stored all the same: trying again tells.
                continue
            stored = self.state(name)
            if changed or stored == after.model_copy(update={"version": before.version + 1}):
                return stored
            raise RebuildRefused(f"somebody else moved the rebuild of {name}; look and try again")
        raise StoreUnavailable(f"the rebuild of {name} could not be moved")
