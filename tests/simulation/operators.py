"""Operators: regions drained, lost, brought back, projections rebuilt, subscribers forgotten.

An operator's process calls AWS as a function's does, and may die at any call: then another one
begins the same again, as the documentation says that one may.
"""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from antiphon.region_moves import home_moves_of, moves_of
from eventstore.errors import StoreUnavailable, described
from eventstore.scanning import LogScan
from handlers.dependencies import Dependencies
from handlers.edge import Edge
from handlers.settings import Settings
from projections import forgetting
from projections.draining import RegionMoves, Step
from projections.letters import LetterStore
from projections.rebuild import TooSoon
from projections.regions import ControlStore, RegionRefused, RegionState
from projections.rehoming import STOPPING, HomeMoves
from tests.simulation.calls import Calls
from tests.simulation.deployment import settings_of
from tests.simulation.edges import edge_of
from tests.simulation.forgetter import commands_on_their_way, forgetting_of
from tests.simulation.history import Forgotten, Noted
from tests.simulation.network import pairs_of
from tests.simulation.plan import Chore, Mode
from tests.simulation.streams import FunctionFailed

if TYPE_CHECKING:
    from tests.simulation.world import World

_QUEUE = "antiphon-commands.fifo"
_SEGMENTS = 2
_MOST_TRIES = 400
_AGAIN_MS, _LONGEST_AGAIN_MS = 5_000.0, 60_000.0
# Between two steps, and between two looks at what has to be waited for, longer each time.
_PAUSE_MS, _WAIT_MS, _LONGEST_WAIT_MS = 200.0, 3_000.0, 60_000.0
# While a home stops: who waited longer than that takes would find no process that is late.
_STOPPING_MS = 500.0


class _Died(BaseException):
    """The operator's process is gone; nothing in the code under test may catch it."""


