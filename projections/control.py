"""The regions' states as one function instance knows them: fresh to decide by, or as a hint."""

from collections.abc import Callable

from projections.freshness import Fresh
from projections.regions import ControlStore, Topology


class Control(Fresh[Topology]):
    """The states of all regions; `current` says who serves and who is required.

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
        super().__init__(
            self._read_states,
            unknown="the regions' states are not known now",
            elapsed_s=elapsed_s,
            fresh_s=fresh_s,
        )
        self._store = store
        self._assumed = assumed

    def _read_states(self) -> Topology:
        return self._store.read()

    def known(self) -> Topology:
        """Return the last states that could be read, however old: only a hint.

        For what is right by itself, and merely takes another way when it goes by old states.
        """
        return self.last() or self._assumed
