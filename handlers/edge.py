"""What a function has that is not AWS: its clocks, chance, sends side by side, a log for metrics.

Everything within is given an `Edge` and reads no clock and starts no thread of its own, so the
same code runs in virtual time, single-threaded, where a test plays both.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from eventstore.clock import Clock

Task = Callable[[], None]


class SideBySide(Protocol):
    """Runs tasks at the same time."""

    def __call__(
        self, tasks: Sequence[Task], *, within_s: float | None = None
    ) -> list[BaseException | None]:
        """Return the error of each task, in order, once all have ended or the time is up.

        None stands for a task that went well, and for one that is not done in time: it goes on.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The clocks of one region, its way to do things side by side, and a log that takes lines.

    `random_bytes` gives as many bytes as are asked for, of which keys are made.
    """

    clock: Clock
    side_by_side: SideBySide
    write: Callable[[str], None]
    random_bytes: Callable[[int], bytes] = os.urandom

    def now_ms(self) -> int:
        """Return the wall clock, in ms since 1970."""
        return int(self.clock.now().timestamp() * 1000)


class Threads:
    """Side by side in threads, as many as given at the most."""

    def __init__(self, most: int) -> None:
        self._pool = ThreadPoolExecutor(most, thread_name_prefix="sends")

    def __call__(
        self, tasks: Sequence[Task], *, within_s: float | None = None
    ) -> list[BaseException | None]:
        running = [self._pool.submit(task) for task in tasks]
        ended = wait(running, timeout=within_s).done
        return [one.exception() if one in ended else None for one in running]


def real_edge(*, threads: int) -> Edge:
    """Return the edge of this process: its clocks, and threads to send with."""
    return Edge(
        clock=Clock(now=_now, elapsed_s=time.monotonic, pause=time.sleep),
        side_by_side=Threads(threads),
        write=_write,
    )


def _write(line: str) -> None:
    # One write a line: threads of one process, as the local regions have, must not mix theirs.
    sys.stdout.write(line + "\n")


def _now() -> datetime:
    # By way of `time.time`, so that who sets that wrong (the local regions do) sets all wrong.
    return datetime.fromtimestamp(time.time(), UTC)
