"""Drives the moves of regions over the test's network, as an operator's command line does."""

from collections.abc import Callable, Iterator
from typing import Any

from eventstore.scanning import LogScan
from projections.adoption import Adoption
from projections.catching_up import Comparison
from projections.draining import RegionMoves, Step
from projections.regions import RegionState
from tests.handlers.network import ACTIVATION, REGIONS, Network

APPEND_S = 9.0


def one_after_another(tasks: Any) -> list[Any]:
    return [task() for task in tasks]


class Operator:
    """Drives the moves of regions; a second of the states' clock passes with every step."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.queued: dict[str, int] = {}
        deps = network[REGIONS[0]].deps
        scan = LogScan(
            network.log._client,
            table=deps.settings.events_table,
            together=one_after_another,
            segments=3,
        )
        self.moves = RegionMoves(
            states=network.states,
            comparison=Comparison(
                scan=scan,
                log=network.log,
                projections=deps.projections,
                views_of=deps.views_of,
                ring=deps.queues.ring,
            ),
            responses_of=deps.responses_of,
            queued=lambda region: self.queued.get(region, 0),
            letters_of=lambda region: network[region].deps.letters,
            sweep=lambda region: network[region].sweep(),
            adoption=lambda lost, adopter: Adoption(
                scan=scan,
                adopter=deps.responses_of(adopter),
                lost=deps.responses_of(lost),
                together=one_after_another,
                now_ms=deps.edge.now_ms,
                window_ms=deps.settings.token_window_s * 1000,
            ),
            fresh_s=deps.settings.control_fresh_s,
            append_s=APPEND_S,
            elapsed_s=lambda: network.elapsed_s,
            now_ms=deps.edge.now_ms,
        )

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


def activation(number: int) -> dict[str, Any]:
    imsi = f"26201123456{number:04}"
    return {**ACTIVATION, "command_id": f"c{number}", "data": {**ACTIVATION["data"], "imsi": imsi}}
