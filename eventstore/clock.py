"""Time, which everything here is given and nothing reads by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Time as an argument: `now` in UTC, `elapsed_s` monotonic, `pause` waits seconds."""

    now: Callable[[], datetime]
    elapsed_s: Callable[[], float]
    pause: Callable[[float], None]
