"""What clients do in a run: few aggregates, so that they meet; duplicates; reads of every level.

Half of the commands come in bursts from all regions at one aggregate. Some are sent again, at
the same moment elsewhere, or hours later. Tokens are carried from one region to another.
"""

import random
from collections.abc import Sequence
from typing import Any

from tests.simulation.plan import Op

SUBSCRIBERS = tuple(
    {
        "imsi": f"26201123456789{number}",
        "msisdn": f"+4915112345{number}78",
        "iccid": iccid,
        "service_profile": "consumer-5g",
    }
    for number, iccid in enumerate(
        ("8949020000012345670", "8949020000012345688", "8949020000012345696")
    )
)
ELEMENTS = tuple(
    {"element_id": f"gnb-ber-{number}", "kind": "gnb", "site": "ber-mitte-3", "plmn": "262-01"}
    for number in range(2)
)
PRODUCERS = ("crm-emea", "oss-1")
_HOUR_MS = 3_600_000.0


class Workload:
    """Makes the operations of one plan."""

    def __init__(self, chance: random.Random, regions: Sequence[str]) -> None:
        self._chance = chance
        self._regions = list(regions)
        self._ops: list[Op] = []
        self._commands: list[Op] = []
        self._revisions = [0] * len(ELEMENTS)

    def make(self) -> tuple[Op, ...]:
        """Return the operations: a busy minute, and minutes and hours later a little more."""
        at_ms = 100.0
        for data in (*SUBSCRIBERS, *ELEMENTS):
            if self._chance.random() < 0.8:
                self._command(at_ms, self._beginning(data))
                at_ms += self._chance.uniform(0, 400)
        while len(self._commands) < 48:
            at_ms += self._chance.expovariate(1 / 700)
            self._burst(at_ms) if self._chance.random() < 0.35 else self._one(at_ms)
        # Whatever was done to a region in the busy minute is over by now, and warm is still warm.
        at_ms += 60_000.0
        for _ in range(self._chance.randint(4, 8)):
            at_ms += self._chance.expovariate(1 / 3_000)
            self._one(at_ms)
        for later_h in (self._chance.uniform(1, 6), self._chance.uniform(12, 30)):
            at_ms += later_h * _HOUR_MS
            for _ in range(self._chance.randint(3, 6)):
                at_ms += self._chance.expovariate(1 / 400)
                self._one(at_ms, old=True)
        return tuple(self._ops)

    def in_a_row(
        self,
        region: str,
        at_ms: float,
        *,
        count: int,
        every_ms: float,
        which: int | None = None,
        name: str = "w",
    ) -> tuple[Op, ...]:
        """Return changes that one region is sent, soon after each other, of one aggregate or any.

        Args:
            which: the number of the aggregate, subscribers first.
            name: begins the operations' names, which must differ in a plan.

        """
        ops = []
        for number in range(count):
            body = {**self._change(which), "command_id": f"{name}-{at_ms:.0f}-{number}"}
            body["producer"] = self._chance.choice(PRODUCERS)
            word = f"{name}{at_ms:.0f}-{number}"
            # Left out, it would be made up anew in every run.
            headers = {"X-Correlation-Id": f"corr-{word}"}
            ops.append(
                Op(id=word, at_ms=at_ms, kind="command", region=region, body=body, headers=headers)
            )
            at_ms += self._chance.expovariate(1 / every_ms)
        return tuple(ops)

    def _burst(self, at_ms: float) -> None:
        """Have several regions change one aggregate at once."""
        which = self._chance.randrange(len(SUBSCRIBERS) + len(ELEMENTS))
        for _ in range(self._chance.randint(2, 4)):
            near_ms = at_ms + self._chance.uniform(0, 120)
            self._command(near_ms, self._change(which))
        if self._chance.random() < 0.5:
            self._duplicate(at_ms + self._chance.uniform(0, 300))

    def _one(self, at_ms: float, *, old: bool = False) -> None:
        luck = self._chance.random()
        if self._chance.random() < 0.05:
            self._spoilt(at_ms)
        elif luck < (0.4 if old else 0.15):
            self._duplicate(at_ms, old=old)
        elif luck < (0.6 if old else 0.45):
            self._read(at_ms)
        elif luck < 0.55:
            self._dependent(at_ms)
        else:
            self._command(at_ms, self._change())

    def _add(self, op: Op) -> Op:
        self._ops.append(op)
        return op

    def _command(self, at_ms: float, body: dict[str, Any], **more: Any) -> Op:
        number = len(self._ops)
        headers = {"X-Correlation-Id": f"corr-{number}"}
        if self._chance.random() < 0.3:
            headers["Idempotency-Key"] = f"key-{number}"
        if self._chance.random() < 0.35:
            headers["Prefer"] = f"wait={self._chance.choice((1, 5, 20))}"
        body = {**body, "command_id": f"c-{number}", "producer": self._chance.choice(PRODUCERS)}
        if self._chance.random() < 0.3:
            body["occurred_at"] = "2026-11-23T10:00:00Z"
        kind = "queue" if self._chance.random() < 0.12 and not more else "command"
        if kind == "queue":
            headers.pop("Prefer", None)
        op = self._add(
            Op(
                id=str(number),
                at_ms=at_ms,
                kind=kind,
                region=self._chance.choice(self._regions),
                body=body,
                headers=headers,
                retry=self._retries(),
                **more,
            )
        )
        self._commands.append(op)
        return op

    def _retries(self) -> tuple[str, ...]:
        return tuple(self._chance.choice(self._regions) for _ in range(self._chance.randint(0, 4)))

    def _duplicate(self, at_ms: float, *, old: bool = False) -> None:
        """Send a command again as it was: of the last few, or any one."""
        candidates = self._commands if old else self._commands[-4:]
        first = self._chance.choice(candidates)
        self._commands.append(
            self._add(
                Op(
                    id=str(len(self._ops)),
                    at_ms=max(at_ms, first.at_ms + self._chance.uniform(0, 30)),
                    kind="queue" if self._chance.random() < 0.1 and not first.after else "command",
                    region=self._chance.choice(self._regions),
                    body=first.body,
                    headers=first.headers,
                    retry=self._retries(),
                    after=first.after,
                    uses=first.uses,
                )
            )
        )

    def _dependent(self, at_ms: float) -> None:
        """Send a command that needs an earlier one to be in the log, or the last it has seen."""
        first = self._chance.choice(self._commands[-6:])
        if first.kind == "queue":
            return
        uses = self._chance.choice(("token", "sequence"))
        body = self._change() if uses == "token" else self._change(_which(first.body["data"]))
        self._command(at_ms, body, after=first.id, uses=uses)

    def _spoilt(self, at_ms: float) -> None:
        """Send what nobody can decide or read: it must be told so, and leave nothing."""
        how = self._chance.choice(("malformed", "invalid", "forged token"))
        number = len(self._ops)
        body = {**self._change(), "command_id": f"c-{number}", "producer": PRODUCERS[0]}
        if how == "invalid":
            body["data"] = dict.fromkeys(body["data"], "?")
        elif how == "forged token":
            body["depends_on"] = "bm90LWEtdG9rZW4"
        self._add(
            Op(
                id=str(number),
                at_ms=at_ms,
                kind=self._chance.choice(("command", "queue", "queue")),
                region=self._chance.choice(self._regions),
                body=body,
                headers={"X-Correlation-Id": f"corr-{number}"},
                spoilt=how,
            )
        )

    def _read(self, at_ms: float) -> None:
        which = self._chance.randrange(len(SUBSCRIBERS) + len(ELEMENTS))
        first = self._chance.choice(self._commands[-3:])
        level = self._chance.choice(("eventual", "token", "token", "token", "strong", "strong"))
        more: dict[str, Any] = {}
        query: dict[str, str] = {}
        if level == "token" and first.kind == "command":
            which = _which(first.body["data"])
            more = {"after": first.id, "uses": "token"}
            query = {"wait_ms": self._chance.choice(("0", "0", "500", "5000"))}
            if self._chance.random() < 0.6:
                query["on_timeout"] = "stale"
        elif level == "strong":
            query = {"consistency": "strong"}
        elif self._chance.random() < 0.5 and first.kind == "command":
            self._status(at_ms, first)
            return
        path = _path(which)
        if not more and not query and self._chance.random() < 0.5:
            path, query = self._other_read(path)
        self._add(
            Op(
                id=str(len(self._ops)),
                at_ms=at_ms,
                kind="read",
                region=self._chance.choice(self._regions),
                path=path,
                query=query,
                **more,
            )
        )

    def _other_read(self, path: str) -> tuple[str, dict[str, str]]:
        """Return a read of a timeline, of the past, or of a list."""
        collection = path.rpartition("/")[0]
        of_list = {"status": "active"} if collection == "/subscribers" else {"site": "ber-mitte-3"}
        return self._chance.choice(
            (
                (f"{path}/timeline", {}),
                (f"{path}/history", {"at_sequence": str(self._chance.randint(0, 9))}),
                (collection, of_list),
            )
        )

    def _status(self, at_ms: float, first: Op) -> None:
        self._add(
            Op(
                id=str(len(self._ops)),
                at_ms=at_ms,
                kind="status",
                region=self._chance.choice(self._regions),
                after=first.id,
                uses="commit",
            )
        )

    @staticmethod
    def _beginning(data: dict[str, str]) -> dict[str, Any]:
        kind = "ActivateSubscriber" if "imsi" in data else "RegisterNetworkElement"
        return {"type": kind, "data": data}

    def _change(self, which: int | None = None) -> dict[str, Any]:
        """Return a command that changes, or tries to change, some aggregate."""
        if which is None:
            which = self._chance.randrange(len(SUBSCRIBERS) + len(ELEMENTS))
        if which < len(SUBSCRIBERS):
            return self._change_subscriber(SUBSCRIBERS[which])
        return self._change_element(which - len(SUBSCRIBERS))

    def _change_subscriber(self, subscriber: dict[str, str]) -> dict[str, Any]:
        luck = self._chance.random()
        key = {"imsi": subscriber["imsi"]}
        if luck < 0.1:
            return self._beginning(subscriber)
        if luck < 0.5:
            profile = self._chance.choice(("gold", "silver", "bronze", "iot"))
            return {
                "type": "ChangeServiceProfile",
                "data": {**key, "service_profile": profile},
            }
        if luck < 0.7:
            msisdn = f"+491511234{self._chance.randint(1000, 1005)}"
            return {"type": "ChangeMsisdn", "data": {**key, "msisdn": msisdn}}
        if luck < 0.84:
            reason = self._chance.choice(("fraud", "unpaid"))
            return {"type": "SuspendSubscriber", "data": {**key, "reason": reason}}
        if luck < 0.98:
            return {"type": "ResumeSubscriber", "data": key}
        return {"type": "TerminateSubscriber", "data": {**key, "reason": "moved away"}}

    def _change_element(self, number: int) -> dict[str, Any]:
        luck = self._chance.random()
        key = {"element_id": ELEMENTS[number]["element_id"]}
        if luck < 0.1:
            return self._beginning(ELEMENTS[number])
        if luck < 0.8:
            # Nearly always the revision that will be current, if all goes well.
            base = max(0, self._revisions[number] - (self._chance.random() < 0.3))
            self._revisions[number] += self._chance.random() < 0.7
            parameters = {"nRPCI": self._chance.randint(0, 3), "bSChannelBwDL": 100}
            data = {**key, "base_revision": base, "parameters": parameters}
            return {"type": "ApplyConfiguration", "data": data}
        if luck < 0.98:
            data = {**key, "revision": self._chance.randint(0, 3)}
            return {"type": "RollBackConfiguration", "data": data}
        return {"type": "DecommissionNetworkElement", "data": {**key, "reason": "site closed"}}


def _which(data: dict[str, Any]) -> int:
    """Return the number of the aggregate that a command is about."""
    if "imsi" in data:
        return [one["imsi"] for one in SUBSCRIBERS].index(data["imsi"])
    return len(SUBSCRIBERS) + [one["element_id"] for one in ELEMENTS].index(data["element_id"])


def _path(which: int) -> str:
    if which < len(SUBSCRIBERS):
        return f"/subscribers/{SUBSCRIBERS[which]['imsi']}"
    return f"/network-elements/{ELEMENTS[which - len(SUBSCRIBERS)]['element_id']}"
