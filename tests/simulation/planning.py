"""A seed becomes a plan: a workload, and what goes wrong while it runs."""

import random
from collections.abc import Sequence

from tests.simulation.chances import Chances
from tests.simulation.faults import CallFault, CallFaultKind, Outage, OutageKind
from tests.simulation.plan import Chore, ChoreKind, Climate, Op, Plan
from tests.simulation.workload import SUBSCRIBERS, Workload

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
# Every call that a function makes, with how many of them a run makes about, in a region; 0 for
# what few runs come to, so that no crash of theirs is counted on.
CALL_SITES: dict[str, dict[str, int]] = {
    "commands": {
        "PutItem events": 20, "GetItem events": 8, "Query events": 12, "Query snapshots": 8,
        "PutItem snapshots": 3, "SendMessage lane": 40, "GetItem responses": 20,
        "BatchGetItem views": 2, "UpdateItem responses": 1, "GetItem views": 1,
        "GetItem control": 12, "Query views": 2, "GetItem keys": 10, "PutItem keys": 3,
    },
    "command_queue": {
        "GetItem control": 4,
        "PutItem events": 3, "GetItem events": 2, "Query events": 2, "Query snapshots": 2,
        "PutItem snapshots": 1, "SendMessage lane": 6, "SendMessage commands-dead.fifo": 1,
        "ChangeMessageVisibility commands.fifo": 1, "GetItem keys": 3, "PutItem keys": 1,
    },
    "projector": {
        "BatchGetItem views": 60, "PutItem views": 40, "TransactWriteItems views": 40,
        "GetItem views": 6, "Query events": 10, "UpdateItem responses": 15,
        "SendMessage acks": 60, "SendMessage lane": 2, "GetItem control": 10,
        "Query views": 15, "GetItem keys": 20, "BatchGetItem keys": 5,
    },
    "responder": {
        "UpdateItem responses": 60, "GetItem events": 15, "GetItem views": 15, "PutEvents": 12,
        "GetItem control": 10, "GetItem responses": 2, "Query views": 10,
        "GetItem keys": 15,
    },
    "sweeper": {
        "Query responses": 24, "GetItem responses": 2, "GetItem events": 2,
        "BatchGetItem views": 2, "UpdateItem responses": 2, "GetItem views": 1, "PutEvents": 1,
        "SendMessage lane": 1, "GetItem control": 2, "Query views": 2,
        "GetItem keys": 2,
    },
    "queries": {
        "GetItem views": 10, "Query events": 2, "Query views": 1, "GetItem events": 1,
        "GetItem responses": 1, "GetItem control": 3, "GetItem keys": 8,
        "BatchGetItem keys": 1,
    },
    # Of which only those plans have calls in which letters are replayed.
    "dead_letters": {
        "UpdateItem letters": 1, "GetItem letters": 1, "Scan letters": 1, "GetItem keys": 1,
        "PutItem keys": 1, "SendMessage commands.fifo": 1, "SendMessage lane": 0,
        "SendMessage acks": 0, "Query events": 0, "BatchGetItem views": 0, "Query views": 0,
        "GetItem events": 0, "GetItem responses": 0, "UpdateItem responses": 0, "GetItem views": 0,
        "GetItem control": 0,
    },
    # Operators, by what they do; bringing the region back is part of it.
    "drain": {
        "GetItem control": 3, "PutItem control": 2, "Query responses": 8, "Scan letters": 2,
        "Scan events": 3, "Query views": 1, "BatchGetItem views": 1, "GetItem events": 0,
        "SendMessage lane": 0, "GetItem keys": 2, "BatchGetItem keys": 2,
    },
    "lose": {
        "GetItem control": 3, "PutItem control": 2, "Scan events": 3, "UpdateItem responses": 2,
        "Query views": 1, "BatchGetItem views": 1, "GetItem responses": 3, "GetItem events": 0,
        "SendMessage lane": 0, "Query responses": 1, "GetItem keys": 1, "BatchGetItem keys": 1,
    },
    "rebuild": {
        "Query views": 10, "PutItem views": 6, "GetItem views": 3, "Scan events": 3,
        "BatchGetItem views": 2, "DeleteItem views": 1, "Scan views": 1,
        "BatchWriteItem views": 1, "TransactWriteItems views": 0, "Query events": 0,
        "GetItem keys": 2, "BatchGetItem keys": 1,
    },
    "forget": {
        "GetItem control": 1, "Query events": 1, "GetItem keys": 3, "GetItem responses": 5,
        "Scan letters": 4, "UpdateItem keys": 1, "Query views": 6, "DeleteItem views": 3,
        "UpdateItem views": 0, "Query snapshots": 0, "DeleteItem snapshots": 1,
        "UpdateItem responses": 5, "GetItem letters": 0, "UpdateItem letters": 0,
    },
    "replay": {"Scan letters": 2},
}  # fmt: skip
CHORES: tuple[ChoreKind, ...] = ("drain", "lose", "rebuild", "forget", "replay")
_OF_LETTERS = "dead_letters"
FUNCTIONS = tuple(one for one in CALL_SITES if one not in {*CHORES, _OF_LETTERS})
_KINDS: tuple[CallFaultKind, ...] = (
    "crash_before", "crash_after", "lose_request", "lose_answer", "throttle",
)  # fmt: skip
_THROTTLED = (
    "UpdateItem responses", "TransactWriteItems views", "PutItem events", "Query events",
    "BatchGetItem views", "SendMessage acks", "SendMessage lane", "PutEvents",
)  # fmt: skip
_BUSY_MS = 40_000.0
# What operators do, plan by plan: thirteen in turn, so that each meets every outage in time.
_TURNS: tuple[tuple[ChoreKind, ...], ...] = (
    ("drain",), ("forget",), ("rebuild",), ("drain", "forget"), ("lose",), ("replay",),
    ("drain", "rebuild"), ("lose", "forget"), ("rebuild",), ("forget",), ("lose", "rebuild"),
    ("forget", "replay"), ("replay", "rebuild"),
)  # fmt: skip
# How many crashes a plan has of functions, and of each operator, one of each that can be in turn.
_CRASHES_A_PLAN = 4
_CRASHES_A_CHORE = 3
# What few runs come to, and in how many of them it ends the process.
_RARE, _RARE_CRASHES = 2, 0.5
_OUTAGES: tuple[OutageKind, ...] = (
    "cut", "cut", "cut", "slow", "kill", "throttle", "refuse_entries",
)  # fmt: skip
# How long an outage lasts: a glitch, or much longer.
_SHORT_MS = (300.0, 3_000.0, 3_000.0, 3_000.0, 15_000.0, 15_000.0, 60_000.0)
_LONG = 0.03
# One plan in twenty has one throttled until the queues that wait for it give up their messages.
_GIVING_UP = ("TransactWriteItems views", "UpdateItem responses")
_EVERY = 20
_GIVEN_UP_MS = 2_400_000.0
# One plan in six has acknowledgements held up everywhere, or a region's views, for minutes.
_UNHEARD_EVERY = 6
# How long a region is away once it is drained or lost.
_AWAY_MS = (1_000.0, 1_000.0, 60_000.0)
# How many of the lost regions are alive, and only cut off.
_ISOLATED = 0.5


