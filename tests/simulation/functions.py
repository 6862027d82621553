"""Lambda: functions in sandboxes that stay warm, freeze between invocations, and can die.

A sandbox runs the real handler of one function, one invocation at a time, and keeps what the
handler keeps. A crash or a time-out ends it with everything it had begun; what it had begun to
send when it answered stays unsent until it is used again, if it ever is.
"""

import importlib
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from handlers.dependencies import Dependencies
from handlers.edge import Edge, Task
from handlers.settings import Settings
from tests.simulation import virtual_time
from tests.simulation.calls import Calls
from tests.simulation.edges import clock_of, error_of, unread
from tests.simulation.streams import FunctionFailed
from tests.simulation.virtual_time import Ended, Gate

if TYPE_CHECKING:
    from tests.simulation.world import World

# The time-outs of the templates, in seconds.
TIMEOUTS_S = {
    "commands": 29, "command_queue": 60, "projector": 60, "responder": 30, "sweeper": 60,
    "queries": 29, "dead_letters": 60,
}  # fmt: skip
SANDBOXES = 4
_IDLE_MS = 900_000.0


class Sandbox:
    """One process of one function in one region; made once and used in many worlds."""

    world: "World"

    def __init__(self, settings: Settings) -> None:
        self.function = self.role = settings.function
        self.region = settings.region
        self.settings = settings
        self.is_warm = False
        self.is_busy = False
        self.used_ms = 0.0
        self._gate = Gate()
        self._tasks: list[virtual_time.Task] = []
        clock = clock_of(lambda: self.world, self.region)
        self._edge = Edge(
            clock=clock,
            side_by_side=self._side_by_side,
            write=unread,
            random_bytes=self._random_bytes,
        )
        self._calls: Any = Calls(self)
        self._deps = Dependencies(settings, self._calls, self._edge)
        module = importlib.import_module(f"handlers.{settings.function}")
        self._handler: Any = module.make_handler(self._deps)
        self._deadline_ms = 0.0
        self.origin = self.region

    def enter(self, world: "World") -> None:
        """Become a sandbox of another world, in which it was never used."""
        self.world = world
        self.is_warm = self.is_busy = False
        self.used_ms = 0.0
        self._tasks = []
        self._gate = Gate()

    def cool(self) -> None:
        """Forget everything: the next invocation is a cold start."""
        for task in self._tasks:
            task.end()
        self._tasks = []
        self._gate = Gate()
        self.is_warm = False

    def run(self, event: dict[str, Any]) -> Any:
        """Invoke the handler; returns its answer.

        Raises:
            FunctionFailed: it raised, crashed or took too long.

        """
        world = self.world
        if not self.is_warm:
            # As in a new process: the handler is the same code, and it knows nothing.
            self._deps.__dict__.clear()
            self._deps.__init__(self.settings, self._calls, self._edge)  # type: ignore[misc]
            self.is_warm = True
            world.met(f"cold start: {self.function}")
        self.is_busy = True
        self.origin = event.get("forwarded", {}).get("origin", self.region)
        self._gate.open()
        self._deadline_ms = world.time.now_ms + TIMEOUTS_S[self.function] * 1000
        outcome: list[Any] = []
        waiting = world.time.current
        assert waiting is not None, "only a task can invoke"
        ticket = waiting.ticket

        def invocation() -> None:
            try:
                outcome.append(self._handler(event, self))
            except Exception as error:  # noqa: BLE001 - what a function raises, Lambda tells
                world.raised(self.function, self.region, error)
            self._gate.closed = True
            waiting.wake(ticket)

        task = self._start(invocation)
        self._waiting = (waiting, ticket)
        world.time.wait(within_ms=TIMEOUTS_S[self.function] * 1000)
        self.is_busy = False
        self.used_ms = world.time.now_ms
        if not task.ended:
            world.met(f"timed out: {self.function}")
            self.cool()
        if not outcome:
            raise FunctionFailed
        return outcome[0]

    def crash(self) -> None:
        """End the process where it stands, from within."""
        self.kill()
        raise Ended

    def kill(self) -> None:
        """End the process where it stands, from without."""
        waiting, ticket = self._waiting
        self.cool()
        waiting.wake(ticket)

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left, as Lambda's context tells it."""
        return int(self._deadline_ms - self.world.time.now_ms)

    def _random_bytes(self, count: int) -> bytes:
        return self.world.random_bytes(count)

    def _side_by_side(
        self, tasks: list[Task], *, within_s: float | None = None
    ) -> list[BaseException | None]:
        if len(tasks) == 1 and within_s is None:
            return [error_of(tasks[0])]
        within_ms = None if within_s is None else within_s * 1000
        return virtual_time.side_by_side(
            self.world.time, tasks, start=self._start, within_ms=within_ms
        )

    def _start(self, act: Callable[[], Any]) -> virtual_time.Task:
        task = self.world.time.start(act, gate=self._gate)
        self._tasks = [one for one in self._tasks if not one.ended] + [task]
        return task


class Functions:
    """The sandboxes of every function in every region, of one world."""

    def __init__(self, world: "World", sandboxes: list[Sandbox], chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self._of: dict[tuple[str, str], list[Sandbox]] = {}
        for sandbox in sandboxes:
            sandbox.enter(world)
            self._of.setdefault((sandbox.region, sandbox.function), []).append(sandbox)

    def invoke(self, region: str, function: str, event: dict[str, Any]) -> Any:
        """Invoke a function in some sandbox, waiting for one if all are busy."""
        while True:
            idle = [one for one in self._of[region, function] if not one.is_busy]
            if idle:
                return self._choose(idle).run(event)
            self._world.met(f"all sandboxes busy: {function}")
            self._world.time.sleep(200)

    def _choose(self, idle: list[Sandbox]) -> Sandbox:
        warm = [one for one in idle if one.is_warm]
        now_ms = self._world.time.now_ms
        for sandbox in warm:
            if now_ms - sandbox.used_ms > _IDLE_MS:
                sandbox.cool()
        fresh = self._chance.random() < self._world.weather.cold_starts
        return self._chance.choice(idle if fresh or not warm else warm)

    def end_all(self, region: str) -> None:
        """End every process of a region, as when it dies."""
        for (where, _), sandboxes in self._of.items():
            if where == region:
                for sandbox in sandboxes:
                    if sandbox.is_busy:
                        sandbox.kill()
                    sandbox.cool()
