"""A seed becomes a plan: a workload, and what goes wrong while it runs."""

import random
from collections.abc import Sequence

from tests.simulation.chances import Chances
from tests.simulation.faults import CallFault, CallFaultKind, Outage, OutageKind
from tests.simulation.plan import Chore, ChoreKind, Climate, Plan
from tests.simulation.workload import Workload

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
# Every call that a function makes, with how many of them a run makes about, in a region.
CALL_SITES: dict[str, dict[str, int]] = {
    "commands": {
        "PutItem events": 20, "GetItem events": 8, "Query events": 12, "Query snapshots": 8,
        "PutItem snapshots": 3, "SendMessage lane": 40, "GetItem responses": 20,
        "BatchGetItem views": 2, "UpdateItem responses": 1, "GetItem views": 1,
        "GetItem control": 12, "Query views": 2,
    },
    "command_queue": {
        "GetItem control": 4,
        "PutItem events": 3, "GetItem events": 2, "Query events": 2, "Query snapshots": 2,
        "PutItem snapshots": 1, "SendMessage lane": 6, "SendMessage commands-dead.fifo": 1,
        "ChangeMessageVisibility commands.fifo": 1,
    },
    "projector": {
        "BatchGetItem views": 60, "PutItem views": 40, "TransactWriteItems views": 40,
        "GetItem views": 6, "Query events": 10, "UpdateItem responses": 15,
        "SendMessage acks": 60, "SendMessage lane": 2, "GetItem control": 10,
        "Query views": 15,
    },
    "responder": {
        "UpdateItem responses": 60, "GetItem events": 15, "GetItem views": 15, "PutEvents": 12,
        "GetItem control": 10, "GetItem responses": 2, "Query views": 10,
    },
    "sweeper": {
        "Query responses": 24, "GetItem responses": 2, "GetItem events": 2,
        "BatchGetItem views": 2, "UpdateItem responses": 2, "GetItem views": 1, "PutEvents": 1,
        "SendMessage lane": 1, "GetItem control": 2, "Query views": 2,
    },
    "queries": {
        "GetItem views": 10, "Query events": 4, "Query views": 1, "GetItem events": 1,
        "GetItem responses": 1, "GetItem control": 3,
    },
    "operator": {
        "GetItem control": 12, "PutItem control": 2, "Scan events": 3, "BatchGetItem views": 3,
        "Query responses": 8, "UpdateItem responses": 2, "GetItem responses": 1,
        "Query views": 10, "PutItem views": 6, "GetItem views": 3, "SendMessage lane": 1,
        "TransactWriteItems views": 2, "DeleteItem views": 1, "GetItem events": 1,
        "Scan letters": 3,
        "Query events": 1,
    },
}  # fmt: skip
_KINDS: tuple[CallFaultKind, ...] = (
    "crash_before", "crash_after", "lose_request", "lose_answer", "throttle",
)  # fmt: skip
_THROTTLED = (
    "UpdateItem responses", "TransactWriteItems views", "PutItem events", "Query events",
    "BatchGetItem views", "SendMessage acks", "SendMessage lane", "PutEvents",
)  # fmt: skip
_BUSY_MS = 40_000.0
# Every crash that there can be: plans take turns in having one of each.
_CRASHES: tuple[tuple[CallFaultKind, str, str], ...] = tuple(
    (kind, function, site)
    for function, sites in CALL_SITES.items()
    for site in sites
    for kind in _KINDS[:2]
)
_CRASHES_A_PLAN = 4
_RARE = 2
_OUTAGES: tuple[OutageKind, ...] = (
    "cut", "cut", "cut", "slow", "kill", "throttle", "refuse_entries",
)  # fmt: skip
# How long an outage lasts: a glitch, or much longer.
_SHORT_MS = (300.0, 3_000.0, 3_000.0, 3_000.0, 15_000.0, 15_000.0, 60_000.0)
_LONG = 0.03
# One plan in ten has one throttled until the queues that wait for it give up their messages.
_GIVING_UP = ("TransactWriteItems views", "UpdateItem responses")
_EVERY = 10
_GIVEN_UP_MS = 2_400_000.0
# In how many plans a region is drained or lost, and a projection rebuilt.
_MOVED, _REBUILT = 0.3, 0.25


def plan_of(seed: int, regions: Sequence[str] = REGIONS) -> Plan:
    """Return the plan of a seed, always the same one."""
    chances = Chances(seed)
    chance = chances.of("faults")
    return Plan(
        seed=seed,
        ops=Workload(chances.of("workload"), regions).make(),
        call_faults=(
            *_crashes_in_turn(seed, chance),
            *_rare_crashes(chance),
            *(_call_fault(chance, regions) for _ in range(chance.randint(4, 12))),
        ),
        outages=(
            *_endless(seed, chance, regions),
            *(_outage(chance, regions) for _ in range(chance.randint(2, 4))),
        ),
        chores=_chores(chances.of("chores"), regions),
        skews_ms={region: _skew_ms(chance) for region in regions},
        climate=_climate(chances.of("climate")),
    )