def plan_of(seed: int, regions: Sequence[str] = REGIONS) -> Plan:
    """Return the plan of a seed, always the same one."""
    chances = Chances(seed)
    chance = chances.of("faults")
    ops = Workload(chances.of("workload"), regions).make()
    chores = _chores(seed, ops, chances.of("chores"), regions)
    at_work = (*FUNCTIONS, *(one.kind for one in chores))
    if any(one.kind == "replay" for one in chores):
        at_work += (_OF_LETTERS,)
    return Plan(
        seed=seed,
        ops=ops,
        call_faults=(
            *_crashes_in_turn(FUNCTIONS, seed * _CRASHES_A_PLAN, _CRASHES_A_PLAN, chance),
            *_crashes_of_operators(seed, chores, chances.of("operators' crashes")),
            *_rare_crashes(chance, at_work),
            *_call_faults(chance, regions, functions=at_work),
        ),
        outages=(
            *_endless(seed, chance, regions),
            *_unheard(seed, chances.of("unheard"), regions),
            *(_outage(chance, regions) for _ in range(chance.randint(2, 4))),
        ),
        chores=chores,
        skews_ms={region: _skew_ms(chance) for region in regions},
        climate=_climate(chances.of("climate")),
    )


def _crashes_in_turn(
    functions: Sequence[str], first: int, count: int, chance: random.Random
) -> list[CallFault]:
    """Return some of all the crashes that these functions can have, from a number on."""
    every = [
        (kind, function, site)
        for function in functions
        for site, usual in CALL_SITES[function].items()
        for kind in _KINDS[:2]
        if usual
    ]
    crashes: list[CallFault] = []
    for number in range(first, first + count):
        kind, function, site = every[number % len(every)]
        nth = int(CALL_SITES[function][site] * chance.random() ** 2)
        crashes.append(CallFault(kind=kind, region="", function=function, site=site, nth=nth))
    return crashes


