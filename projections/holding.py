"""How long a phase that this process knows of must still be held, before what relies on it begins.

Counted from when this process first saw the phase, on a clock that never jumps. So whoever
goes on in the place of another holds it once more, and no other clock has a say in what is
safe. It says nothing about a phase that has gone by.
"""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """The phases of one process, each known by a name and the version of its state.

    Args:
        elapsed_s: a clock that never jumps.
        hold_s: how long each is held: longer than anybody goes by the one before.

    """

    elapsed_s: Callable[[], float]
    hold_s: float
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def left_s(self, name: str, version: int) -> float:
        """Return for how many seconds the phase that was just read must be held; 0 for none."""
        now_s = self.elapsed_s()
        seen, since_s = self._seen.get(name, (-1, now_s))
        if seen != version:
            # Two threads may both get here; each has read the state before its own moment.
            self._seen[name], since_s = (version, now_s), now_s
        return max(0.0, since_s + self.hold_s - now_s)
