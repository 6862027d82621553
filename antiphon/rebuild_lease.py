"""Who is at a rebuild, and how fast it may go.

Both are courtesy: two at once, or one too fast, cost money and time, and make nothing wrong.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from antiphon.problems import Problem
from antiphon.terminal import MS_PER_S
from projections.rebuild import Rebuild

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LEASE_S = 10
LOOK_S = 0.25
# Of what a rebuild calls, these tell what they have consumed if they are asked to.
METERED = (
    "GetItem", "PutItem", "DeleteItem", "Query", "Scan",
    "BatchGetItem", "BatchWriteItem", "TransactWriteItems",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Lease:
    """Held by one process at one projection's rebuild in one region.

    Args:
        who: names this process, and since when it is at it.
        lasts_s: how long it holds after the last renewal, whoever was killed.

    """

    rebuild: Rebuild
    name: str
    who: str
    lasts_s: float = LEASE_S
    _renewed_s: float = field(default=-float("inf"), init=False)

    def take(self, *, waiting: Callable[[str], None]) -> None:
        """Take it, waiting for as long as somebody who was killed still holds it.

        Raises:
            Problem: somebody else goes on renewing it.

        """
        deadline_s = time.monotonic() + self.lasts_s + 1
        told = False
        while (holder := self._renew()) is not None:
            if time.monotonic() >= deadline_s:
                raise Problem(
                    f"{self.name} is being rebuilt already, by {holder}; wait until it is done, "
                    f"or look with: antiphon rebuild {self.name} --status"
                )
            if not told:
                waiting(f"{holder} was at it until a moment ago; waiting for that to end")
                told = True
            time.sleep(LOOK_S)

    def keep(self) -> None:
        """Renew it if it is time; raises Problem if somebody else has it."""
        if time.monotonic() - self._renewed_s < self.lasts_s / 3:
            return
        holder = self._renew()
        if holder is not None:
            raise Problem(f"{holder} has taken over the rebuild of {self.name}")

    def release(self) -> None:
        """Give it back, if it is ours."""
        self.rebuild.checkpoints.release(self.name, who=self.who)

    def _renew(self) -> str | None:
        began_s = time.monotonic()
        lasts_ms = int(self.lasts_s * MS_PER_S)
        holder = self.rebuild.checkpoints.take_lease(
            self.name, who=self.who, now_ms=self.rebuild.now_ms(), lasts_ms=lasts_ms
        )
        if holder is None:
            self._renewed_s = began_s
        return holder


class Pace:
    """Holds threads together to a number of capacity units a second; None for no limit."""

    def __init__(self, per_s: float | None) -> None:
        self._per_s = per_s
        self._began_s = time.monotonic()
        self.spent = 0.0

    def wait_s(self) -> float:
        """Return for how many seconds nobody may spend more."""
        if self._per_s is None:
            return 0.0
        return max(0.0, self._began_s + self.spent / self._per_s - time.monotonic())

    def meter(self, client: "DynamoDBClient") -> "DynamoDBClient":
        """Have everything that a client consumes counted, reads and writes alike."""
        for operation in METERED:
            client.meta.events.register(f"provide-client-params.dynamodb.{operation}", _ask)
            client.meta.events.register(f"after-call.dynamodb.{operation}", self._count)
        return client

    def _count(self, *, parsed: dict[str, Any], **_: object) -> None:
        told = parsed.get("ConsumedCapacity", [])
        for one in told if isinstance(told, list) else [told]:
            # Not exact when threads meet here, and that is good enough for a pace.
            self.spent += one.get("CapacityUnits", 0.0)


def _ask(*, params: dict[str, Any], **_: object) -> None:
    params["ReturnConsumedCapacity"] = "TOTAL"
