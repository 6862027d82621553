"""EventBridge: a bus that takes answers, refuses some, and may deliver what it took twice."""

import random
from collections.abc import Callable
from typing import Any

Accepted = Callable[[str, str], None]


class Bus:
    """One region's bus. `accepted` is told of each entry: detail type and body."""

    def __init__(
        self,
        *,
        chance: random.Random,
        refuses: Callable[[], bool],
        accepted: Accepted,
        met: Callable[[str], None],
    ) -> None:
        self._chance = chance
        self._refuses = refuses
        self._accepted = accepted
        self._met = met

    def put(self, entries: list[dict[str, Any]]) -> dict[str, Any]:
        """Take entries, as PutEvents does: the request succeeds though some of them fail."""
        told: list[dict[str, Any]] = []
        for entry in entries:
            if self._refuses():
                self._met("fault: entry refused by the bus")
                told.append({"ErrorCode": "InternalFailure", "ErrorMessage": "try again"})
                continue
            self._accepted(entry["DetailType"], entry["Detail"])
            told.append({"EventId": f"{self._chance.getrandbits(64):016x}"})
        return {"FailedEntryCount": sum("ErrorCode" in one for one in told), "Entries": told}
