"""The figures of a played feed: outcomes, duplicates, conflicts, latency beside its floor.

Pure: a ledger in, numbers out. Latency runs from the first send of a command to the
arrival of its answer in the mailbox of its origin, so it contains everything a producer
waits for, the player's own polling included.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel

from antiphon.ledger import Ledger, Played
from antiphon.network import Wan
from antiphon.violations import Violation

RECORDED_OUTCOMES = ("accepted", "rejected", "unchanged")
ALL_ORIGINS = "all"
ALL_WITHOUT_CONFLICT = "all without conflict"


class Latency(BaseModel):
    """Latency of one origin's answers, in ms, beside the least that its round trips allow."""

    origin: str
    answers: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    floor_ms: float | None


class Scores(BaseModel):
    """What a feed came to."""

    commands: int
    accepted: int
    refused: int
    unchanged: int
    not_recorded: int
    duplicates: int
    conflicts: int
    sent_again: int
    superseded: int = 0
    answered: int
    answered_earlier: int
    redelivered: int
    token_reads: int
    token_reads_not_caught_up: int
    stale: int
    elapsed_s: float
    latency: list[Latency]


def score(ledger: Ledger, *, wan: Wan, elapsed_s: float, violations: Iterable[Violation]) -> Scores:
    """Count and time what the ledger holds."""
    commands = list(ledger.commands.values())
    receipts = [receipt for played in commands for receipt in played.receipts]
    reads = [read for played in commands for read in played.reads]
    outcomes = [_outcome(played) for played in commands]
    answered = [played for played in commands if played.arrivals]
    return Scores(
        commands=len(commands),
        accepted=outcomes.count("accepted"),
        refused=outcomes.count("rejected"),
        unchanged=outcomes.count("unchanged"),
        not_recorded=sum(outcome not in RECORDED_OUTCOMES for outcome in outcomes),
        duplicates=sum(max(len(played.valid_receipts) - 1, 0) for played in commands),
        conflicts=sum(receipt.conflicts for receipt in receipts),
        sent_again=sum(receipt.sends - 1 for receipt in receipts),
        superseded=sum(len(played.superseded) for played in commands),
        answered=len(answered),
        answered_earlier=sum(played.latency_ms is None for played in answered),
        redelivered=sum(len(played.arrivals) - 1 for played in answered),
        token_reads=len(reads),
        token_reads_not_caught_up=sum(read.applied_sequence is None for read in reads),
        stale=sum(violation.kind == "stale" for violation in violations),
        elapsed_s=round(elapsed_s, 3),
        latency=_latencies(answered, wan),
    )


def _outcome(played: Played) -> str:
    receipt = played.recorded
    return receipt.outcome if receipt is not None else "not recorded"


def _latencies(answered: Iterable[Played], wan: Wan) -> list[Latency]:
    by_origin: dict[str, list[float]] = defaultdict(list)
    calm: list[float] = []
    for played in answered:
        if played.latency_ms is not None:
            by_origin[played.arrivals[0].region].append(played.latency_ms)
            if not any(receipt.conflicts for receipt in played.receipts):
                calm.append(played.latency_ms)
    rows = [
        _latency(region, by_origin[region], wan.answer_floor_ms(region))
        for region in wan.regions
        if region in by_origin
    ]
    if len(rows) > 1:
        rows.append(_latency(ALL_ORIGINS, [ms for row in by_origin.values() for ms in row], None))
        # A lost race costs at least another round trip for the append, and is waited for too.
        rows += [_latency(ALL_WITHOUT_CONFLICT, calm, None)] if calm else []
    return rows


def _latency(origin: str, values_ms: Sequence[float], floor_ms: float | None) -> Latency:
    figures: dict[str, Any] = {
        f"p{share}_ms": round(percentile(values_ms, share), 1) for share in (50, 95, 99)
    }
    return Latency(origin=origin, answers=len(values_ms), floor_ms=floor_ms, **figures)


def percentile(values: Sequence[float], share: int) -> float:
    """Return the nearest-rank percentile: a value that really occurred."""
    assert values, "no percentile of nothing"
    ranked = sorted(values)
    return ranked[max(math.ceil(share / 100 * len(ranked)) - 1, 0)]
