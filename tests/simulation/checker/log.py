"""The log of a run, read from its raw items, and what it makes of each aggregate.

`Chain` is one aggregate: its commits in order, and what state, document and timeline row must
be after each. What cannot be folded ends the chain's states: nobody can say what comes after.
"""

import base64
import functools
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from tests.simulation.checker.identifiers import EPOCH_SPAN
from tests.simulation.checker.reference import BY_TAG, FORGOTTEN_BY, Model, State
from tests.simulation.history import Item

Document = dict[str, Any] | None
_NEEDED = frozenset("aqpekhmorcf")
_OUTCOMES = {"Refused": "rejected", "Unchanged": "unchanged"}


@dataclass(slots=True, kw_only=True)
class Logged:
    """One commit. `appended` is the step at which it came into the log, None if unseen."""

    aggregate: str
    position: int
    predecessor: int
    events: list[tuple[str, int, Any]]
    token: bytes
    content: bytes
    command: str
    command_id: str
    producer: str
    occurred_at: str | None
    origin: str
    recorded_at_ms: int
    correlation_id: str
    traceparent: str | None
    appended: int | None = None
    appended_at_ms: float = 0.0
    appended_in: str = ""
    # When it had arrived in each other region, where a region appends in its own replica only.
    arrived: dict[str, int] = field(default_factory=dict)
    # False for one that is superseded: it is beside the branch that counts.
    counts: bool = True
    _row: dict[str, Any] | None = None

    @property
    def id(self) -> str:
        return f"{self.aggregate}.{self.position}"

    @property
    def last(self) -> int:
        return self.position + len(self.events) - 1

    @property
    def epoch(self) -> int:
        return self.position // EPOCH_SPAN

    @property
    def sequence(self) -> int:
        return self.last % EPOCH_SPAN

    @property
    def outcome(self) -> str:
        return _OUTCOMES.get(self.events[0][0], "accepted")

    @property
    def stamp(self) -> dict[str, str]:
        return {"type": self.command, "command_id": self.command_id, "producer": self.producer}

    def told_events(self) -> list[dict[str, Any]]:
        """Return the events as answers and timelines must tell them."""
        if self.outcome == "unchanged":
            return []
        first = self.position % EPOCH_SPAN
        return [
            {"sequence": first + n, "type": topic.rpartition(".")[2], "data": data}
            for n, (topic, _, data) in enumerate(self.events)
        ]

    def row(self) -> dict[str, Any]:
        """Return the row of the timeline that shows this commit; not to be changed."""
        if self._row is not None:
            return self._row
        row: dict[str, Any] = {
            "sequence": self.sequence,
            "commit": self.id,
            "outcome": self.outcome,
            "command": self.stamp,
            "events": self.told_events(),
            "origin": self.origin,
            "recorded_at": iso(self.recorded_at_ms),
            "occurred_at": self.occurred_at,
            "correlation_id": self.correlation_id,
        }
        if self.outcome == "rejected":
            row["reason"] = self.reason
        self._row = row
        return row

    @property
    def reason(self) -> str:
        return str(self.events[0][2]["reason"])


@dataclass(slots=True)
class Chain:
    """One aggregate. Everything keyed by position is as of that position, a commit's last.

    `commits` are those that count, `aside` those that are superseded. Only if it may have
    `branches` there are any.
    """

    aggregate: str
    model: Model
    commits: list[Logged]
    aside: list[Logged] = field(default_factory=list)
    branches: bool = False
    ids: dict[int, str] = field(default_factory=dict)
    _before: dict[int, int] = field(default_factory=dict)
    states: dict[int, State] = field(default_factory=lambda: {0: None})
    documents: dict[int, Document] = field(default_factory=lambda: {0: None})
    by_sequence: dict[int, Logged] = field(default_factory=dict)
    # Positions at which a commit was in the log, by the step of its append.
    appended_steps: list[int] = field(default_factory=list)
    appended_last: list[int] = field(default_factory=list)

    @property
    def every(self) -> list[Logged]:
        """Every commit, superseded or not, by position."""
        return sorted((*self.commits, *self.aside), key=lambda commit: commit.position)

    def before(self, commit: Logged) -> int:
        """Return the position of the state that a commit was decided on."""
        return commit.predecessor if self.branches else commit.position - 1

    def includes(self, shown: int, position: int) -> bool:
        """Say whether what stands at `shown` has the commit that ends at a position."""
        while self.branches and shown > position:
            shown = self._before.get(shown, 0)
        return shown >= position

    def branch(self, commit: Logged) -> list[Logged]:
        """Return all commits up to one, by predecessors."""
        known = {one.last: one for one in self.every}
        run = [commit]
        while run[-1].predecessor in known:
            run.append(known[run[-1].predecessor])
        return run[::-1]

    def head_at(self, step: int) -> int:
        """Return the last position that was in the log at a step."""
        found = bisect_right(self.appended_steps, step)
        return self.appended_last[found - 1] if found else 0

    @property
    def forgotten(self) -> Logged | None:
        """The commit that says that the subject is to be forgotten, if there is one."""
        return next((c for c in self.commits if c.events[0][0].endswith(f".{FORGOTTEN_BY}")), None)

    def is_forgotten_at(self, step: int) -> bool:
        """Say whether the log said at a step that the subject is to be forgotten."""
        return self.forgotten is not None and (self.forgotten.appended or 0) <= step

    @property
    def head(self) -> int:
        return self.commits[-1].last if self.commits else 0


