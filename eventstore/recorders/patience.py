"""How often and how long a write is repeated whose outcome a time-out left unknown.

Repeating is safe only for writes that recognise themselves, by a token: an attempt must
say "done" when it finds that an earlier one of the same write was stored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from eventstore.errors import StoreUnavailable

Outcome = TypeVar("Outcome")
_MAX_PAUSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """At most `tries` attempts within `total_s` seconds, `pause_s` times the try between them.

    `elapsed_s` is a monotonic clock, `pause` waits for seconds: time is an argument.
    """

    elapsed_s: Callable[[], float]
    pause: Callable[[float], None]
    tries: int = 8
    total_s: float = 8.0
    pause_s: float = 0.05

    def until_known(self, attempt: Callable[[], Outcome]) -> Outcome:
        """Return what `attempt` returns, trying again while the store cannot be reached.

        Raises:
            StoreUnavailable: the tries or the time are used up; the outcome stays unknown.

        """
        deadline_s = self.elapsed_s() + self.total_s
        tried = 0
        while True:
            tried += 1
            try:
                return attempt()
            except StoreUnavailable:
                if tried >= self.tries or self.elapsed_s() >= deadline_s:
                    raise
                self.pause(self.pause_s * min(tried, _MAX_PAUSES))
