"""One run: a plan is played to its end, everything calms down, and a history is left.

The same plan gives the same history in every process, byte for byte.
"""

import functools
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.simulation import outages
from tests.simulation.deployment import SECRET, settings_of
from tests.simulation.eventual_planning import sites_of
from tests.simulation.forgetter import legible
from tests.simulation.functions import SANDBOXES, TIMEOUTS_S, Sandbox
from tests.simulation.history import Final, History, KeptMessage, Terms
from tests.simulation.plan import Mode, Plan
from tests.simulation.planning import REGIONS
from tests.simulation.regional_tables import LAG_MS
from tests.simulation.world import World

# A call at a site that no plan has crashes for: add it to `planning.CALL_SITES`.
UNPLANNED = "call that no plan knows: "
_MINUTE_MS = 60_000.0
_ALONE = frozenset({"sweeper", "dead_letters"})
# An overdue answer is looked for at least once an hour: a few of them is ample.
_MOST_QUIET_MS = 12 * 3_600_000.0
_MOST_STEPS = 400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of a plan. `surprises` are errors that no function may raise."""

    plan: Plan
    history: History
    situations: Counter[str]
    surprises: tuple[str, ...]
    commands: int
    virtual_ms: float


@functools.cache
def sandboxes(mode: Mode = "STRONG") -> tuple[Sandbox, ...]:
    """Return the sandboxes that all worlds of this process use, one after the other."""
    return tuple(
        Sandbox(settings_of(function, region, REGIONS, mode=mode))
        for region in REGIONS
        for function in TIMEOUTS_S
        for _ in range(1 if function in _ALONE else SANDBOXES)
    )


def play(plan: Plan) -> Run:
    """Play a plan to its end."""
    with _silence():
        world = World(plan, sandboxes(plan.mode))
        try:
            _play(world)
            for function, site in world.call_faults.sites():
                if site not in sites_of(plan.mode)[function]:
                    world.met(f"{UNPLANNED}{function} {site}")
            return Run(
                plan=plan,
                history=world.observer.recorder.finish(_terms(plan), _final(world)),
                situations=world.observer.situations,
                surprises=tuple(world.surprises),
                commands=sum(op.kind in {"command", "queue"} for op in plan.ops),
                virtual_ms=world.time.now_ms,
            )
        finally:
            world.time.close()


def _play(world: World) -> None:
    plan = world.plan
    if plan.drifts:
        world.met("clocks wrong by the most that is planned for")
    for op in plan.ops:
        world.time.at(op.at_ms, functools.partial(world.begin, op))
    for chore in plan.chores:
        world.time.at(chore.at_ms, functools.partial(world.employ, chore))
    for outage in plan.outages:
        outages.schedule(world, outage)
    last_ms = max(
        [op.at_ms for op in plan.ops] + [one.at_ms + one.for_ms for one in plan.outages],
        default=0.0,
    )
    world.time.run(until_ms=last_ms + _MINUTE_MS, most_steps=_MOST_STEPS)
    world.calm_down()
    until_ms = world.time.now_ms + _MOST_QUIET_MS
    while world.time.now_ms < until_ms and world.under_way():
        if not world.time.run(until_ms=world.time.now_ms + _MINUTE_MS, most_steps=_MOST_STEPS):
            return
    # Whatever a frozen process or a second delivery still had to do.
    world.time.run(until_ms=world.time.now_ms + 10 * _MINUTE_MS, most_steps=_MOST_STEPS)


def _terms(plan: Plan) -> Terms:
    fresh_ms = sandboxes()[0].settings.control_fresh_s * 1000
    return Terms(
        secret=SECRET,
        regions=REGIONS,
        control_fresh_ms=fresh_ms,
        eventual_lag_ms=LAG_MS,
        mode=plan.mode,
        seed=plan.seed,
    )


def _final(world: World) -> Final:
    def of(table: str) -> dict[str, tuple[dict[str, object], ...]]:
        return {
            region: tuple(map(world.observer.in_clear, one.engine.items(table)))
            for region, one in world.tables.items()
        }

    dead = [
        KeptMessage(region=region, place=terms.name, body=one.body, attributes=one.attributes)
        for region in world.regions
        for terms in world.queues
        if not terms.function
        for one in world.queue(region, terms.name).messages.values()
    ]
    replicas = {
        region: tuple(map(world.observer.in_clear, world.eventual.items(region)))
        for region in world.regions
        if world.eventual is not None
    }
    items = (item for of_one in replicas.values() for item in of_one)
    log = {(item["a"]["S"], item["q"]["N"]): item for item in items}
    journal = map(world.observer.in_clear, world.journal.items("antiphon-events"))
    return Final(
        log=tuple(log.values()) if world.eventual is not None else tuple(journal),
        replicas=replicas,
        views=of("antiphon-views"),
        responses=of("antiphon-responses"),
        letters=of("antiphon-letters"),
        kept=(*dead, *world.kept),
        legible=legible(world) if any(one.kind == "forget" for one in world.plan.chores) else {},
        unfinished=tuple(world.under_way()),
    )


@contextmanager
def _silence() -> Iterator[None]:
    """Have nobody log: what a function would say of a fault is not news here."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
