"""Virtual time: tasks that take turns, one at a time, in an order that the seed alone decides.

Each task is a greenlet; it runs until it sleeps or waits. Nothing passes but what the tasks
sleep, so hours take no time, and the same tasks with the same seed meet in the same order.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from greenlet import getcurrent, greenlet

Act = Callable[[], Any]


class Ended(BaseException):
    """The process that runs this is gone: nothing in the code under test may catch it."""


class Gate:
    """Holds up its tasks while it is closed, as a frozen process holds up what it has begun."""

    __slots__ = ("closed", "held")

    def __init__(self) -> None:
        self.closed = False
        self.held: list[tuple[Task, int]] = []

    def open(self) -> None:
        """Let the tasks go on that were held up."""
        self.closed = False
        held, self.held = self.held, []
        for task, ticket in held:
            task.wake(ticket)


class Task:
    """One line of activity in virtual time."""

    __slots__ = ("_greenlet", "_time", "ended", "gate", "ticket")

    def __init__(self, time: "VirtualTime", act: Act, gate: Gate | None) -> None:
        self._time = time
        self._greenlet = greenlet(self._run(act), parent=time.hub)
        self.gate = gate
        self.ended = False
        self.ticket = 0

    def _run(self, act: Act) -> Act:
        def run() -> None:
            try:
                act()
            except Ended:
                pass
            finally:
                self.ended = True
                self._time.living.pop(self, None)

        return run

    def resume(self, ticket: int | None = None) -> None:
        """Go on where the task stopped; by a ticket only if it still waits with that one."""
        if self.ended or (ticket is not None and ticket != self.ticket):
            return
        if self.gate is not None and self.gate.closed:
            self.gate.held.append((self, self.ticket))
            return
        self.ticket += 1
        self._time.current = self
        self._greenlet.switch()
        self._time.current = None

    def wake(self, ticket: int) -> None:
        """Let the task go on at this time if it still waits with this ticket."""
        self._time.at(self._time.now_ms, partial(self.resume, ticket))

    def end(self) -> None:
        """End the task where it stands. A task that ends itself raises `Ended` instead."""
        if self.ended:
            return
        self.ended = True
        self._time.at(self._time.now_ms, self._throw)

    def _throw(self) -> None:
        self._time.living.pop(self, None)
        # False for one that never ran, and for one that has ended.
        if self._greenlet:
            self._greenlet.throw(Ended)


class VirtualTime:
    """The clock and the order of everything that happens. Times in ms since the start."""

    def __init__(self, chance: random.Random) -> None:
        self.now_ms = 0.0
        self.hub = getcurrent()
        self.current: Task | None = None
        # In the order in which they started, which a set does not keep.
        self.living: dict[Task, None] = {}
        self.steps = 0
        # How far `run` goes now, in time and in steps.
        self._until_ms = 0.0
        self._last_step = 0
        self._chance = chance
        self._numbers = itertools.count()
        self._agenda: list[tuple[float, float, int, Act]] = []

    def at(self, at_ms: float, act: Act) -> None:
        """Have `act` done at a time; among others of that very time in an order by chance."""
        entry = (max(at_ms, self.now_ms), self._chance.random(), next(self._numbers), act)
        heapq.heappush(self._agenda, entry)

    def after(self, ms: float, act: Act) -> None:
        """Have `act` done some time from now."""
        self.at(self.now_ms + ms, act)

    def start(self, act: Act, *, gate: Gate | None = None, after_ms: float = 0) -> Task:
        """Start a task; it may sleep and wait."""
        task = Task(self, act, gate)
        self.living[task] = None
        self.after(after_ms, task.resume)
        return task

    def sleep(self, ms: float) -> None:
        """Let time pass for the current task."""
        task = self.current
        assert task is not None, "only a task can sleep"
        at_ms, agenda = self.now_ms + max(ms, 0.0), self._agenda
        wake = partial(task.resume, task.ticket)
        entry = (at_ms, self._chance.random(), next(self._numbers), wake)
        if (
            (not agenda or entry < agenda[0])
            and at_ms <= self._until_ms
            and self.steps < self._last_step
            and not (task.ended or (task.gate is not None and task.gate.closed))
        ):
            # It would be next on the agenda: without the way there and back nothing is different.
            self.now_ms = at_ms
            self.steps += 1
            task.ticket += 1
            return
        heapq.heappush(agenda, entry)
        self._stop(task)

    def wait(self, *, within_ms: float | None = None) -> None:
        """Stop the current task until someone wakes it by its ticket, or the time is up."""
        task = self.current
        assert task is not None, "only a task can wait"
        if within_ms is not None:
            self.after(within_ms, partial(task.resume, task.ticket))
        self._stop(task)

    def _stop(self, task: Task) -> None:
        self.hub.switch()
        if task.ended:
            raise Ended

    def run(self, *, until_ms: float, most_steps: int) -> bool:
        """Do what is due until a time; False if there was more than `most_steps` of it."""
        self._until_ms, self._last_step = until_ms, self.steps + most_steps
        while self.steps < self._last_step:
            if not self._agenda or self._agenda[0][0] > until_ms:
                self.now_ms = max(self.now_ms, until_ms)
                return True
            at_ms, _, _, act = heapq.heappop(self._agenda)
            self.now_ms = at_ms
            self.steps += 1
            act()
        return False

    def next_ms(self) -> float | None:
        """Return when the next thing is due, None if nothing is."""
        return self._agenda[0][0] if self._agenda else None

    def close(self) -> None:
        """End every task that is left."""
        self._agenda.clear()
        for task in list(self.living):
            task.end()
        while self._agenda:
            heapq.heappop(self._agenda)[3]()


def side_by_side(
    time: VirtualTime,
    acts: Sequence[Act],
    *,
    start: Callable[[Act], Task],
    within_ms: float | None,
) -> list[BaseException | None]:
    """Run acts as tasks of their own; return each one's error, as far as they end in time."""
    parent = time.current
    assert parent is not None, "only a task can wait for others"
    errors: list[BaseException | None] = [None] * len(acts)
    left = len(acts)
    ticket = parent.ticket

    def one(number: int) -> Act:
        def run() -> None:
            nonlocal left
            try:
                acts[number]()
            except Exception as error:  # noqa: BLE001 - told to whoever waits for it
                errors[number] = error
            left -= 1
            if not left:
                parent.wake(ticket)

        return run

    for number in range(len(acts)):
        start(one(number))
    if left:
        time.wait(within_ms=within_ms)
    return list(errors)