def _crashes_in_turn(seed: int, chance: random.Random) -> list[CallFault]:
    crashes: list[CallFault] = []
    for number in range(_CRASHES_A_PLAN):
        kind, function, site = _CRASHES[(seed * _CRASHES_A_PLAN + number) % len(_CRASHES)]
        usual = CALL_SITES[function][site]
        nth = int(usual * chance.random() ** 2)
        crashes.append(CallFault(kind=kind, region="", function=function, site=site, nth=nth))
    return crashes


def _rare_crashes(chance: random.Random) -> list[CallFault]:
    """Return crashes at calls that few runs make: most of these never come to pass."""
    return [
        CallFault(kind=chance.choice(_KINDS[:2]), region="", function=function, site=site, nth=0)
        for function, sites in CALL_SITES.items()
        for site, usual in sites.items()
        if usual <= _RARE and chance.random() < 0.35
    ]


def _call_fault(chance: random.Random, regions: Sequence[str]) -> CallFault:
    function = chance.choice(list(CALL_SITES))
    site = chance.choice(list(CALL_SITES[function]))
    usual = CALL_SITES[function][site]
    return CallFault(
        kind=chance.choice(_KINDS),
        region=chance.choice(regions),
        function=function,
        site=site,
        # Mostly early, so that it comes to pass in most runs.
        nth=int(usual * chance.random() ** 2),
        # Twice in a row beats the SDK's own second try.
        times=chance.choice((1, 1, 2, 2, 4)),
    )


def _chores(chance: random.Random, regions: Sequence[str]) -> tuple[Chore, ...]:
    """Return what operators do: one region at most is moved, beside that one rebuild."""
    chores: list[Chore] = []
    at_ms, region = chance.uniform(200, _BUSY_MS / 2), chance.choice(regions)
    luck = chance.random()
    if luck < _MOVED:
        for_ms = chance.choice((1_000.0, 1_000.0, 60_000.0))
        kind: ChoreKind = "drain" if luck < _MOVED * 2 / 3 else "lose"
        chores.append(Chore(kind=kind, at_ms=at_ms, region=region, for_ms=for_ms))
    if chance.random() < _REBUILT:
        projection = chance.choice(("subscriber-view", "network-inventory", "activity"))
        where, at_ms = chance.choice(regions), chance.uniform(200, _BUSY_MS)
        chores.append(Chore(kind="rebuild", at_ms=at_ms, region=where, projection=projection))
    return tuple(chores)


def _endless(seed: int, chance: random.Random, regions: Sequence[str]) -> list[Outage]:
    turn, place = divmod(seed, _EVERY)
    if place:
        return []
    at_ms, region = chance.uniform(200, _BUSY_MS / 2), chance.choice(regions)
    site = _GIVING_UP[turn % len(_GIVING_UP)]
    return [Outage(kind="throttle", at_ms=at_ms, for_ms=_GIVEN_UP_MS, a=region, site=site)]


def _outage(chance: random.Random, regions: Sequence[str]) -> Outage:
    kind: OutageKind = chance.choice(_OUTAGES)
    a, b = chance.sample(list(regions), 2)
    at_ms = chance.uniform(200, _BUSY_MS)
    for_ms = chance.choice(_SHORT_MS) * chance.uniform(0.5, 1)
    if chance.random() < _LONG:
        for_ms *= 40
    match kind:
        case "cut":
            b = chance.choice((b, b, ""))
            return Outage(kind="cut", at_ms=at_ms, for_ms=for_ms, a=a, b=b)
        case "slow":
            ms = chance.choice((400.0, 1_500.0, 2_900.0))
            return Outage(kind="slow", at_ms=at_ms, for_ms=for_ms, a=a, b=b, ms=ms)
        case "throttle":
            site = chance.choice(_THROTTLED)
            return Outage(kind="throttle", at_ms=at_ms, for_ms=for_ms, a=a, site=site)
        case _:
            return Outage(kind=kind, at_ms=at_ms, for_ms=for_ms, a=a)


def _skew_ms(chance: random.Random) -> float:
    return chance.choice((0.0, chance.uniform(-50, 50), chance.uniform(-120_000, 120_000)))


def _climate(chance: random.Random) -> Climate:
    return Climate(
        message_repeats=chance.choice((0.0, 0.05, 0.15)),
        message_delays=chance.choice((0.0, 0.05, 0.3)),
        stream_repeats=chance.choice((0.0, 0.05, 0.1)),
        stream_reorders=chance.choice((0.0, 0.2, 0.6)),
        stream_delay_ms=chance.choice((50.0, 250.0, 2_000.0)),
        replica_lag_ms=chance.choice((0.0, 20.0, 300.0)),
        eventual_lags=chance.choice((0.0, 0.2, 0.8)),
        slow_calls=chance.choice((0.0, 0.02, 0.1)),
        cold_starts=chance.choice((0.02, 0.1, 0.4)),
    )
