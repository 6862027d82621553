"""Carry out what `antiphon verify --repair` has planned: region by region, one thing at a time.

Says what it would do before it does it. What is refused is told, and stops nothing else. The
log is never written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from antiphon.connection import Connection
from antiphon.installation import dependencies_of
from antiphon.problems import Problem
from antiphon.region_moves import sweep
from antiphon.terminal import print_table, say
from eventstore.errors import StoreUnavailable
from projections.builds import Builds, Registered
from projections.repair import How, Mend, Repair, RepairRefused

SHOWN = 50
# Sweeps one after the other while each still answers something.
MOST_SWEEPS = 100


@dataclass(frozen=True, slots=True)
class Mended:
    """What came of one thing: `refused` says why nothing did."""

    mend: Mend
    refused: str | None = None


def print_plan(mends: Sequence[Mend]) -> None:
    """Say what would be done, the first of very many."""
    rows = [(mend.region, mend.how.value, mend.told) for mend in mends[:SHOWN]]
    print_table(("region", "how", "what would be done"), rows)
    if len(mends) > SHOWN:
        say(f"  and {len(mends) - SHOWN} more")
    if any(mend.how is How.ANSWER for mend in mends):
        say("  An answer whose item was lost may be sent once more, under the same answer_id.")


def carry_out(connection: Connection, mends: Sequence[Mend]) -> list[Mended]:
    """Mend these, and have the regions answer what is due then."""
    told: list[Mended] = []
    for region, some in groupby(sorted(mends, key=_place), key=lambda mend: mend.region):
        repair = _repair(connection, region)
        these = list(some)
        told += [_one(repair, mend) for mend in these]
        if any(mend.how is How.ANSWER for mend in these):
            for _ in range(MOST_SWEEPS):
                if not repair.sweep():
                    break
    return told


def _place(mend: Mend) -> tuple[str, str, str, str]:
    return mend.region, mend.how.value, mend.subject, mend.build


def _one(repair: Repair, mend: Mend) -> Mended:
    try:
        repair.mend(mend)
    except RepairRefused as refused:
        return Mended(mend, str(refused))
    except StoreUnavailable as error:
        raise Problem(f"{error}; what is done is done: run the same again") from error
    return Mended(mend)


def print_mended(told: Sequence[Mended]) -> None:
    """Say what was done and what was not."""
    done = sum(one.refused is None for one in told)
    say(f"  repaired: {done} of {len(told)}")
    for one in told:
        if one.refused is not None:
            say(f"  not repaired: {one.mend.region}  {one.refused}", style="red")


def _repair(connection: Connection, region: str) -> Repair:
    deps = dependencies_of(connection, region)
    return Repair(
        log=deps.log,
        registry=deps.registry,
        views=deps.applier.views,
        builds=lambda: Builds(Registered(deps.projections), deps.build_store.read()),
        responses=deps.responses_of(region),
        ring=partial(deps.queues.ring, region),
        sweep=lambda: _answered(sweep(connection, region)),
        now_ms=deps.edge.now_ms,
        cipher=deps.cipher,
        bounds=deps.settings,
    )


def _answered(swept: Mapping[str, int]) -> int:
    return swept["answered"]
