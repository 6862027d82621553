"""One region's own tables: consistent at once, while eventual reads and indexes may lag.

An eventual read shows an item as it was a moment ago, now and then; an index does not show yet
what has just come into it. Both are told by chance, within a bound that the terms name.
"""

import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.dynamodb.in_process import Change
from tests.simulation.engine import Engine
from tests.simulation.virtual_time import VirtualTime

LAG_MS = 400.0
_LATE_MS = 2_000.0
_PARTLY = frozenset({"Select", "ProjectionExpression"})
_Place = tuple[str, ...]


class RegionalTables:
    """The tables of one region. `changed` is told of every change."""

    def __init__(
        self,
        time: VirtualTime,
        engine: Engine,
        *,
        chance: random.Random,
        lags: float,
        epoch_ms: float,
        changed: Callable[[Change], None],
    ) -> None:
        """Take the engine, how often (0 to 1) an eventual read lags, and when time began."""
        self._time = time
        self.engine = engine
        self._chance = chance
        self._lags = lags
        self._epoch_ms = epoch_ms
        self._changed = changed
        self._seen = 0
        # What an item was before its latest changes, with the time of each change.
        self._before: dict[_Place, deque[tuple[float, Any]]] = {}

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Serve a call, at once."""
        answer: dict[str, Any] = getattr(self.engine, operation)(**request)
        self._take_changes()
        eventual = operation in {"get_item", "query"} and not request.get("ConsistentRead")
        if eventual and self._chance.random() < self._lags:
            lag_ms = self._chance.uniform(0, LAG_MS)
            if operation == "get_item":
                return self._as_it_was(request, answer, lag_ms)
            if "IndexName" in request:
                return self._without_the_newest(request, answer, lag_ms)
        return answer

    def _take_changes(self) -> None:
        for change in self.engine.changes[self._seen :]:
            self._seen += 1
            self._remember(change)
            self._changed(change)
            expires = (change.new or {}).get("expires")
            if expires is not None:
                # Told by the true clock, and some time late, as the service has it.
                at_ms = int(expires["N"]) * 1000.0 - self._epoch_ms + _LATE_MS
                self._time.at(at_ms, partial(self._expire, change, expires))

    def _expire(self, change: Change, expires: dict[str, Any]) -> None:
        found = self.engine.get_item(TableName=change.table, Key=change.key)
        if found.get("Item", {}).get("expires") == expires:
            self.engine.delete_item(TableName=change.table, Key=change.key)
            self._take_changes()

    def _remember(self, change: Change) -> None:
        place = self._place(change.table, change.key)
        before = self._before.setdefault(place, deque(maxlen=8))
        before.append((self._time.now_ms, change.old))

    def _as_it_was(
        self, request: dict[str, Any], answer: dict[str, Any], lag_ms: float
    ) -> dict[str, Any]:
        shown_ms = self._time.now_ms - lag_ms
        for changed_ms, old in self._before.get(
            self._place(request["TableName"], request["Key"]), ()
        ):
            if changed_ms > shown_ms:
                told = {name: value for name, value in answer.items() if name != "Item"}
                return told if old is None else {**told, "Item": old}
        return answer

    def _without_the_newest(
        self, request: dict[str, Any], answer: dict[str, Any], lag_ms: float
    ) -> dict[str, Any]:
        shown_ms = self._time.now_ms - lag_ms
        # Which items these are may not be asked for, only how many, or what some of them hold.
        whole = {name: told for name, told in request.items() if name not in _PARTLY}
        items = self.engine.query(**whole)["Items"]
        old_enough = [
            number
            for number, item in enumerate(items)
            if not (changes := self._before.get(self._place(request["TableName"], item)))
            or changes[-1][0] <= shown_ms
        ]
        shown = {**answer, "Count": len(old_enough)}
        if "Items" in answer:
            shown["Items"] = [answer["Items"][number] for number in old_enough]
        return shown

    def _place(self, table: str, key: dict[str, Any]) -> _Place:
        return table, *(str(key[name]) for name in self.engine.key_names(table))
