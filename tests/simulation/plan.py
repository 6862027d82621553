"""The plan of a run as plain data: what clients do, what goes wrong, what the weather is like.

A seed makes a plan, and a plan alone decides the run, so that a failing one can be printed, cut
down, kept in a file and played again.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from tests.simulation.faults import CallFault, Outage

Mode = Literal["STRONG", "EVENTUAL"]
ChoreKind = Literal["drain", "lose", "rebuild", "forget", "replay", "move", "evict"]
OpKind = Literal["command", "queue", "read", "status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """What one client does at one time.

    Args:
        region: the one that is called first.
        body: of a command, without what depends on earlier replies.
        headers: of a command or read.
        retry: the regions to send a command to again, in turn, while it has no result.
        after: an earlier operation that this one needs the reply of.
        uses: what it takes from that reply: "token" as `depends_on` or as consistency token,
            "sequence" as `expected_sequence`, "commit" as the path of a status read.
        path, query: of a read.
        spoilt: what makes it invalid on purpose, empty for nothing.

    """

    id: str
    at_ms: float
    kind: OpKind
    region: str
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    retry: tuple[str, ...] = ()
    after: str = ""
    uses: str = ""
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    spoilt: Literal["", "malformed", "invalid", "forged token"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """What an operator does: drain a region and bring it back after `for_ms`; lose it for that
    long, with another one answering for it; rebuild a projection in it; forget a subscriber
    through it; or replay its dead letters, and again after `for_ms`. In
    EVENTUAL mode: move its homes as planned; or evict it and bring it back after `for_ms`.

    A region that is lost is dead, or, if `isolated`, alive and cut off from all the others.
    """

    kind: ChoreKind
    at_ms: float
    region: str
    for_ms: float = 0.0
    projection: str = ""
    isolated: bool = False
    imsi: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate:
    """How often (0 to 1) small things go wrong, all the time until everything is to calm down."""

    message_repeats: float = 0.0
    message_delays: float = 0.0
    stream_repeats: float = 0.0
    stream_reorders: float = 0.0
    stream_delay_ms: float = 200.0
    replica_lag_ms: float = 0.0
    read_lag_ms: float = 0.0
    eventual_lags: float = 0.0
    slow_calls: float = 0.0
    cold_starts: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All of one run.

    `skews_ms` says by how much each region's clock is wrong, `drifts` by which part of the time
    its processes count too much, or too little.
    """

    seed: int
    ops: tuple[Op, ...]
    call_faults: tuple[CallFault, ...] = ()
    outages: tuple[Outage, ...] = ()
    chores: tuple[Chore, ...] = ()
    skews_ms: Mapping[str, float] = field(default_factory=dict)
    drifts: Mapping[str, float] = field(default_factory=dict)
    climate: Climate = field(default_factory=Climate)
    mode: Mode = "STRONG"

    @property
    def size(self) -> int:
        """How much there is in it to be cut down."""
        return len(self.ops) + len(self.call_faults) + len(self.outages) + len(self.chores)


def to_json(plan: Plan) -> bytes:
    """Return a plan as JSON text."""
    return orjson.dumps(dataclasses.asdict(plan), option=orjson.OPT_INDENT_2)


def from_json(text: bytes) -> Plan:
    """Return the plan that `to_json` was given."""
    told = orjson.loads(text)
    ops = (Op(**{**op, "retry": tuple(op["retry"])}) for op in told["ops"])
    return Plan(
        seed=told["seed"],
        ops=tuple(ops),
        call_faults=tuple(CallFault(**one) for one in told["call_faults"]),
        outages=tuple(Outage(**one) for one in told["outages"]),
        chores=tuple(Chore(**one) for one in told["chores"]),
        skews_ms=told["skews_ms"],
        drifts=told.get("drifts", {}),
        climate=Climate(**told["climate"]),
        mode=told.get("mode", "STRONG"),
    )
