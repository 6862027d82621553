"""What happens to a made-up network element: configurations, races for a revision, mistakes.

Which outcome a command has is not decided here; see `lanes`.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from antiphon.feeds.lanes import Lane
from antiphon.feeds.numbering import Operator
from domain.aggregate import Command
from domain.network_element import (
    ApplyConfiguration,
    DecommissionNetworkElement,
    ElementKind,
    NetworkElement,
    RegisterNetworkElement,
    RollBackConfiguration,
)

Scalar = bool | int | float | str
Move = Callable[[NetworkElement, random.Random], list[Command]]

ENDS = ("site-closed", "replaced", "end-of-life")
EARLY = 0.15
# How many steps may follow a registration, and how likely each number is.
LENGTHS = ((1, 2, 3, 4, 5, 6), (8, 18, 26, 24, 14, 10))

RADIO: tuple[ElementKind, ...] = ("gnb", "gnb-cu", "gnb-du", "enb", "ng-enb")
CORE: tuple[ElementKind, ...] = (
    "amf", "smf", "upf", "ausf", "udm", "pcf", "nrf", "nssf", "smsf", "hss", "mme", "pgw",
)  # fmt: skip
RADIO_SITES = ("nord", "sued", "harbour", "airport", "station", "campus", "stadium")
CORE_SITES = ("dc", "edge")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an element stands and what it is called."""

    element_id: str
    kind: ElementKind
    site: str


def place_for(operator: Operator, rng: random.Random) -> Place:
    """Make up an element of an operator: radio at many sites, core in few."""
    radio = rng.random() < 0.6  # noqa: PLR2004 - most of a network is radio
    kind = rng.choice(RADIO if radio else CORE)
    city = rng.choice(operator.cities)
    site = f"{rng.choice(RADIO_SITES)}-{rng.randrange(1, 200)}" if radio else rng.choice(CORE_SITES)
    return Place(
        element_id=f"{kind}-{city}-{rng.randrange(100_000):05}",
        kind=kind,
        site=f"{city}-{site}" if radio else f"{city}-{site}-{rng.randrange(1, 4)}",
    )


def play_element(lane: Lane, operator: Operator, place: Place) -> None:
    """Fill a lane with the commands for one network element of an operator."""
    rng = lane.rng
    if rng.random() < EARLY:
        parameters = _parameters(place.kind, rng)
        lane.send(
            [
                ApplyConfiguration(
                    element_id=place.element_id, base_revision=0, parameters=parameters
                )
            ]
        )
    registration = RegisterNetworkElement(
        element_id=place.element_id, kind=place.kind, site=place.site, plmn=operator.plmn
    )
    lane.send([registration])
    for _ in range(rng.choices(*LENGTHS)[0]):
        if lane.state is not None:
            weights, moves = zip(*MOVES[lane.state.status], strict=True)
            commands = rng.choices(moves, weights)[0](lane.state, rng)
            lane.send(commands if lane.may_burst else commands[:1])
    lane.send_again()


def _parameters(kind: str, rng: random.Random) -> dict[str, Scalar]:
    """Make up parameters under the names of 3GPP TS 28.541, and counters of the core."""
    if kind in RADIO:
        return {
            "nRPCI": rng.randrange(1008),
            "arfcnDL": rng.choice((620_000, 636_666, 647_328, 653_952)),
            "bSChannelBwDL": rng.choice((20, 40, 60, 80, 100)),
            "configuredMaxTxPower": rng.randrange(20_000, 80_000, 500),
            "administrativeState": rng.choice(("UNLOCKED", "LOCKED", "SHUTTING_DOWN")),
        }
    return {
        "maxSessions": rng.randrange(10_000, 500_000, 1000),
        "loadThreshold": rng.randrange(50, 100) / 100,
        "heartbeatTimer": rng.choice((10, 30, 60)),
        "overloadControl": rng.random() < 0.5,  # noqa: PLR2004 - a coin
        "operationalState": rng.choice(("ENABLED", "DISABLED")),
    }


def _apply_to(now: NetworkElement, base: int, rng: random.Random) -> Command:
    return ApplyConfiguration(
        element_id=now.element_id, base_revision=base, parameters=_parameters(now.kind, rng)
    )


def _roll_back_to(now: NetworkElement, revision: int) -> Command:
    return RollBackConfiguration(element_id=now.element_id, revision=revision)


def _apply(now: NetworkElement, rng: random.Random) -> list[Command]:
    return [_apply_to(now, now.revision, rng)]


def _apply_at_once(now: NetworkElement, rng: random.Random) -> list[Command]:
    """Let two controllers configure the same revision: only one of them can be right."""
    return [_apply_to(now, now.revision, rng) for _ in range(rng.choice((2, 2, 3)))]


def _apply_stale(now: NetworkElement, rng: random.Random) -> list[Command]:
    """Configure a revision that is no longer there, or not yet."""
    base = rng.randrange(now.revision) if now.revision else 1
    return [_apply_to(now, base, rng)]


def _apply_again(now: NetworkElement, _: random.Random) -> list[Command]:
    """Apply what is in place, under a new command id."""
    if not now.parameters:
        return [_register_again(now)]
    return [
        ApplyConfiguration(
            element_id=now.element_id, base_revision=now.revision, parameters=now.parameters
        )
    ]


def _roll_back(now: NetworkElement, rng: random.Random) -> list[Command]:
    kept = [revision.revision for revision in now.revisions[:-1]]
    return [_roll_back_to(now, rng.choice(kept)) if kept else _apply_to(now, now.revision, rng)]


def _roll_back_at_once(now: NetworkElement, rng: random.Random) -> list[Command]:
    """Roll back while another controller applies a configuration."""
    return [*_roll_back(now, rng), _apply_to(now, now.revision, rng)]


def _roll_back_too_far(now: NetworkElement, rng: random.Random) -> list[Command]:
    return [_roll_back_to(now, now.revision + rng.randrange(3, 40))]


def _register_again(now: NetworkElement) -> Command:
    data = now.model_dump(include={"element_id", "kind", "site", "plmn"})
    return RegisterNetworkElement(**data)


def _register_same(now: NetworkElement, _: random.Random) -> list[Command]:
    return [_register_again(now)]


def _register_elsewhere(now: NetworkElement, rng: random.Random) -> list[Command]:
    data = now.model_dump(include={"element_id", "kind", "plmn"})
    return [RegisterNetworkElement(site=f"{now.site}-b{rng.randrange(1, 9)}", **data)]


def _decommission(now: NetworkElement, rng: random.Random) -> list[Command]:
    reason = rng.choice([end for end in ENDS if end != now.reason])
    return [DecommissionNetworkElement(element_id=now.element_id, reason=reason)]


def _same_end(now: NetworkElement, _: random.Random) -> list[Command]:
    return [DecommissionNetworkElement(element_id=now.element_id, reason=now.reason or ENDS[0])]


MOVES: dict[str, list[tuple[float, Move]]] = {
    "in_service": [
        (5, _apply),
        (3, _apply_at_once),
        (1.5, _apply_stale),
        (0.7, _apply_again),
        (4, _roll_back),
        (1, _roll_back_at_once),
        (1, _roll_back_too_far),
        (0.5, _register_same),
        (0.5, _register_elsewhere),
        (1, _decommission),
    ],
    "decommissioned": [
        (2, _apply),
        (1, _decommission),
        (1, _same_end),
        (1, _register_same),
    ],
}
