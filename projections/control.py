"""The regions' states as one function instance knows them, and how old they may be.

Every state is held longer than `control_fresh_s` before the next one. That is worth something
only because nobody decides who serves or who is required by states read longer ago: `current`
reads again or raises. The age counts from before the read was sent, on a clock that never jumps.
"""

from collections.abc import Callable
from dataclasses import dataclass

from botocore.exceptions import ClientError

from eventstore.errors import StoreUnavailable, described
from projections.regions import ControlStore, Topology

# After a read that failed, this long nobody waits for another one that may fail as slowly.
_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class _Read:
    topology: Topology
    asked_at_s: float


class Control:
    """Reads the states when half of their time is over: one read in seconds, none per command.

    Safe to share between threads: the worst that they can do is to read twice.

    Args:
        store: where the states are.
        elapsed_s: a monotonic clock.
        fresh_s: how long, in seconds, anything may be decided by what was read.
        assumed: what to go by, where that is harmless, while nothing could be read yet.

    """

    def __init__(
        self,
        store: ControlStore,
        *,
        elapsed_s: Callable[[], float],
        fresh_s: float,
        assumed: Topology,
    ) -> None:
        self._store = store
        self._elapsed_s = elapsed_s
        self._fresh_s = fresh_s
        self._assumed = assumed
        self._read: _Read | None = None
        self._is_reading = False
        self._failed_at_s = -float("inf")
        self._failure = ""

    def current(self) -> Topology:
        """Return states that were in force at some time within the last `fresh_s` seconds.

        Raises:
            StoreUnavailable: they could not be read. Whatever needs them is late, not wrong.

        """
        self._refresh(again_s=_AGAIN_S)
        read = self._read
        if read is None or self._elapsed_s() - read.asked_at_s > self._fresh_s:
            raise StoreUnavailable(f"the regions' states are not known now: {self._failure}")
        return read.topology

    def known(self) -> Topology:
        """Return the last states that could be read, however old: only a hint.

        For what is right by itself, and merely takes another way when it goes by old states.
        """
        self._refresh(again_s=self._fresh_s / 2)
        return self._read.topology if self._read else self._assumed

    def _refresh(self, *, again_s: float) -> None:
        """Read the states again if it is time; leave what is known if that fails."""
        now_s = self._elapsed_s()
        age_s = now_s - self._read.asked_at_s if self._read else float("inf")
        if age_s < self._fresh_s / 2 or now_s - self._failed_at_s < again_s:
            return
        if self._is_reading and age_s < self._fresh_s:
            # Another thread is at it, and what is here is good for now.
            return
        self._is_reading = True
        try:
            read = _Read(self._store.read(), now_s)
        except (StoreUnavailable, ClientError) as error:
            self._failed_at_s, self._failure = self._elapsed_s(), described(error)
        else:
            # A slow read may come in after one that was sent later.
            if self._read is None or self._read.asked_at_s < read.asked_at_s:
                self._read = read
        finally:
            self._is_reading = False
