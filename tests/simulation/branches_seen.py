"""Counts what came up that only EVENTUAL mode has: homes moved, branches, commits out of order.

Read from what is stored, like everything that the observer counts; it decides nothing.
"""

import zlib
from collections.abc import Callable
from typing import Any

from tests.dynamodb.values import Item

_SPAN = 10**12
_LATE_MS = 10_000.0


class BranchesSeen:
    """What one world's replicas and homes have shown so far. `met` counts a situation."""

    def __init__(self, met: Callable[[str], None], now_ms: Callable[[], float]) -> None:
        self._met = met
        self._now_ms = now_ms
        self._slots: list[dict[str, Any]] = []
        # When each commit was put, by its place; the last positions that a region has.
        self._put_ms: dict[tuple[str, int], float] = {}
        self._here: dict[str, set[tuple[str, int]]] = {}

    def rehomed(self, slots: list[dict[str, Any]]) -> None:
        """Take the homes as they are now."""
        for before, now in zip(self._slots, slots, strict=False):
            if now.get("epoch", 0) != before.get("epoch", 0):
                forced = now.get("taken") == before.get("epoch", 0)
                self._met(f"homes moved {'by force' if forced else 'as planned'}")
                break
        self._slots = slots

    def stored(self, region: str, item: Item, *, is_new: bool) -> None:
        """Take a commit that a region's replica has now, put there or arrived."""
        if not (item and self._slots):
            # Removed; or of STRONG mode, where nobody is home.
            return
        aggregate, position, before = item["a"]["S"], int(item["q"]["N"]), int(item["p"]["N"])
        here = self._here.setdefault(region, set())
        here.add((aggregate, position + len(item["e"]["L"]) - 1))
        if is_new:
            self._put_ms[aggregate, position] = self._now_ms()
            self._put(aggregate, position // _SPAN, before // _SPAN, follows=bool(before))
            return
        if before and (aggregate, before) not in here:
            self._met("commit arrives before its predecessor")
        if self._now_ms() - self._put_ms[aggregate, position] > _LATE_MS:
            self._met("commit arrives late")

    def _put(self, aggregate: str, epoch: int, epoch_before: int, *, follows: bool) -> None:
        slot = self._slots[zlib.crc32(aggregate.encode()) % len(self._slots)]
        if epoch < slot.get("epoch", 0):
            self._met("commit put by who was home before")
        elif follows and epoch > epoch_before:
            forced = slot.get("taken") is not None
            self._met(f"first commit after a {'forced' if forced else 'planned'} move")