class Operator:
    """One operator with one chore. `busy` until it is done, however often it is begun again."""

    def __init__(self, world: "World", chore: Chore) -> None:
        self.world = world
        self.chore = chore
        # Its calls are told apart by what it does.
        self.function: str = chore.kind
        self.role = "ForgettersPolicy" if chore.kind == "forget" else "OperatorsPolicy"
        self.busy = True
        # Whether it holds the region apart: a chore that is begun again cuts nothing twice.
        self._is_cut_off = False
        others = [region for region in world.regions if region != chore.region]
        # A region is moved through another, which is not lost; all else is done in its region.
        moved = chore.kind in {"drain", "lose", "move", "evict"}
        self.origin = self.region = others[0] if moved else chore.region

    def crash(self) -> None:
        """End the process: whoever comes next begins with the same chore."""
        raise _Died

    def run(self) -> None:
        """Do the chore, beginning again where that is needed."""
        of_one = {
            "rebuild": [self._rebuild],
            "forget": [self._forget, self._forget_again],
            "replay": [self._replay],
            "move": [self._move],
        }
        ways = of_one.get(self.chore.kind, [self._out, self._back])
        for way in ways:
            self._until_done(way)
        self.busy = False

    def _until_done(self, way: Any) -> None:
        for tried in range(1, _MOST_TRIES + 1):
            wait_ms = _WAIT_MS / 2
            try:
                for step in way(_Tools(self)):
                    waits = isinstance(step, Step | forgetting.Step) and step.waits
                    wait_ms = min(2 * wait_ms, _longest_wait_ms(step)) if waits else _WAIT_MS / 2
                    self.world.time.sleep(wait_ms if waits else _PAUSE_MS)
            except (StoreUnavailable, ClientError, FunctionFailed, RegionRefused) as why:
                self._only_where_homes_move(why)
                self.world.met(f"operator begins again: {self.chore.kind}")
            except _Died:
                self.world.met(f"operator died: {self.chore.kind}")
            except Exception as error:  # noqa: BLE001 - whatever it is, no operator may meet it
                told = f"{self.chore.kind} of {self.chore.region}: {described(error)}"
                self.world.surprises.append(told)
                return
            else:
                return
            self.world.time.sleep(min(_AGAIN_MS * tried, _LONGEST_AGAIN_MS))
        told = f"{self.chore.kind} of {self.chore.region} never came to an end"
        self.world.surprises.append(told)

    def _only_where_homes_move(self, why: Exception) -> None:
        """Raise a refusal that nothing explains: beside this chore there is another only there."""
        if isinstance(why, RegionRefused) and self.world.plan.mode == "STRONG":
            raise why

    def _note(self, what: str) -> None:
        self.world.observer.record(Noted, what=what, region=self.chore.region)

    def _out(self, tools: "_Tools") -> Iterator[object]:
        """Drain the region, or leave it out as lost; then let some time pass."""
        region, moves, lost = self.chore.region, tools.moves(), self.chore.kind == "lose"
        homes = tools.home_moves()
        self._note(f"{self.chore.kind} begins")
        if lost:
            self._take_away(region)
            yield from moves.drain_lost(region)
        elif self.chore.kind == "evict":
            assert homes is not None, "a region is evicted in EVENTUAL mode"
            yield from homes.take(region)
            yield from moves.drain_lost(region)
        elif moves.states.read().state(region) is not RegionState.DRAINED:
            if homes is not None:
                yield from self._move_away(homes)
            yield from moves.drain(region)
        self._note(f"{self.chore.kind} done")
        self.world.met(f"operator: {self.chore.kind} done")
        self.world.time.sleep(self.chore.for_ms)
        if lost:
            self._give_back(region)

    def _take_away(self, region: str) -> None:
        """Let the region be lost: dead, or alive where nobody reaches it."""
        if not self.chore.isolated:
            self.world.kill(region)
        elif not self._is_cut_off:
            self._is_cut_off = True
            self.world.network.cut(pairs_of(self.world.regions, region))
            self.world.met("lost region is only cut off")

    def _give_back(self, region: str) -> None:
        if not self.chore.isolated:
            self.world.revive(region)
        elif self._is_cut_off:
            self._is_cut_off = False
            self.world.network.mend(pairs_of(self.world.regions, region))

    def _back(self, tools: "_Tools") -> Iterator[object]:
        """Bring the region back."""
        region, moves = self.chore.region, tools.moves()
        if moves.states.read().state(region) is not RegionState.ACTIVE:
            yield from moves.undrain(region)
        if (homes := tools.home_moves()) is not None:
            yield from homes.settle(region)
        self._note("it serves again")
        self.world.met("operator: undrain done")

    def _forget(self, tools: "_Tools") -> Iterator[object]:
        """Have a subscriber forgotten in every region that is not lost."""
        try:
            yield from forgetting_of(self.world, tools.deps, self.chore, tools.states()).forget()
        except forgetting.ForgettingRefused:
            self.world.met("operator: nobody there to forget")
            return
        self.world.observer.record(Forgotten, path="subscribers", key=self.chore.imsi)
        self.world.met("operator: forget done")

    def _forget_again(self, tools: "_Tools") -> Iterator[object]:
        """Where letters are taken in, forget once more when the queues hold no message any more.

        What nobody could read was not seen there, though it names who was forgotten.
        """
        world = self.world
        if not any(one.kind == "replay" for one in world.plan.chores):
            return
        world.time.sleep(max(op.at_ms for op in world.plan.ops) + _AGAIN_MS - world.time.now_ms)
        while commands_on_their_way(world):
            world.time.sleep(_LONGEST_AGAIN_MS)
        yield from self._forget(tools)

    def _replay(self, tools: "_Tools") -> Iterator[object]:
        """Replay every letter of the region, and once more when the long outages are over."""
        region, functions = self.chore.region, self.world.functions
        for wait_ms in (self.chore.for_ms, 0.0):
            for letter in tools.deps.letters.waiting():
                yield letter
                order = {"order": "replay", "letter": letter.letter_id}
                told = functions.invoke(region, "dead_letters", order)
                self.world.met(f"letter of {letter.source} replayed: {told['outcome']}")
            functions.invoke(region, "dead_letters", {})
            self.world.time.sleep(wait_ms)
        self.world.met("operator: replay done")

    def _move(self, tools: "_Tools") -> Iterator[object]:
        """Move all homes of a region as planned; where that is refused, leave them where they are.

        Somebody else may be at the same slots, or the region may be on its way out.
        """
        homes = tools.home_moves()
        assert homes is not None, "homes are moved in EVENTUAL mode"
        self._note("move begins")
        try:
            yield from self._move_away(homes)
        except RegionRefused:
            if not self._is_first:
                raise
            self.world.met("operator: move refused")
        else:
            self._note("move done")
            self.world.met("operator: move done")

    def _move_away(self, homes: HomeMoves) -> Iterator[object]:
        try:
            wanted = homes.spread(homes.homes.read(), self.chore.region, by_force=False)
            if wanted:
                yield from homes.move(wanted)
        except RegionRefused:
            # As its message says; whoever else was at it begins again, too.
            if self._is_first:
                homes.stay()
            raise

    @property
    def _is_first(self) -> bool:
        """Whether nobody who is at homes, too, has been at it for longer."""
        return (
            next(
                o
                for o in self.world.operators
                if o.busy and o.function in {"drain", "move", "evict"}
            )
            is self
        )

    def _rebuild(self, tools: "_Tools") -> Iterator[object]:
        """Build a projection anew: go on from whatever phase it is found in."""
        rebuild, name = tools.deps.rebuild, self.chore.projection
        state = rebuild.state(name)
        if state.phase is None and state.generation == 0:
            state = rebuild.begin(name)
        while state.phase is not None:
            try:
                yield from self._phase(rebuild, name, state.phase.value)
            except TooSoon as soon:
                self.world.time.sleep(soon.wait_s * 1000 + 1)
            state = rebuild.state(name)
        yield from self._remove(rebuild, name)
        self.world.met("operator: rebuild done")

    def _phase(self, rebuild: Any, name: str, phase: str) -> Iterator[object]:
        if phase in {"filling", "both"}:
            for segment in range(_SEGMENTS):
                done = False
                while not done:
                    done = rebuild.step(name, segment=segment, segments=_SEGMENTS).done
                    yield segment
            rebuild.write_both(name) if phase == "filling" else rebuild.switch(name)
        else:
            rebuild.retire(name)

    def _remove(self, rebuild: Any, name: str) -> Iterator[object]:
        """Delete the build that readers have left, as soon as nobody can still be at it."""
        start: Any = None
        while rebuild.state(name).leftover is not None:
            try:
                start = rebuild.remove(name, start=start).following
            except TooSoon as soon:
                self.world.time.sleep(soon.wait_s * 1000 + 1)
            yield start


