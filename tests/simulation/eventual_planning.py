"""A seed becomes a plan of EVENTUAL mode: the plan that it is in STRONG mode, with homes moved.

Everything goes wrong that goes wrong there. Besides, operators move homes as planned, and evict
regions that are cut off, killed or well; and processes stand still before they append.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.simulation.chances import Chances
from tests.simulation.eventual_scenes import scene_of
from tests.simulation.faults import CallFault, CallFaultKind, Outage
from tests.simulation.plan import Chore, ChoreKind, Mode, Op, Plan
from tests.simulation.planning import CALL_SITES, REGIONS
from tests.simulation.planning import plan_of as strong_plan_of
from tests.simulation.workload import Workload

# Calls that are made in this mode only; how many of them, as `CALL_SITES` has it.
_MORE: dict[str, dict[str, int]] = {
    "commands": {"Invoke commands": 25, "TransactWriteItems events": 0},
    "command_queue": {"Invoke commands": 3, "TransactWriteItems events": 0},
    "projector": {"GetItem events": 0, "PutItem letters": 0, "UpdateItem letters": 0},
    "responder": {"Query events": 0},
    "sweeper": {
        "Query events": 0, "PutItem letters": 0, "UpdateItem letters": 0, "UpdateItem views": 0,
    },
    "queries": {},
    "drain": {"GetItem responses": 0, "UpdateItem responses": 0},
    "move": {
        "GetItem control": 6, "PutItem control": 2, "Scan events": 4, "BatchGetItem views": 2,
        "Query views": 2, "GetItem events": 0, "SendMessage lane": 0, "GetItem keys": 0,
        "BatchGetItem keys": 0,
    },
    "evict": {
        **CALL_SITES["lose"], "GetItem control": 8, "PutItem control": 5, "Query events": 0,
    },
}  # fmt: skip
SITES = {
    function: {**CALL_SITES.get(function, {}), **_MORE.get(function, {})}
    for function in (*CALL_SITES, *_MORE)
}
_BUSY_MS = 40_000.0
# What operators do besides what they do in STRONG mode, plan by plan.
_TURNS: tuple[tuple[ChoreKind, ...], ...] = (
    ("evict",), ("move",), (), ("evict", "move"), ("evict",), ("move", "move", "move"), ("evict",),
)  # fmt: skip
# Every so many plans have a scene in the place of that.
_SCENE_EVERY = 5
_STALLED = ("PutItem events", "PutItem events", "GetItem control", "Query events")
_DEATHS: tuple[CallFaultKind, ...] = ("crash_before", "crash_after")
_OF_HOMES = ("move", "evict")
_CRASHES_A_CHORE = 3
# How much clocks are wrong at the most: the wall's, and what processes count of the time.
MOST_SKEW_MS, MOST_DRIFT = 120_000.0, 0.01
_AT_THE_BOUND = 0.25


def sites_of(mode: Mode) -> Mapping[str, Mapping[str, int]]:
    """Return every call that a function makes in a mode."""
    return CALL_SITES if mode == "STRONG" else SITES


def plan_of(seed: int, mode: Mode, regions: Sequence[str] = REGIONS) -> Plan:
    """Return the plan of a seed in a mode, always the same one."""
    plan = strong_plan_of(seed, regions)
    if mode == "STRONG":
        return plan
    plan = replace(plan, mode=mode, **_clocks(seed, plan, regions))
    round_, place = divmod(seed, _SCENE_EVERY)
    if place == _SCENE_EVERY - 1:
        return _with_scene(plan, round_, Chances(seed).of("homes"), regions)
    chance, turn = Chances(seed).of("homes"), _TURNS[seed % len(_TURNS)]
    chores = [
        # A region is lost here by being evicted, and may be alive.
        replace(one, kind="evict", isolated=False) if one.kind == "lose" else one
        for one in plan.chores
        if one.kind not in {"forget", "replay"}
    ]
    outages: list[Outage] = []
    words: list[Op] = []
    workload = Workload(chance, regions)
    for kind in turn:
        region, at_ms = chance.choice(regions), chance.uniform(2_000, _BUSY_MS / 2)
        chores.append(Chore(kind=kind, at_ms=at_ms, region=region, for_ms=_away_ms(chance)))
        if chance.random() < 0.5:
            stalled_ms = at_ms + chance.uniform(-1_500, 500)
            site = chance.choice(_STALLED)
            outages.append(
                Outage(kind="stall", at_ms=stalled_ms, for_ms=2_000, a=region, site=site)
            )
            words += workload.in_a_row(region, stalled_ms + 100, count=6, every_ms=250)
        if kind == "evict":
            reason = _reason_for_it(chance, region, at_ms)
            begins_ms = min([at_ms, *(one.at_ms for one in reason)])
            # Taken by it, and known to few or none: what it writes is late, and then held back.
            spoken_ms = max(0.0, begins_ms - 2_500)
            late_ms = chance.choice((1_000.0, 60_000.0, 60_000.0, 600_000.0))
            lag = Outage(kind="lag", at_ms=spoken_ms, for_ms=4_000, a=region, ms=late_ms)
            outages += [*reason, lag]
            words += workload.in_a_row(region, spoken_ms, count=12, every_ms=200)
            # And what others put in its place, once they may.
            other = chance.choice([one for one in regions if one != region])
            taken_ms = at_ms + chance.uniform(16_000, 22_000)
            words += workload.in_a_row(other, taken_ms, count=12, every_ms=600)
    if chance.random() < 0.3:
        late_ms = chance.choice((5_000.0, 40_000.0, 3_600_000.0))
        outages.append(_lag(chance, regions, late_ms))
    return replace(
        plan,
        ops=tuple(sorted((*plan.ops, *words), key=lambda op: op.at_ms)),
        chores=tuple(chores),
        outages=(*plan.outages, *outages),
        call_faults=(*plan.call_faults, *_crashes(seed, chance, [one.kind for one in chores])),
    )


def _with_scene(plan: Plan, number: int, chance: random.Random, regions: Sequence[str]) -> Plan:
    """Return a plan in which nobody moves regions and homes but a scene."""
    scene = scene_of(number, chance, regions)
    chores = (*(one for one in plan.chores if one.kind == "rebuild"), *scene.chores)
    return replace(
        plan,
        ops=tuple(sorted((*plan.ops, *scene.ops), key=lambda op: op.at_ms)),
        chores=chores,
        outages=(*plan.outages, *scene.outages),
    )


def _away_ms(chance: random.Random) -> float:
    return chance.choice((1_000.0, 1_000.0, 60_000.0))


def _reason_for_it(chance: random.Random, region: str, at_ms: float) -> list[Outage]:
    """Return why a region is evicted, if there is a reason: it is out of reach for a while."""
    begins_ms = max(0.0, at_ms - chance.uniform(0, 4_000))
    for_ms = chance.choice((6_000.0, 30_000.0, 60_000.0, 90_000.0))
    match chance.choice(("cut", "cut", "cut", "cut", "kill", "none")):
        case "none":
            return []
        case "kill":
            return [Outage(kind="kill", at_ms=begins_ms, for_ms=for_ms, a=region)]
        case _:
            return [Outage(kind="cut", at_ms=begins_ms, for_ms=for_ms, a=region)]


def _lag(chance: random.Random, regions: Sequence[str], late_ms: float) -> Outage:
    at_ms, for_ms = chance.uniform(200, _BUSY_MS), chance.uniform(500, 8_000)
    return Outage(kind="lag", at_ms=at_ms, for_ms=for_ms, a=chance.choice(regions), ms=late_ms)


def _crashes(seed: int, chance: random.Random, at_work: Sequence[str]) -> list[CallFault]:
    """Return operators of homes that die, each at the next calls in turn, and whom one fails."""
    faults = []
    for number, chore in enumerate(one for one in at_work if one in _OF_HOMES):
        sites = [site for site, usual in SITES[chore].items() if usual]
        every = [(kind, site) for site in sites for kind in _DEATHS]
        first = (seed + number) * _CRASHES_A_CHORE
        in_turn = [every[n % len(every)] for n in range(first, first + _CRASHES_A_CHORE)]
        for kind, site in (*in_turn, ("lose_answer", chance.choice(sites))):
            nth = int(SITES[chore][site] * chance.random() ** 2)
            # Of one call only one thing goes wrong; the other then when it is made again.
            nth += sum((one.function, one.site, one.nth) == (chore, site, nth) for one in faults)
            faults.append(CallFault(kind=kind, region="", function=chore, site=site, nth=nth))
    return faults


def _clocks(seed: int, plan: Plan, regions: Sequence[str]) -> dict[str, Mapping[str, float]]:
    """Return the clocks' errors: in some plans as much as is planned for, one here, one there."""
    chance = Chances(seed).of("clocks")
    if chance.random() >= _AT_THE_BOUND:
        return {"skews_ms": plan.skews_ms, "drifts": {}}
    first, other = chance.sample(list(regions), 2)
    skews_ms = {**plan.skews_ms, first: MOST_SKEW_MS, other: -MOST_SKEW_MS}
    drifts = {region: chance.choice((-MOST_DRIFT, MOST_DRIFT)) for region in regions}
    return {"skews_ms": skews_ms, "drifts": drifts}
