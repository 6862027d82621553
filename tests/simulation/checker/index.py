"""A history, sorted so that each invariant finds what it needs: calls, reads, log, views.

Reading is lenient: what cannot be read is left out here, and blamed by the invariant that
would have needed it. Nothing is judged here.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.simulation.checker.identifiers import Identifiers
from tests.simulation.checker.log import Chain, Logged, chains, read_commit
from tests.simulation.checker.reference import BY_COMMAND, BY_PATH, Model, canonical_data
from tests.simulation.checker.timelines import HomesOverTime, Regions, Timeline, regions_of
from tests.simulation.history import (
    Appended,
    Applied,
    Arrived,
    BodyStored,
    History,
    Invoked,
    Lost,
    Published,
    Record,
    Returned,
)

NEVER = sys.maxsize
_NOTHING: Timeline[int] = Timeline(0)


@dataclass(slots=True, kw_only=True)
class Operation:
    """Something a client sent, and what came back; `reply` is the body of it, read."""

    sent: Invoked
    headers: Mapping[str, str]
    ended: Returned | Lost | None = None
    reply: Any = None

    @property
    def end(self) -> int:
        """The step at which the client knew; never, if it got no answer."""
        return self.ended.step if isinstance(self.ended, Returned) else NEVER

    @property
    def status(self) -> int:
        """The HTTP status, 0 if no answer came."""
        return self.ended.status if isinstance(self.ended, Returned) else 0

    @property
    def code(self) -> str:
        """The stable code of a problem, empty for any other answer."""
        return str(self.reply.get("code", "")) if isinstance(self.reply, dict) else ""

    @property
    def steps(self) -> tuple[int, ...]:
        return (self.sent.step, *((self.ended.step,) if self.ended else ()))


@dataclass(slots=True, kw_only=True)
class Call(Operation):
    """A command sent, by HTTP or queue; without an aggregate if it is no command at all."""

    command: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    envelope: Mapping[str, Any] = field(default_factory=dict)
    model: Model | None = None
    aggregate: str = ""
    token: bytes = b""
    content: bytes = b""

    @property
    def identity(self) -> tuple[str, bytes]:
        return self.aggregate, self.token

    @property
    def recorded(self) -> bool:
        """Whether the reply says that the command is in the log."""
        told = isinstance(self.reply, dict) and "commit" in self.reply
        return self.sent.kind == "command" and told

    @property
    def not_recorded(self) -> bool:
        """Whether the reply says that the command is not in the log, of this sending."""
        client_error = 400 <= self.status < 500 and self.status != 429
        return self.sent.kind == "command" and client_error and bool(self.code)


@dataclass(slots=True, kw_only=True)
class Reading(Operation):
    """A GET. `what`: one, list, timeline, history, command or other; `key` names it."""

    what: str
    key: str = ""
    model: Model | None = None
    aggregate: str = ""
    token: tuple[str, int, int] | None = None

    @property
    def level(self) -> str:
        """Return strong, token or eventual: the consistency asked for."""
        if self.sent.query.get("consistency") == "strong":
            return "strong"
        return "token" if "consistency-token" in self.headers else "eventual"


@dataclass(slots=True)
class Index:
    """Everything of one history, by what it is about."""

    history: History
    names: Identifiers
    regions: Regions
    homes: HomesOverTime
    calls: list[Call] = field(default_factory=list)
    by_identity: dict[tuple[str, bytes], list[Call]] = field(default_factory=dict)
    readings: list[Reading] = field(default_factory=list)
    chains: dict[str, Chain] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    commits: dict[str, Logged] = field(default_factory=dict)
    appended: list[Appended] = field(default_factory=list)
    arrived: list[Arrived] = field(default_factory=list)
    applied: list[Applied] = field(default_factory=list)
    heads: dict[tuple[str, str], Timeline[int]] = field(default_factory=dict)
    stored: dict[str, list[BodyStored]] = field(default_factory=lambda: defaultdict(list))
    published: list[Published] = field(default_factory=list)
    letter_texts: set[str] = field(default_factory=set)
    untrue: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    _read: dict[str, Any] = field(default_factory=dict)

    def body(self, text: str) -> Any:
        """Return a body of JSON, read once; None if it is none."""
        if text not in self._read:
            try:
                self._read[text] = orjson.loads(text)
            except orjson.JSONDecodeError:
                self._read[text] = None
        return self._read[text]

    def shown(self, chain: Chain, reply: Any) -> Logged | None:
        """Return the commit that a document which was read is as of, None for none.

        Where there are branches a sequence names several, and the token says which.
        """
        found = chain.by_sequence.get(reply.get("applied_sequence"))
        named = self.names.read_token(reply.get("consistency_token") or "")
        if not chain.branches or named is None:
            return found
        told = self.commits.get(f"{chain.aggregate}.{named[1]}")
        return told if told and told.sequence == reply["applied_sequence"] else found

    def everywhere(self, commit: Logged) -> int:
        """Return the step since which every region's replica has a commit."""
        if self.history.terms.mode != "EVENTUAL":
            return commit.appended or 0
        others = [one for one in self.history.terms.regions if one != commit.appended_in]
        return max(commit.arrived.get(region, NEVER) for region in others)

    def applied_at(self, region: str, aggregate: str, step: int) -> dict[str, int]:
        """Return what each projection of an aggregate had applied, as its readers saw it."""
        chain = self.chains[aggregate]
        return {
            projection: self._head(region, projection, aggregate, step)
            for projection in (chain.model.view, "activity")
        }

    def least_applied(self, reading: Reading, *, earlier_ms: float = 0.0) -> int:
        """Return what a read of a region's own view must show at least, a position.

        That is what the region had applied when the read was sent, or `earlier_ms` before, in
        whichever version of the projection a function may still have read.
        """
        if reading.model is None:
            return 0
        region, sent = reading.sent.region, reading.sent
        projection = "activity" if reading.what == "timeline" else reading.model.view
        since_ms = sent.at_ms - self.history.terms.control_fresh_ms
        versions = self.regions.versions[region, projection].between(since_ms, sent.step)
        keys = [f"{projection}#{version}#{reading.aggregate}" for version in versions]
        heads = [self.heads.get((region, key), _NOTHING) for key in keys]
        if earlier_ms:
            return min(head.at_ms(sent.at_ms - earlier_ms) for head in heads)
        return min(head.at(sent.step) for head in heads)

    def _head(self, region: str, projection: str, aggregate: str, step: int) -> int:
        version = self.regions.versions[region, projection].at(step)
        timeline = self.heads.get((region, f"{projection}#{version}#{aggregate}"))
        return timeline.at(step) if timeline else 0