@cache
def _settings(region: str, regions: tuple[str, ...], mode: Mode) -> Settings:
    return settings_of("responder", region, regions, mode=mode)


class _Tools:
    """What one process of an operator has: it is made anew each time that the chore is begun."""

    def __init__(self, operator: Operator) -> None:
        self._world = operator.world
        settings = _settings(operator.region, self._world.regions, self._world.plan.mode)
        self._calls: Any = Calls(operator)
        edge: Edge = edge_of(self._world, operator.region)
        self.deps = Dependencies(settings, self._calls, edge)

    def moves(self) -> RegionMoves:
        """Return the moves of regions, wired as the command line wires them."""
        deps, world = self.deps, self._world
        return moves_of(
            deps,
            states=self.states(),
            scan_of=self._scan_of,
            together=_one_after_another,
            queued=self._queued,
            letters_of=self._letters_of,
            sweep=lambda region: world.functions.invoke(region, "sweeper", {}),
        )

    def states(self) -> ControlStore:
        """Return the regions' states, as this operator's region reads them."""
        settings, client = self.deps.settings, self._calls.dynamodb(self.deps.settings.region)
        return ControlStore(client, table=settings.control_table, regions=self._world.regions)

    def home_moves(self) -> HomeMoves | None:
        """Return the moves of homes, wired as the command line wires them; None in STRONG mode."""
        settings = self.deps.settings
        return home_moves_of(
            self.deps,
            client=self._calls.dynamodb(settings.region),
            scan_of=self._scan_of,
        )

    def _scan_of(self, region: str) -> LogScan:
        client, table = self._calls.dynamodb(region), self.deps.settings.events_table
        return LogScan(client, table=table, together=_one_after_another)

    def _letters_of(self, region: str) -> LetterStore:
        settings, client = self.deps.settings, self._calls.dynamodb(region)
        return LetterStore(client, table=settings.letters_table, bounds=settings)

    def _queued(self, region: str) -> int:
        if not self._world.network.is_open(self.deps.settings.region, region):
            raise StoreUnavailable(f"{region} does not tell how long its queue is")
        return len(self._world.queue(region, _QUEUE).messages)


def _longest_wait_ms(step: object) -> float:
    stops = isinstance(step, Step) and step.phase == STOPPING
    return _STOPPING_MS if stops else _LONGEST_WAIT_MS


def _one_after_another(tasks: Any) -> list[Any]:
    return [task() for task in tasks]
