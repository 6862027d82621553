"""Faults as plain data: what a plan holds, and what a failing plan is cut down to.

A call's fault is tied to the n-th call of one kind by one function of one region, so it stays
where it is while other faults are taken out of the plan.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

CallFaultKind = Literal["crash_before", "crash_after", "lose_request", "lose_answer", "throttle"]
OutageKind = Literal["cut", "slow", "kill", "throttle", "refuse_entries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFault:
    """What goes wrong with `times` calls in a row.

    Args:
        region: where; empty for the calls of all regions, counted together.
        site: the operation and what it is called on, as `PutItem events`.
        nth: the first of these calls, counted from 0.

    """

    kind: CallFaultKind
    region: str
    function: str
    site: str
    nth: int
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What is wrong for some time.

    Args:
        a: the region; of a cut or slow link the one end.
        b: the other end; empty for every link of `a`.
        site: what is throttled.
        ms: the round trip of a slow link.

    """

    kind: OutageKind
    at_ms: float
    for_ms: float
    a: str
    b: str = ""
    site: str = ""
    ms: float = 0.0


class CallFaults:
    """Tells each call its fault, if the plan has one for it."""

    def __init__(self, planned: Sequence[CallFault]) -> None:
        self._faults: dict[tuple[str, str, str], dict[int, CallFault]] = {}
        self._calls: Counter[tuple[str, str, str]] = Counter()
        for fault in planned:
            at = self._faults.setdefault((fault.region, fault.function, fault.site), {})
            for number in range(fault.nth, fault.nth + fault.times):
                at[number] = fault

    def next(self, region: str, function: str, site: str) -> CallFault | None:
        """Count one more call, and return what goes wrong with it."""
        found: CallFault | None = None
        for place in ((region, function, site), ("", function, site)):
            number = self._calls[place]
            self._calls[place] = number + 1
            found = found or self._faults.get(place, {}).get(number)
        return found

    def sites(self) -> set[tuple[str, str]]:
        """Return every function and site of which there was a call."""
        return {(function, site) for region, function, site in self._calls if not region}
