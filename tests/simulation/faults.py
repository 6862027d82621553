"""Faults as plain data: what a plan holds, and what a failing plan is cut down to.

A call's fault is tied to the n-th call of one kind by one function of one region, so it stays
where it is while other faults are taken out of the plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# Region (empty for all of them), function and site.
Place = tuple[str, str, str]
CallFaultKind = Literal["crash_before", "crash_after", "lose_request", "lose_answer", "throttle"]
OutageKind = Literal["cut", "slow", "kill", "throttle", "refuse_entries", "stall", "lag"]


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
        site: what is throttled, or before what processes stand still.
        ms: the round trip of a slow link; how much longer what `a` writes takes to the others.

    """

    kind: OutageKind
    at_ms: float
    for_ms: float
    a: str
    b: str = ""
    site: str = ""
    ms: float = 0.0


class _Calls:
    """How many calls of a kind there were, and what goes wrong with which of them."""

    __slots__ = ("faults", "number")

    def __init__(self, faults: dict[int, CallFault]) -> None:
        self.faults = faults
        self.number = 0


class CallFaults:
    """Tells each call its fault, if the plan has one for it."""

    def __init__(self, planned: Sequence[CallFault]) -> None:
        self._faults: dict[Place, dict[int, CallFault]] = {}
        self._calls: dict[Place, _Calls] = {}
        # Of one place, and of the same call in all regions together.
        self._counted: dict[Place, tuple[_Calls, _Calls]] = {}
        for fault in planned:
            at = self._faults.setdefault((fault.region, fault.function, fault.site), {})
            for number in range(fault.nth, fault.nth + fault.times):
                at[number] = fault

    def next(self, region: str, function: str, site: str) -> CallFault | None:
        """Count one more call, and return what goes wrong with it."""
        place = (region, function, site)
        counted = self._counted.get(place)
        if counted is None:
            counted = self._of(place), self._of(("", function, site))
            self._counted[place] = counted
        here, everywhere = counted
        found = here.faults.get(here.number) if here.faults else None
        if found is None and everywhere.faults:
            found = everywhere.faults.get(everywhere.number)
        here.number += 1
        everywhere.number += 1
        return found

    def _of(self, place: Place) -> "_Calls":
        calls = self._calls.get(place)
        if calls is None:
            calls = self._calls[place] = _Calls(self._faults.get(place, {}))
        return calls

    def sites(self) -> set[tuple[str, str]]:
        """Return every function and site of which there was a call."""
        return {(function, site) for region, function, site in self._calls if not region}
