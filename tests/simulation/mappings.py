"""What invokes functions besides clients: event source mappings of queues, and the schedule."""

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.simulation.queues import Queue
from tests.simulation.streams import FunctionFailed
from tests.simulation.virtual_time import VirtualTime

Invoke = Callable[[dict[str, Any]], Any]
_BATCH = 10
_POLLERS = 3
_MINUTE_MS = 60_000.0


class QueueMapping:
    """Polls a queue for a function: what the function does not report as failed is deleted."""

    def __init__(
        self,
        time: VirtualTime,
        queue: Queue,
        *,
        chance: random.Random,
        invoke: Invoke,
        met: Callable[[str], None],
    ) -> None:
        self._time = time
        self._queue = queue
        self._chance = chance
        self._invoke = invoke
        self._met = met
        self._polling = 0
        self.stopped = False
        queue.on_visible = self.ring

    @property
    def is_quiet(self) -> bool:
        return not self._polling

    def ring(self) -> None:
        """See to it that messages are polled for."""
        if self._polling < _POLLERS and not self.stopped and self._queue.has_visible():
            self._polling += 1
            self._time.start(self._poll, after_ms=self._chance.uniform(2, 30))

    def _poll(self) -> None:
        try:
            batch = [] if self.stopped else self._queue.receive(self._chance.randint(1, _BATCH))
            if batch:
                self._hand_over(batch)
        finally:
            self._polling -= 1
        if batch:
            self.ring()

    def _hand_over(self, batch: list[Any]) -> None:
        records = [self._queue.record(receipt, message) for receipt, message in batch]
        try:
            answer = self._invoke({"Records": records})
        except FunctionFailed:
            self._met(f"queue batch failed {self._queue.terms.name}")
            return
        failed = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        if failed:
            self._met(f"queue batch failed in part {self._queue.terms.name}")
        self._queue.delete([receipt for receipt, message in batch if message.id not in failed])


class Minutely:
    """Invokes a function at full minutes, as long as there is anything for it to do."""

    def __init__(self, time: VirtualTime, *, invoke: Invoke, has_work: Callable[[], bool]) -> None:
        self._time = time
        self._invoke = invoke
        self._has_work = has_work
        self._planned = False
        self.stopped = False

    def ring(self) -> None:
        """See to it that the function is invoked at the next full minute."""
        if not self._planned:
            self._planned = True
            minutes = self._time.now_ms // _MINUTE_MS + 1
            self._time.at(minutes * _MINUTE_MS, self._due)

    def _due(self) -> None:
        self._planned = False
        if not self.stopped and self._has_work():
            self._time.start(self._run)
            self.ring()

    def _run(self) -> None:
        # After a failure the next minute's does what this one did not.
        with suppress(FunctionFailed):
            self._invoke({})
