"""The scale on paper: what so many events a second need, from measured figures and AWS's quotas.

Commands come to three regions in equal parts, each makes one event, and every commit is applied in
all three. It is a plan, not a measurement: latencies are the round trips, work is this machine's,
and a Lambda function of 512 MB has a third of a core, so work counts three times.
"""

import math
from collections.abc import Mapping
from typing import Any

RATES = (1_000, 50_000, 500_000)
_REGIONS = 3
# Means between AWS's regions in ms: from each to the nearest other one, and to the farthest.
_NEAREST_MS = {"us-east-1": 70, "eu-west-1": 70, "ap-south-1": 118}
_FARTHEST_MS = {"us-east-1": 182, "eu-west-1": 118, "ap-south-1": 182}
_LOCAL_MS = 5
# What Lambda starts with in an account and region; DynamoDB's of one partition; EventBridge's.
_CONCURRENCY = 1_000
_UNITS_A_PARTITION = 1_000
_PUT_EVENTS = {"us-east-1": 10_000, "eu-west-1": 10_000, "ap-south-1": 600}
_ENTRIES_A_PUT = 10
_CORES_A_FUNCTION = 512 / 1_769
_BATCH = 20
_MS_PER_S = 1_000


def plan(*, command_us: float, projected_a_core_second: float) -> list[dict[str, Any]]:
    """Return, for each rate, what each resource needs, and what of it must be raised.

    Args:
        command_us: CPU of validate, decide and append.
        projected_a_core_second: commits that one core projects in a second, in batches.

    """
    return [_row(rate, command_us=command_us, projected=projected_a_core_second) for rate in RATES]


def _row(rate: int, *, command_us: float, projected: float) -> dict[str, Any]:
    a_region = rate / _REGIONS
    work_ms = command_us / _MS_PER_S / _CORES_A_FUNCTION
    commands = {
        region: math.ceil(a_region * (nearest + _FARTHEST_MS[region] + work_ms) / _MS_PER_S)
        for region, nearest in _NEAREST_MS.items()
    }
    # A batch: its work, one read of the views, and the writes of its aggregates one by one.
    batch_ms = _BATCH * (_MS_PER_S / projected / _CORES_A_FUNCTION + 2 * _LOCAL_MS) + _LOCAL_MS
    puts = dict.fromkeys(_PUT_EVENTS, a_region / _ENTRIES_A_PUT)
    return {
        "events_a_second": rate,
        "commands_concurrency": max(commands.values()),
        "projector_concurrency": math.ceil(rate / _BATCH * batch_ms / _MS_PER_S),
        "cores": round(rate * command_us / 1e6 + _REGIONS * rate / projected, 1),
        "log_partitions": math.ceil(rate / _UNITS_A_PARTITION),
        "put_events_a_second": math.ceil(max(puts.values())),
        "put_events_over_quota": _over(puts),
        "concurrency_over_quota": max(commands.values()) > _CONCURRENCY,
        "aggregates_at_least": math.ceil(rate / _UNITS_A_PARTITION),
    }


def _over(puts: Mapping[str, float]) -> list[str]:
    return sorted(region for region, a_second in puts.items() if a_second > _PUT_EVENTS[region])
