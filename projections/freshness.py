"""Something stored elsewhere as one function instance knows it, and how old that may be.

What is stored holds each of its states longer than `fresh_s`. That is worth something only
because nobody decides by what was read longer ago: `current` reads again or raises. The age
counts from before the read was sent, on a clock that never jumps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from botocore.exceptions import ClientError

from eventstore.errors import StoreUnavailable, described

T = TypeVar("T")

# After a read that failed, this long nobody waits for another one that may fail as slowly.
_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class _Read(Generic[T]):
    value: T
    asked_at_s: float


class Fresh(Generic[T]):
    """Reads when half of the time is over: one read in seconds, none per command.

    Safe to share between threads: the worst that they can do is to read twice.

    Args:
        read: returns what is stored, no older than the moment of the call.
        unknown: what is wrong while it cannot be read, for the error's message.
        elapsed_s: a monotonic clock.
        fresh_s: how long, in seconds, anything may be decided by what was read.

    """

    def __init__(
        self,
        read: Callable[[], T],
        *,
        unknown: str,
        elapsed_s: Callable[[], float],
        fresh_s: float,
    ) -> None:
        self._ask = read
        self._unknown = unknown
        self._elapsed_s = elapsed_s
        self._fresh_s = fresh_s
        self._read: _Read[T] | None = None
        self._is_reading = False
        self._failed_at_s = -float("inf")
        self._failure = ""

    def current(self) -> T:
        """Return what was in force at some time within the last `fresh_s` seconds.

        Raises:
            StoreUnavailable: it could not be read. Whatever needs it is late, not wrong.

        """
        self._refresh(again_s=_AGAIN_S)
        read = self._read
        # Not the age that was looked at before: reading may have taken long.
        if read is None or self._elapsed_s() - read.asked_at_s > self._fresh_s:
            raise StoreUnavailable(f"{self._unknown}: {self._failure}")
        return read.value

    def renew(self) -> None:
        """Have the next who asks read again: what is stored was changed from here."""
        self._read = None

    def last(self) -> T | None:
        """Return what was read last, however old; None before anything was."""
        self._refresh(again_s=self._fresh_s / 2)
        return self._read.value if self._read else None

    def _refresh(self, *, again_s: float) -> None:
        """Read again if it is time; leave what is known if that fails."""
        now_s = self._elapsed_s()
        age_s = now_s - self._read.asked_at_s if self._read else float("inf")
        if age_s < self._fresh_s / 2 or now_s - self._failed_at_s < again_s:
            return
        if self._is_reading and age_s < self._fresh_s:
            # Another thread is at it, and what is here is good for now.
            return
        self._is_reading = True
        try:
            read = _Read(self._ask(), now_s)
        except (StoreUnavailable, ClientError) as error:
            self._failed_at_s, self._failure = self._elapsed_s(), described(error)
        else:
            # A slow read may come in after one that was sent later.
            if self._read is None or self._read.asked_at_s < read.asked_at_s:
                self._read = read
        finally:
            self._is_reading = False
