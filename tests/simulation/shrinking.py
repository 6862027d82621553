"""A failing plan is cut down: what can be left out, with the failure still there, is left out.

Parts are taken away in halves, then in quarters and so on, as delta debugging does it; then
what the weather does; then how wrong the clocks are. Bounded in tries, so it is not the shortest
there is, but what is left matters.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.simulation.plan import Climate, Plan

Fails = Callable[[Plan], bool]
MOST_TRIES = 400


@dataclass(slots=True)
class _Tries:
    fails: Fails
    left: int

    def __call__(self, plan: Plan) -> bool:
        if self.left <= 0:
            return False
        self.left -= 1
        return self.fails(plan)


def shrink(plan: Plan, fails: Fails, *, most_tries: int = MOST_TRIES) -> Plan:
    """Return a smaller plan that still fails, as small as the tries allow."""
    tries = _Tries(fails, most_tries)
    while True:
        before = _weight(plan)
        for part in ("chores", "outages", "call_faults", "ops"):
            plan = _without_parts(plan, part, tries)
        plan = _calmer(plan, tries)
        if _weight(plan) == before or not tries.left:
            return plan


def _weight(plan: Plan) -> tuple[int, int]:
    calm = Climate()
    weather = sum(
        getattr(plan.climate, one.name) != getattr(calm, one.name)
        for one in dataclasses.fields(Climate)
    )
    clocks = (*plan.skews_ms.values(), *plan.drifts.values())
    return plan.size, weather + sum(error != 0 for error in clocks)


def _without_parts(plan: Plan, part: str, tries: _Tries) -> Plan:
    """Leave out as many of one part of the plan as can be."""
    kept: tuple[Any, ...] = getattr(plan, part)
    size = len(kept)
    while size:
        start = 0
        while start < len(kept):
            fewer = kept[:start] + kept[start + size :]
            candidate = replace(plan, **{part: fewer})
            if tries(candidate):
                plan, kept = candidate, fewer
            else:
                start += size
        size //= 2
    return plan


def _calmer(plan: Plan, tries: _Tries) -> Plan:
    calm = Climate()
    for one in dataclasses.fields(Climate):
        usual = getattr(calm, one.name)
        if getattr(plan.climate, one.name) != usual:
            candidate = replace(plan, climate=replace(plan.climate, **{one.name: usual}))
            plan = candidate if tries(candidate) else plan
    for region, skew_ms in plan.skews_ms.items():
        if skew_ms:
            candidate = replace(plan, skews_ms={**plan.skews_ms, region: 0.0})
            plan = candidate if tries(candidate) else plan
    candidate = replace(plan, drifts={})
    return candidate if plan.drifts and tries(candidate) else plan