def _crashes_of_operators(
    seed: int, chores: Sequence[Chore], chance: random.Random
) -> list[CallFault]:
    turn, place = divmod(seed, len(_TURNS))
    crashes: list[CallFault] = []
    for chore in chores:
        before, all_of_them = (
            sum(kinds.count(chore.kind) for kinds in turns) for turns in (_TURNS[:place], _TURNS)
        )
        first = (turn * all_of_them + before) * _CRASHES_A_CHORE
        of = [chore.kind, _OF_LETTERS] if chore.kind == "replay" else [chore.kind]
        crashes += _crashes_in_turn(of, first, _CRASHES_A_CHORE, chance)
    return crashes


def _rare_crashes(chance: random.Random, functions: Sequence[str]) -> list[CallFault]:
    """Return crashes at calls that few runs make: most of these never come to pass."""
    return [
        CallFault(kind=chance.choice(_KINDS[:2]), region="", function=function, site=site, nth=0)
        for function in functions
        for site, usual in CALL_SITES[function].items()
        if usual <= _RARE and chance.random() < _RARE_CRASHES
    ]


def _call_faults(
    chance: random.Random, regions: Sequence[str], *, functions: Sequence[str]
) -> list[CallFault]:
    many = range(chance.randint(4, 12))
    return [_call_fault(chance, regions, function=chance.choice(functions)) for _ in many]


def _call_fault(chance: random.Random, regions: Sequence[str], *, function: str) -> CallFault:
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


def _chores(
    seed: int, ops: Sequence[Op], chance: random.Random, regions: Sequence[str]
) -> tuple[Chore, ...]:
    """Return what operators do: at most one region moved, one rebuild, one forgetting."""
    chores: list[Chore] = []
    for kind in _TURNS[seed % len(_TURNS)]:
        region = chance.choice(regions)
        if kind == "forget":
            at_ms, imsi = chance.uniform(_BUSY_MS / 4, _BUSY_MS), chance.choice(SUBSCRIBERS)["imsi"]
            chores.append(Chore(kind=kind, at_ms=at_ms, region=region, imsi=imsi))
        elif kind == "replay":
            # Of a message that nobody can decide, if there is one: it surely becomes a letter.
            dead = [op for op in ops if op.kind == "queue" and op.spoilt]
            at_ms = chance.uniform(5_000, _BUSY_MS) + (dead[0].at_ms if dead else 0.0)
            region = dead[0].region if dead else region
            chores.append(Chore(kind=kind, at_ms=at_ms, region=region, for_ms=_GIVEN_UP_MS))
        elif kind == "rebuild":
            at_ms = chance.uniform(200, _BUSY_MS)
            projection = chance.choice(("subscriber-view", "network-inventory", "activity"))
            chores.append(Chore(kind=kind, at_ms=at_ms, region=region, projection=projection))
        else:
            at_ms, for_ms = chance.uniform(200, _BUSY_MS / 2), chance.choice(_AWAY_MS)
            isolated = kind == "lose" and chance.random() < _ISOLATED
            chores.append(
                Chore(kind=kind, at_ms=at_ms, region=region, for_ms=for_ms, isolated=isolated)
            )
    return tuple(chores)


def _endless(seed: int, chance: random.Random, regions: Sequence[str]) -> list[Outage]:
    turn, place = divmod(seed, _EVERY)
    if place:
        return []
    at_ms, region = chance.uniform(200, _BUSY_MS / 2), chance.choice(regions)
    site = _GIVING_UP[turn % len(_GIVING_UP)]
    return [Outage(kind="throttle", at_ms=at_ms, for_ms=_GIVEN_UP_MS, a=region, site=site)]


def _unheard(seed: int, chance: random.Random, regions: Sequence[str]) -> list[Outage]:
    """Return what has answers proved by looking: nobody says, or one does not do, what is due."""
    turn, place = divmod(seed, _UNHEARD_EVERY)
    if place != _UNHEARD_EVERY - 1:
        return []
    at_ms, for_ms = chance.uniform(200, _BUSY_MS / 4), chance.uniform(45_000, 75_000)
    silent, lagging = tuple(regions), (chance.choice(regions),)
    site, where = (("SendMessage acks", silent), (_GIVING_UP[0], lagging))[turn % 2]
    return [
        Outage(kind="throttle", at_ms=at_ms, for_ms=for_ms, a=region, site=site) for region in where
    ]


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
        read_lag_ms=chance.choice((0.0, 20.0, 300.0)),
        eventual_lags=chance.choice((0.0, 0.2, 0.8)),
        slow_calls=chance.choice((0.0, 0.02, 0.1)),
        cold_starts=chance.choice((0.02, 0.1, 0.4)),
    )
