"""What a run of the simulation leaves behind: every record that the checker judges it by.

Plain data and nothing else, so that it can be kept, compared and shown. Whoever runs a system
writes it; `checker` reads it; neither needs the other. Items are as DynamoDB's low-level client
gives them. Nothing in here may know how the system works.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Item = Mapping[str, Any]

Kind = Literal["command", "read", "queue"]
Change = Literal["INSERT", "MODIFY", "REMOVE"]
RegionState = Literal["active", "leaving", "drained", "joining"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Anything that happened.

    `step` counts all records of a run: 1, 2, 3, ... in the order in which they happened. It
    alone says what came before what; `at_ms` (true time since the start, never a region's
    skewed clock) is for people and for bounds of time.
    """

    step: int
    at_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoked(Record):
    """A client sent something; `op` names the operation, new for every sending.

    Args:
        kind: "command" for `POST /commands`, "read" for every GET, "queue" for a message sent
            to `antiphon-commands.fifo`.
        region: the region called.
        path: of the request, without the query, as `/subscribers/262011234567890`.
        query: the query's parameters.
        headers: as sent, any case; of a queue message its attributes.
        body: of a command or message, as sent.
        valid: False for what the workload made invalid on purpose: malformed, a wrong number,
            a forged token.
        client: who sent it, for people.

    """

    op: str
    kind: Kind
    region: str
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    valid: bool = True
    client: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned(Record):
    """The client got an answer; for a queue message: the queue has taken it (200)."""

    op: str
    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost(Record):
    """The client never got an answer: a crash, a lost answer, a time-out. Anything may be."""

    op: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended(Record):
    """The journal of the event table changed: from now on consistent reads see the item.

    `item` is the new image; of a REMOVE it is the old one. `region` is the caller's.
    """

    region: str
    item: Item
    change: Change = "INSERT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived(Record):
    """A commit has come into one more replica: from now on consistent reads there see it.

    In EVENTUAL mode only, of every replica but the one that it was appended in.
    """

    region: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeChanged(Record):
    """In EVENTUAL mode: who appends to the aggregates of a slot, from now on.

    Args:
        slot: its number.
        home: the region.
        epoch: of what it appends.
        to: the region that it is moved to: while it is, nobody appends.
        taken: the epoch that was ended by force and not settled since.

    """

    slot: int
    home: str
    epoch: int
    to: str | None = None
    taken: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded(Record):
    """In EVENTUAL mode: a region sends a command on to another. `origin` is where it came in."""

    region: str
    to: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied(Record):
    """The head of a view changed in a region's table: from now on consistent reads see it.

    Args:
        key: the partition key of the item (`projection#version#aggregate`).
        before: its applied position before, 0 if there was none.
        after: its applied position now, 0 if it was removed.

    """

    region: str
    key: str
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyStored(Record):
    """A response item of a region got a body, or its body changed. `commit` is its key."""

    region: str
    commit: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(Record):
    """The bus of a region accepted an answer: recorded at each acceptance, repeats included.

    An entry that the bus took but whose caller never learned of it is published too.
    """

    region: str
    detail_type: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged(Record):
    """The control state of a region changed: from now on consistent reads of it see that.

    `adopter` is the region that answers for a lost one.
    """

    region: str
    state: RegionState
    adopter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched(Record):
    """Readers of a projection in a region go over to another version of it."""

    region: str
    projection: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten(Record):
    """An operator was told that a subject is forgotten, in every region.

    Args:
        path: of what it is, as in a read's path: `subscribers`.
        key: its natural key, as in a read's path.

    """

    path: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Record):
    """A fault, a crash, a region killed or lost, an operator's step: for people only."""

    what: str
    region: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMessage:
    """What a dead queue or an on-failure destination holds at the end.

    Args:
        place: the queue's name, or "stream" for a batch of records that was given up.
        body: of the message; of a stream batch the JSON with its `Records`.
        attributes: of the message, name -> text.

    """

    region: str
    place: str
    body: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """The tables at the end, once faults had ended and nothing moved any more.

    Args:
        log: every item of the event table, of the journal.
        replicas: in EVENTUAL mode: region -> every item of its replica; the log is all of them.
        views: region -> every item of its views table.
        responses: region -> every item of its responses table.
        letters: region -> every item of its letters table.
        kept: every dead queue and on-failure destination.
        legible: place -> what is stored there, item by item, as whoever has all keys that are
            left can read it; of runs in which a subject was forgotten.
        unfinished: what still moved when the time was up, for people. It must be empty.

    """

    log: tuple[Item, ...] = ()
    replicas: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)
    views: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)
    responses: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)
    letters: Mapping[str, tuple[Item, ...]] = field(default_factory=dict)
    kept: tuple[KeptMessage, ...] = ()
    legible: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unfinished: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What was agreed before the run.

    Args:
        secret: the installation's, of which all identifiers are made.
        regions: all of them.
        control_fresh_ms: how old the control state may be that a function acts on.
        eventual_lag_ms: by how much an eventual read of a region's own table may lag there.
        token_window_ms: how long a duplicate is surely recognised.
        poisoned: aggregates that no projector can apply, on purpose.
        lost: regions that never come back.
        versions: projection -> the version that readers use from the start.
        mode: STRONG, or EVENTUAL, where some invariants ask for other things.
        seed: of the run, for people.

    """

    secret: str
    regions: tuple[str, ...]
    control_fresh_ms: float = 10_000.0
    eventual_lag_ms: float = 0.0
    token_window_ms: float = 48 * 3_600_000.0
    poisoned: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    versions: Mapping[str, str] = field(
        default_factory=lambda: {"subscriber-view": "1", "network-inventory": "1", "activity": "1"}
    )
    mode: Literal["STRONG", "EVENTUAL"] = "STRONG"
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One run: the terms, the records by step, the tables at the end."""

    terms: Terms
    records: tuple[Record, ...]
    final: Final


class Recorder:
    """Takes the records of a run in order, and gives each its step and time."""

    def __init__(self, now_ms: Callable[[], float]) -> None:
        """Take the true clock: ms since the start of the run."""
        self._now_ms = now_ms
        self._records: list[Record] = []

    def __len__(self) -> int:
        return len(self._records)

    def take(self, record: type[Record], /, **fields: Any) -> None:
        """Record something that happens now: `take(Lost, op="7", why="the region died")`."""
        step = len(self._records) + 1
        self._records.append(record(step=step, at_ms=self._now_ms(), **fields))

    def finish(self, terms: Terms, final: Final) -> History:
        """Return the history of the run."""
        return History(terms=terms, records=tuple(self._records), final=final)
