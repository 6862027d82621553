"""Who may append to an aggregate, and under which epoch.

In STRONG mode every region may, in one epoch. In EVENTUAL mode one region at a time may, its home,
and each time as home is an epoch of its own: so every key of the log has one region that puts it,
and a table where the last writer wins has nothing to decide.
"""

from dataclasses import dataclass
from typing import Protocol

from eventstore.chain import epoch_of
from eventstore.commits import EPOCH_SPAN


@dataclass(frozen=True, slots=True)
class Tenure:
    """The right to append to an aggregate.

    Attributes:
        epoch: of every commit that is appended by it.
        taken: the epoch that was ended by force and of which commits may still arrive, None
            if there is none.

    """

    epoch: int = 0
    taken: int | None = None

    def next_position(self, last: int) -> int:
        """Return the position of a commit in this epoch that follows the last position `last`."""
        return self.epoch * EPOCH_SPAN + last % EPOCH_SPAN + 1

    def unless(self, last: int) -> int | None:
        """Return where a commit of the epoch that was taken would be, had it just arrived.

        None where that makes no difference: only the first commit of a newer epoch can leave
        another aside, since those after it follow it.
        """
        if self.taken is None or epoch_of(last) > self.taken:
            return None
        return self.taken * EPOCH_SPAN + last % EPOCH_SPAN + 1


class Tenures(Protocol):
    """Says what a region may append to."""

    def held(self, aggregate_id: str) -> Tenure:
        """Return the tenure that this region has now.

        It is one that was held at some moment within a bounded time before the call, and whoever
        ends it waits for longer than that before another begins.

        Raises:
            NotHome: another region has it.
            StoreUnavailable: nobody has it now, or it is not known who has.

        """
        ...


class Everywhere:
    """Every region may append to everything: one order for all regions guards it."""

    def held(self, aggregate_id: str) -> Tenure:  # noqa: ARG002 - whichever it is
        return Tenure()
