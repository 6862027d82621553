"""Go a way that an operator has asked for, step by step, and tell how far it is."""

import time
from collections.abc import Iterator

from antiphon.connection import Connection
from antiphon.problems import Problem
from antiphon.terminal import MS_PER_S, milliseconds, say
from eventstore.errors import StoreUnavailable
from projections.draining import Step
from projections.regions import RegionRefused

PAUSE_S = 0.5
# A wait is told again this often though nothing else has changed.
TOLD_AGAIN_S = 5.0


def other_region(connection: Connection, name: str, *, preferred: str | None = None) -> str:
    """Return a region to work through that is not the one moved; raises Problem."""
    connection.region_named(name)
    if preferred is not None and preferred != name:
        return connection.region_named(preferred)
    others = [one for one in connection.regions if one != name]
    wan = connection.wan()
    able = [one for one in others if not (wan.is_killed(one) or wan.is_isolated(one))]
    return (able or others)[0]


def drive(way: Iterator[Step], *, again: str) -> None:
    """Go a way to its end, telling each step that is news; raises Problem."""
    told, told_at_s = "", 0.0
    begun_s = time.monotonic()
    try:
        for step in way:
            now_s = time.monotonic()
            if step.phase != told or now_s - told_at_s >= TOLD_AGAIN_S:
                took = milliseconds((now_s - begun_s) * MS_PER_S)
                say(f"{took:>10}  {step.phase}: {step.told}")
                told, told_at_s = step.phase, now_s
            if step.waits:
                time.sleep(PAUSE_S)
    except RegionRefused as refused:
        raise Problem(str(refused)) from refused
    except StoreUnavailable as error:
        raise Problem(f"{error}; go on with: {again}") from error
