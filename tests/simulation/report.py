"""What is printed of runs: the situations met, and of a failure all that is needed to see it."""

import dataclasses
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.simulation.campaign import Tally, judge_run
from tests.simulation.checker.explain import explain
from tests.simulation.checker.verdict import check
from tests.simulation.plan import Climate, Mode, Plan, to_json
from tests.simulation.run import play
from tests.simulation.shrinking import shrink
from tests.simulation.situations import expected

_MOST_LINES = 200


def situations_table(situations: Counter[str], mode: Mode) -> list[tuple[str, int]]:
    """Return every situation, the expected ones that never came up included, by name."""
    return sorted({**dict.fromkeys(expected(mode), 0), **situations}.items())


def never_met(situations: Counter[str], mode: Mode) -> list[str]:
    """Return the expected situations that never came up."""
    return sorted(name for name in expected(mode) if not situations[name])


def shortest(plan: Plan, broken: frozenset[str], *, most_tries: int) -> Plan:
    """Return the smallest plan found that still breaks one of these invariants."""
    return shrink(
        plan, lambda one: bool(judge_run(play(one)).broken & broken), most_tries=most_tries
    )


def failure(plan: Plan, *, kept_in: Path) -> str:
    """Return what a failing plan is, what it breaks, and how to play it again."""
    run = play(plan)
    verdict = check(run.history)
    kept_in.write_bytes(to_json(plan))
    mode = " --mode eventual" if plan.mode == "EVENTUAL" else ""
    faults = len(plan.call_faults) + len(plan.outages)
    lines = [
        f"seed {plan.seed}, cut down to {len(plan.ops)} operations and {faults} faults:",
        *_plan_lines(plan),
        "",
        f"what it breaks, of {len(run.history.records)} records:",
        *(f"  {surprise}" for surprise in run.surprises),
    ]
    seen: set[str] = set()
    for violation in verdict.violations:
        if violation.invariant not in seen:
            seen.add(violation.invariant)
            lines += ["", *explain(violation, run.history).splitlines()]
    lines += [
        "",
        f"play it again:           antiphon simulate --plan {kept_in}",
        f"the whole run it is of:  antiphon simulate --seed {plan.seed}{mode}",
    ]
    return "\n".join(lines[:_MOST_LINES])


def _plan_lines(plan: Plan) -> Iterable[str]:
    for op in plan.ops:
        about = f"{op.body.get('type', '')} {op.body.get('command_id', '')} {op.path}".split()
        after = f" with the {op.uses} of {op.after}" if op.after else ""
        sent = f", sent again to {', '.join(op.retry)}" if op.retry else ""
        yield f"  {op.at_ms:10.0f} ms  {op.kind} in {op.region}: {' '.join(about)}{after}{sent}"
    for outage in plan.outages:
        about = f"{outage.kind} {outage.a} {outage.b} {outage.site}".split()
        yield f"  {outage.at_ms:10.0f} ms  {' '.join(about)} for {outage.for_ms:.0f} ms"
    for chore in plan.chores:
        about = f"{chore.kind} {chore.region} {chore.projection}".strip()
        yield f"  {chore.at_ms:10.0f} ms  operator: {about} for {chore.for_ms:.0f} ms"
    for fault in plan.call_faults:
        times = f", {fault.times} times" if fault.times > 1 else ""
        place = f"{fault.function} in {fault.region or 'any region'}"
        yield f"      {fault.kind}: {place}, call {fault.nth} of {fault.site}{times}"
    calm = Climate()
    for one in dataclasses.fields(Climate):
        if (value := getattr(plan.climate, one.name)) != getattr(calm, one.name):
            yield f"      {one.name} = {value}"
    yield from _clock_lines(plan)


def _clock_lines(plan: Plan) -> Iterable[str]:
    for region, skew_ms in plan.skews_ms.items():
        if skew_ms:
            yield f"      the clock of {region} is wrong by {skew_ms:.0f} ms"
    for region, drift in plan.drifts.items():
        yield f"      processes of {region} count {drift:+.1%} of the time"


def summary(tally: Tally, *, elapsed_s: float) -> str:
    """Return one line about many runs."""
    rate = tally.commands / elapsed_s if elapsed_s else 0.0
    return (
        f"{tally.runs} runs, {tally.commands} commands in {elapsed_s:.0f} s: "
        f"{rate:.0f} simulated commands per second; {len(tally.failed)} failed"
    )