@functools.lru_cache(maxsize=4096)
def iso(at_ms: int) -> str:
    """Return ms since 1970 as the system writes times."""
    at = datetime.fromtimestamp(at_ms / 1000, tz=UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def read_commit(item: Item) -> Logged:
    """Read a commit; binary values may be bytes, or base64 text as streams have them.

    Raises:
        ValueError: it is none.

    """
    try:
        if missing := _NEEDED - item.keys():
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        if item["f"]["N"] != "1":
            raise ValueError(f"it has the format {item['f']['N']}")
        command = item["m"]["M"]
        return Logged(
            aggregate=item["a"]["S"],
            position=int(item["q"]["N"]),
            predecessor=int(item["p"]["N"]),
            events=[_event(entry["M"]) for entry in item["e"]["L"]],
            token=_bytes(item["k"]),
            content=_bytes(item["h"]),
            command=command["t"]["S"],
            command_id=command["i"]["S"],
            producer=command["u"]["S"],
            occurred_at=command["w"]["S"] if "w" in command else None,
            origin=item["o"]["S"],
            recorded_at_ms=int(item["r"]["N"]),
            correlation_id=item["c"]["S"],
            traceparent=item["tp"]["S"] if "tp" in item else None,
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _event(entry: Mapping[str, Any]) -> tuple[str, int, Any]:
    return entry["t"]["S"], int(entry["v"]["N"]), orjson.loads(_bytes(entry["d"]))


def _bytes(value: Mapping[str, Any]) -> bytes:
    raw = value["B"]
    return base64.b64decode(raw, validate=True) if isinstance(raw, str) else bytes(raw)


def chains(
    commits: Iterable[Logged], *, branches: bool = False
) -> tuple[dict[str, Chain], list[str]]:
    """Return the aggregates of a log, and what in it is of no kind that there is.

    With `branches` only what is on the one back from the last commit counts.
    """
    grouped: dict[str, list[Logged]] = {}
    for commit in commits:
        grouped.setdefault(commit.aggregate, []).append(commit)
    known: dict[str, Chain] = {}
    unknown: list[str] = []
    for aggregate, of_one in grouped.items():
        model = BY_TAG.get(aggregate.partition(".")[0])
        if model is None:
            unknown.append(aggregate)
            continue
        chain = Chain(aggregate, model, sorted(of_one, key=lambda commit: commit.position))
        if branches:
            _branch(chain)
        _fold(chain)
        _order(chain)
        known[aggregate] = chain
    return known, unknown


def _branch(chain: Chain) -> None:
    """Tell what counts from what is superseded."""
    chain.branches = True
    chain._before = {commit.last: commit.predecessor for commit in chain.commits}
    chain.ids = {commit.last: commit.id for commit in chain.commits}
    counted, at = set(), chain.commits[-1].last
    while at in chain._before:
        counted.add(at)
        at = chain._before[at]
    for commit in chain.commits:
        commit.counts = commit.last in counted
    chain.aside = [commit for commit in chain.commits if not commit.counts]
    chain.commits = [commit for commit in chain.commits if commit.counts]


def _fold(chain: Chain) -> None:
    state: State = None
    document: Document = None
    for commit in chain.commits:
        chain.by_sequence[commit.sequence] = commit
    for commit in chain.every:
        if chain.branches:
            if commit.predecessor not in chain.documents:
                continue
            state = chain.states[commit.predecessor]
            document = chain.documents[commit.predecessor]
        if commit.outcome == "accepted":
            try:
                for offset, (topic, _, data) in enumerate(commit.events):
                    state = chain.model.evolve(state, topic.rpartition(".")[2], data)
                    chain.states[commit.position + offset] = state
            except (ValueError, KeyError):
                return
            shown = chain.model.shown(state)
            document = shown and {**shown, "changed_at": iso(commit.recorded_at_ms)}
        chain.states[commit.last] = state
        chain.documents[commit.last] = document


def _order(chain: Chain) -> None:
    """Note which positions were in the log when, as far as the appends were seen."""
    seen = sorted((c.appended, c.last) for c in chain.commits if c.appended is not None)
    highest = 0
    for step, last in seen:
        highest = max(highest, last)
        chain.appended_steps.append(step)
        chain.appended_last.append(highest)
