"""Take a region out of service and bring it back, step by step, without a wrong answer.

What makes it right is the order: a state is held longer than any function goes by an older
one, and only then the next thing is done. Each way is a generator: it yields what it waits
for, and whoever drives it pauses. Left off anywhere, the same way begun again goes on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from eventstore.errors import StoreUnavailable
from projections.adoption import Adoption, Homed
from projections.catching_up import Compared, Comparison
from projections.failures import BUS, COMMANDS, RESPONDER, SWEEPER
from projections.letters import LetterStore
from projections.regions import ControlStore, RegionRefused, RegionState, Standing, Topology
from projections.responses import ResponseStore

_CHANGE_TRIES = 20
_NAMED = 3
_EMPTY_LOOKS = 2
# Letters of these hold a command or an answer that is nowhere else; the log holds the rest.
_KEPT_IN_LETTERS = frozenset({COMMANDS, RESPONDER, SWEEPER, BUS})


@dataclass(frozen=True, slots=True)
class Step:
    """What is being done or waited for: the phase, and how far it is, for people.

    `waits` says that nothing will have changed before some time has passed.
    """

    phase: str
    told: str
    waits: bool = True


def compared(going: Iterator[Compared], *, phase: str) -> Iterator[Step]:
    """Yield how far a comparison of the log with a region's views is."""
    for one in going:
        told = f"{one.aggregates} aggregates compared"
        if one.behind:
            named = ", ".join(one.behind[:_NAMED])
            told += f", {len(one.behind)} behind ({named})"
        yield Step(phase, told, waits=bool(one.behind))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionMoves:
    """Moves regions from state to state, for one operator.

    Args:
        states: the control item, read and changed where it can be reached.
        comparison: compares the log with a region's views.
        responses_of: the response items of any region.
        queued: how many commands wait in a region's queue.
        letters_of: the dead letters of any region.
        sweep: has a region's sweeper look for overdue answers; returns what it did.
        adoption: moves the answers of a lost region to its adopter, and home again.
        fresh_s: how long functions go by states they have read, in seconds.
        append_s: how long a command that was taken may still be on its way into the log.
        elapsed_s: a monotonic clock; now_ms: the wall clock, only to show.

    """

    states: ControlStore
    comparison: Comparison
    responses_of: Callable[[str], ResponseStore]
    queued: Callable[[str], int]
    letters_of: Callable[[str], LetterStore]
    sweep: Callable[[str], Mapping[str, int]]
    adoption: Adoption
    fresh_s: float
    append_s: float
    elapsed_s: Callable[[], float]
    now_ms: Callable[[], int]

    def drain(self, region: str) -> Iterator[Step]:
        """Take a region out; when this ends, the region may be taken away.

        Begun again in a region that is drained, what was not waited for then is waited for now.

        Raises:
            RegionRefused: it cannot be drained, or somebody else moves it; see the message.
            StoreUnavailable: something cannot be reached; begin again to go on.

        """
        topology = self.states.read()
        drained = self._standing(topology, region)
        if taken := topology.being_taken_over(region):
            # Begun and not ended, those answers are given by nobody, and this would wait for them.
            told = f"{region} is taking over the answers of {taken[0]}"
            raise RegionRefused(f"{told}; end that first: region drain {taken[0]} --lost")
        if drained.adopter is not None:
            told = f"{region} is {drained.state}, and {drained.adopter} answers for it"
            raise RegionRefused(f"{told}; bring it back first, or leave it")
        # Whoever drained it may have been stopped right then: being drained alone says nothing
        # of its last commands and answers.
        if drained.state is not RegionState.DRAINED:
            leaving = self._to(region, RegionState.LEAVING)
            # From here on no function serves reads there or takes commands by HTTP.
            yield from self._hold(region, leaving, phase="leaving", seconds=self.fresh_s)
            yield from self._quiet(region, phase="leaving")
            drained = self._on(region, leaving, RegionState.DRAINED)
        # And from here on nothing is taken from its queue, and what was is in the log.
        seconds = self.fresh_s + self.append_s
        yield from self._hold(region, drained, phase="drained", seconds=seconds)
        origins = self.states.read().answered_by(region)
        going = self.comparison.catch_up(region, concerns=lambda entry: entry.origin in origins)
        yield from compared(going, phase="its last commands")
        # All of its answers are opened now, for that comes before a commit is applied.
        yield from self._quiet(region, phase="its last answers")
        self._check_still(region, drained)

    def drain_lost(self, region: str, *, adopter: str | None = None) -> Iterator[Step]:
        """Take out a region that does not answer, and have another answer for it.

        Raises: as `drain`.
        """
        topology = self.states.read()
        standing = self._standing(topology, region)
        adopter = adopter or standing.adopter or self._survivor(topology, region)
        if standing.adopter not in {None, adopter}:
            raise RegionRefused(f"{standing.adopter} answers for {region} already")
        topology.check_adopts(adopter, region)
        if standing.state is not RegionState.DRAINED:
            leaving = self._to(region, RegionState.LEAVING)
            yield from self._hold(region, leaving, phase="leaving", seconds=self.fresh_s)
            standing = self._on(region, leaving, RegionState.DRAINED, adopter=adopter)
        elif standing.adopter is None:
            standing = self._on(region, standing, RegionState.DRAINED, adopter=adopter)
        # From here on the lost region, if it is there after all, answers nothing any more.
        seconds = self.fresh_s + self.append_s
        yield from self._hold(region, standing, phase="drained", seconds=seconds)
        topology = self.states.read()
        keepers = {o: topology.keepers(o) for o in topology.answered_by(adopter) if o != adopter}
        for adopted in self.adoption.take_over(adopter, keepers):
            told = f"{adopted.opened} answers to give of {adopted.looked_at} commits"
            told += f"; {adopted.given} given before"
            if adopted.silent:
                told += f"; {', '.join(adopted.silent)} cannot be asked which those are"
            yield Step(f"adopted by {adopter}", told, waits=False)
        if not standing.taken_over:
            # And only here the adopter begins: by now it has whatever was built before.
            standing = self._on(region, standing, RegionState.DRAINED, adopter=adopter)
        phase = f"adopted by {adopter}"
        yield from self._hold(region, standing, phase=phase, seconds=self.fresh_s)
        yield from self._swept(adopter)
        self._check_still(region, standing)

    def undrain(self, region: str) -> Iterator[Step]:
        """Bring a region back; when this ends, it serves.

        Raises: as `drain`.
        """
        if self.states.read().state(region) is RegionState.ACTIVE:
            raise RegionRefused(f"{region} serves already")
        joining = self._to(region, RegionState.JOINING)
        # From here on every publisher requires it; what was answered without it is in the log.
        seconds = self.fresh_s
        if joining.adopter is not None:
            # And what was taken there before, also by who has heard late, is in the log, too.
            seconds += self.append_s
        yield from self._hold(region, joining, phase="joining", seconds=seconds)
        yield from compared(self.comparison.catch_up(region), phase="joining")
        if joining.adopter is not None:
            yield from self._brought_home(region)
            joining = self._on(region, joining, RegionState.JOINING)
            # It takes its first command only when nobody answers for it by older states.
            yield from self._hold(region, joining, phase="joining", seconds=self.fresh_s)
        self._on(region, joining, RegionState.ACTIVE)
        yield Step("active", f"{region} serves again", waits=False)

    def _brought_home(self, region: str) -> Iterator[Step]:
        """Have everything that another answers for a region answered, and known at home."""
        topology = self.states.read()
        answering = topology.answering_region(region)
        # Not those whose answers were only about to be taken over: nobody has given any of them.
        through = topology.answered_through(region)
        origins = frozenset(o for o in through if topology.may_answer(answering, o))
        yield from self._given(answering, self.adoption.bring_home(region, answering, origins))
        # And what it had taken over before it was lost itself: whoever came in for it has
        # answered that, and its region may have returned before this one.
        for origin in sorted(topology.left_behind(region)):
            answering = topology.answering_region(origin)
            closing = self.adoption.close(region, answering, frozenset({origin}))
            yield from self._given(answering, closing)

    def _given(self, answering: str, going: Iterator[Homed]) -> Iterator[Step]:
        for homed in going:
            told = f"{homed.left} answers for {answering} to give, of {homed.looked_at} commits"
            yield Step("joining", told, waits=bool(homed.left))
            if homed.left:
                self.sweep(answering)

    def _standing(self, topology: Topology, region: str) -> Standing:
        topology.state(region)
        return topology.standings[region]

    @staticmethod
    def _survivor(topology: Topology, region: str) -> str:
        others = [one for one in topology.serving if one != region]
        if not others:
            raise RegionRefused(f"no other region than {region} serves, so none can answer for it")
        return others[0]

    def _to(self, region: str, state: RegionState) -> Standing:
        """Bring a region to a state, or go on where somebody has left off in it."""
        for _ in range(_CHANGE_TRIES):
            before = self.states.read()
            if before.state(region) is state:
                return before.standings[region]
            self._changed(before, before.moved(region, state, at_ms=self.now_ms()))
        raise StoreUnavailable(f"{region} could not be made {state}; begin again")

    def _on(
        self, region: str, held: Standing, to: RegionState, *, adopter: str | None = None
    ) -> Standing:
        """Move a region on from exactly the standing that was held, not from one like it."""
        for _ in range(_CHANGE_TRIES):
            before = self.states.read()
            standings = {**before.standings, region: held}
            as_held = before.model_copy(update={"standings": standings})
            after = as_held.moved(region, to, at_ms=self.now_ms(), adopter=adopter)
            standing, wanted = before.standings[region], after.standings[region]
            if standing.version != held.version and _is_same(standing, wanted):
                return standing
            self._check(region, held, standing)
            self._changed(before, after)
        raise StoreUnavailable(f"{region} could not be made {to}; begin again")

    def _changed(self, before: Topology, after: Topology) -> bool:
        try:
            return self.states.change(before, after)
        except StoreUnavailable:
            # The next read tells whether it was done.
            return False

    @staticmethod
    def _check(region: str, held: Standing, standing: Standing) -> None:
        if standing.version != held.version:
            # Its hold may have only begun: nothing that was waited for here counts for it.
            raise RegionRefused(f"{region} is {standing.state} now: somebody else has moved it")

    def _check_still(self, region: str, held: Standing) -> None:
        """Raise RegionRefused unless a region is as it was held: the last act of each way out.

        What was waited for may have taken hours, and somebody may have brought it back since.
        """
        self._check(region, held, self.states.read().standings[region])

    def _hold(
        self, region: str, standing: Standing, *, phase: str, seconds: float
    ) -> Iterator[Step]:
        """Wait until every function goes by this state; begun again, it is waited for again."""
        until_s = self.elapsed_s() + seconds
        # One more look after the time: states are good until the very end of it.
        while (left_s := until_s - self.elapsed_s()) >= 0:
            yield Step(phase, f"every function learns of it within {left_s:.0f} s")
        self._check_still(region, standing)

    def _quiet(self, region: str, *, phase: str) -> Iterator[Step]:
        """Wait until a region has decided what is in its queue and answered what it took.

        Dead letters of commands and answers count: they would be taken away with the region.
        """
        responses, letters = self.responses_of(region), self.letters_of(region)
        # Unbounded on purpose: what is lost with the region must be the operator's decision.
        # Nothing must be found twice: what counts here may be some ms behind.
        empty = 0
        while empty < _EMPTY_LOOKS:
            queued, pending = self.queued(region), responses.count_pending()
            # Looked at last: what leaves a queue while this looks is a letter by then.
            buried = sum(one.source in _KEPT_IN_LETTERS for one in letters.waiting())
            empty = 0 if queued or pending or buried else empty + 1
            told = f"{queued} commands in its queue, {pending} answers to give"
            yield Step(phase, told + (f", {buried} dead letters to deal with" if buried else ""))

    def _swept(self, adopter: str) -> Iterator[Step]:
        """Have the adopter answer what can be answered now; the rest comes with its schedule."""
        answered = 0
        while True:
            swept = self.sweep(adopter)
            answered += swept["answered"]
            yield Step(f"adopted by {adopter}", f"{answered} answers given now")
            if not swept["answered"]:
                return


def _is_same(standing: Standing, wanted: Standing) -> bool:
    """Say whether a region is where it was to be moved to, whoever has moved it."""
    return (standing.state, standing.adopter, standing.taken_over) == (
        wanted.state,
        wanted.adopter,
        wanted.taken_over,
    )