def index_of(history: History) -> Index:
    """Return the index of a history."""
    index = Index(
        history,
        Identifiers(history.terms.secret),
        regions_of(history),
        HomesOverTime(history.records),
    )
    operations: dict[str, Operation] = {}
    for record in history.records:
        match record:
            case Invoked():
                operations[record.op] = _operation(index, record)
            case Returned() | Lost():
                if record.op not in operations:
                    raise ValueError(f"{record.op} came to an end, but was never sent")
                _end(index, operations[record.op], record)
            case _:
                _take_change(index, record)
    _take_log(index)
    for letters in history.final.letters.values():
        for letter in letters:
            index.letter_texts.update(value["S"] for value in letter.values() if "S" in value)
    return index


def _take_change(index: Index, record: Record) -> None:
    match record:
        case Appended():
            index.appended.append(record)
        case Arrived():
            index.arrived.append(record)
        case Applied():
            index.applied.append(record)
            place = (record.region, record.key)
            index.heads.setdefault(place, Timeline(0)).add(record, record.after)
        case BodyStored():
            index.stored[record.commit].append(record)
        case Published():
            index.published.append(record)


def _take_log(index: Index) -> None:
    steps: dict[tuple[str, str], Appended] = {}
    for record in index.appended:
        if record.change == "INSERT":
            steps.setdefault((record.item["a"]["S"], record.item["q"]["N"]), record)
    commits = []
    for item in index.history.final.log:
        try:
            commit = read_commit(item)
        except ValueError as error:
            index.unreadable.append((f"{item.get('a')}.{item.get('q')}", str(error)))
            continue
        appended = steps.get((commit.aggregate, str(commit.position)))
        if appended is not None:
            commit.appended, commit.appended_at_ms = appended.step, appended.at_ms
            commit.appended_in = appended.region
        commits.append(commit)
        index.commits[commit.id] = commit
    for record in index.arrived:
        if record.commit in index.commits:
            index.commits[record.commit].arrived.setdefault(record.region, record.step)
    branches = index.history.terms.mode == "EVENTUAL"
    index.chains, index.unknown = chains(commits, branches=branches)


def _end(index: Index, operation: Operation, record: Returned | Lost) -> None:
    operation.ended = record
    if isinstance(record, Returned):
        operation.reply = index.body(record.body)


def _operation(index: Index, sent: Invoked) -> Operation:
    headers = {name.lower(): value for name, value in sent.headers.items()}
    if sent.kind == "read":
        reading = _reading(index, sent, headers)
        index.readings.append(reading)
        return reading
    call = Call(sent=sent, headers=headers)
    try:
        _identify(index.names, call)
    except (KeyError, TypeError, ValueError, AttributeError):
        call.model = None
    index.calls.append(call)
    if call.model is not None:
        index.by_identity.setdefault(call.identity, []).append(call)
    return call


def _identify(names: Identifiers, call: Call) -> None:
    """Work out which command of which aggregate this is, as the system must."""
    body = orjson.loads(call.sent.body or "")
    model = BY_COMMAND[body["type"]]
    data = canonical_data(body["data"])
    call.command, call.data, call.envelope = body["type"], data, body
    call.aggregate = names.aggregate_id(model.tag, data[model.key])
    producer, key = body["producer"], call.headers.get("idempotency-key")
    if key is not None:
        call.token = names.key_token(producer=producer, aggregate=call.aggregate, key=key)
    else:
        call.token = names.content_token(
            producer=producer,
            aggregate=call.aggregate,
            command_id=body["command_id"],
            kind=call.command,
            data=data,
        )
    preconditions = [body.get("expected_sequence"), body.get("depends_on")]
    call.content = names.content_hash(kind=call.command, data=data, preconditions=preconditions)
    call.model = model


def _reading(index: Index, sent: Invoked, headers: Mapping[str, str]) -> Reading:
    parts = sent.path.strip("/").split("/")
    reading = Reading(sent=sent, headers=headers, what="other")
    if parts[0] == "commands" and len(parts) == 2:
        reading.what, reading.key = "command", parts[1]
    model = BY_PATH.get(parts[0])
    if model is not None:
        reading.model = model
        reading.what = {1: "list", 2: "one"}.get(len(parts), parts[-1])
    if model is not None and len(parts) > 1:
        reading.key = parts[1]
        reading.aggregate = index.names.aggregate_id(model.tag, parts[1])
    if (token := headers.get("consistency-token")) is not None:
        reading.token = index.names.read_token(token)
    return reading
