"""Drives the moves of regions over the test's network, as an operator's command line does."""

from collections.abc import Callable, Iterator
from typing import Any

from antiphon.region_moves import comparison_of
from eventstore.errors import StoreUnavailable
from eventstore.scanning import LogScan
from projections.adoption import Adoption
from projections.draining import RegionMoves, Step
from projections.regions import RegionState
from projections.responses import ResponseStore
from tests.handlers.network import REGIONS, Network

APPEND_S = 9.0


def one_after_another(tasks: Any) -> list[Any]:
    return [task() for task in tasks]


class Operator:
    """Drives the moves of regions; a second of the states' clock passes with every step."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.queued: dict[str, int] = {}
        # Regions whose answers cannot be read, and how often that is still so.
        self.unreadable: dict[str, int] = {}
        self.pauses: list[float] = []
        deps = network[REGIONS[0]].deps
        scan = LogScan(
            network.log._client,
            table=deps.settings.events_table,
            together=one_after_another,
            segments=3,
        )
        self.moves = RegionMoves(
            states=network.states,
            comparison=comparison_of(deps, scan=scan, log=network.log),
            responses_of=deps.responses_of,
            queued=lambda region: self.queued.get(region, 0),
            letters_of=lambda region: network[region].deps.letters,
            sweep=lambda region: network[region].sweep(),
            adoption=Adoption(
                scan=scan,
                responses_of=self.responses_of,
                together=one_after_another,
                now_ms=deps.edge.now_ms,
                pause=self.pauses.append,
                bounds=deps.settings,
            ),
            fresh_s=deps.settings.control_fresh_s,
            append_s=APPEND_S,
            elapsed_s=lambda: network.elapsed_s,
            now_ms=deps.edge.now_ms,
        )

    def responses_of(self, region: str) -> ResponseStore:
        """Return a region's answers, unless they cannot be read this time."""
        if self.unreadable.get(region, 0) > 0:
            self.unreadable[region] -= 1
            raise StoreUnavailable(f"{region} cannot be read")
        return self.network[REGIONS[0]].deps.responses_of(region)

    def state(self, region: str) -> RegionState:
        return self.network.states.read().state(region)

    def do(
        self,
        way: Iterator[Step],
        meanwhile: Callable[[Step], None] = lambda _step: None,
        *,
        most: int = 200,
    ) -> list[Step]:
        steps = []
        for step in way:
            steps.append(step)
            assert len(steps) < most, steps[-3:]
            meanwhile(step)
            self.network.elapsed_s += 1
        return steps
