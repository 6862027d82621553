"""The stored form of a commit: one item of the event table. This format is permanent.

One command makes one commit of 1 to 25 events, so one put is atomic for all of them and
every replica holds a commit whole or not at all. Refusals and no-ops are commits too, of one
event that no aggregate folds. Old items stay readable: add attributes, never change one.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from eventstore.errors import CorruptLog

# Sort key of a commit = epoch x EPOCH_SPAN + sequence of its first event. The epoch is 0 while
# one order for all regions exists (STRONG mode), so there the position is the sequence.
EPOCH_SPAN = 10**12
# The second has sealed fields. A version that knows only the first refuses it, instead of taking
# `forgotten` for what was sealed.
FORMAT = 1
SEALED_FORMAT = 2
MAX_EVENTS = 25
MAX_EVENT_BYTES = 128 * 1024
# 9999-12-31: what is later than any date can be shown is no time.
LAST_MS = 253_402_300_799_999
AGGREGATE_ID = r"[a-z]{1,16}\.[a-z2-7]{26}"
# At most 18 digits: a position that DynamoDB's numbers and ours hold exactly.
COMMIT_ID = AGGREGATE_ID + r"\.[1-9][0-9]{0,17}"
_HASH_BYTES = 16

REFUSED = "Refused"
UNCHANGED = "Unchanged"

Outcome = Literal["accepted", "rejected", "unchanged"]
Item = dict[str, Any]

_COMMIT_ID = re.compile(COMMIT_ID)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
_OUTCOMES: dict[str, Outcome] = {REFUSED: "rejected", UNCHANGED: "unchanged"}


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """One event as stored: its topic, the version of its format, its JSON.

    `sealed` is the JSON of its personal fields under the subject's key; in `data` these read
    `forgotten`. It is empty where nothing is personal.
    """

    topic: str
    version: int
    data: bytes
    sealed: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandStamp:
    """What a commit keeps of the command it decided.

    `received_at_ms` is when it first came in, by the clock of its region of origin; commits of
    older versions do not say.
    """

    type: str
    command_id: str
    producer: str
    occurred_at: str | None
    received_at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One decided command. `position` is its key, `last_position` that of its last event."""

    aggregate_id: str
    position: int
    predecessor: int
    events: tuple[RecordedEvent, ...]
    token: bytes
    content_hash: bytes
    command: CommandStamp
    origin: str
    recorded_at_ms: int
    correlation_id: str
    traceparent: str | None = None

    @property
    def last_position(self) -> int:
        return self.position + len(self.events) - 1

    @property
    def epoch(self) -> int:
        return self.position // EPOCH_SPAN

    @property
    def sequence(self) -> int:
        """The sequence of the last event: what the API calls the sequence of the commit."""
        return self.last_position % EPOCH_SPAN

    @property
    def commit_id(self) -> str:
        return f"{self.aggregate_id}.{self.position}"

    @property
    def outcome(self) -> Outcome:
        return _OUTCOMES.get(self.events[0].topic, "accepted")

    @property
    def refusal(self) -> dict[str, str] | None:
        """The reason and message of a refusal, None for every other commit."""
        if self.events[0].topic != REFUSED:
            return None
        return _refusal(self.events[0].data)

    def follows(self, applied: int) -> bool:
        """Say whether this commit is the next one after `applied`, a last position."""
        return self.predecessor == applied


def aggregate_of(commit_id: str) -> str:
    """Return the aggregate id in a commit id."""
    return commit_id.rpartition(".")[0]


def parse_commit_id(commit_id: str) -> tuple[str, int] | None:
    """Return (aggregate id, position), or None if the text is no commit id."""
    if not _COMMIT_ID.fullmatch(commit_id):
        return None
    aggregate_id, _, position = commit_id.rpartition(".")
    return aggregate_id, int(position)


def to_item(commit: Commit) -> Item:
    """Return the DynamoDB item of a commit, as the low-level client takes it."""
    stamp = commit.command
    command: Item = {
        "t": {"S": stamp.type},
        "i": {"S": stamp.command_id},
        "u": {"S": stamp.producer},
    }
    if stamp.occurred_at is not None:
        command["w"] = {"S": stamp.occurred_at}
    if stamp.received_at_ms is not None:
        command["g"] = {"N": str(stamp.received_at_ms)}
    item: Item = {
        "a": {"S": commit.aggregate_id},
        "q": {"N": str(commit.position)},
        "p": {"N": str(commit.predecessor)},
        "e": {"L": [{"M": _event_item(event)} for event in commit.events]},
        "k": {"B": commit.token},
        "h": {"B": commit.content_hash},
        "m": {"M": command},
        "o": {"S": commit.origin},
        "r": {"N": str(commit.recorded_at_ms)},
        "c": {"S": commit.correlation_id},
        "f": {"N": str(SEALED_FORMAT if _has_seals(commit) else FORMAT)},
    }
    if commit.traceparent is not None:
        item["tp"] = {"S": commit.traceparent}
    return item


def _has_seals(commit: Commit) -> bool:
    return any(event.sealed for event in commit.events)


def _event_item(event: RecordedEvent) -> Item:
    item: Item = {
        "t": {"S": event.topic},
        "v": {"N": str(event.version)},
        "d": {"B": event.data},
    }
    if event.sealed:
        item["s"] = {"B": event.sealed}
    return item


def from_item(item: Mapping[str, Any]) -> Commit:
    """Read a commit from its item or from a stream image (binary values as base64 text).

    Raises:
        CorruptLog: the item is not a commit in a format this version knows.

    """
    try:
        if _number(item["f"]) not in {FORMAT, SEALED_FORMAT}:
            raise CorruptLog(f"commit format {item['f']['N']} is unknown to this version")
        commit = _commit(item)
        _check(commit)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CorruptLog(f"a stored commit cannot be read: {type(error).__name__}") from None
    return commit


def _check(commit: Commit) -> None:
    """Raise CorruptLog for what has a commit's form and is none, as no append of ours can be."""
    if not 1 <= len(commit.events) <= MAX_EVENTS:
        raise CorruptLog(f"a commit holds {len(commit.events)} events")
    if parse_commit_id(commit.commit_id) is None or commit.predecessor >= commit.position:
        raise CorruptLog("a stored commit is of no aggregate, or not behind its predecessor")
    if max(commit.recorded_at_ms, commit.command.received_at_ms or 0) > LAST_MS:
        raise CorruptLog("a stored commit was recorded at no time")
    if commit.outcome == "rejected":
        _refusal(commit.events[0].data)


def _refusal(data: bytes) -> dict[str, str]:
    told = orjson.loads(data)
    reason, message = told["reason"], told["message"]
    if not (isinstance(reason, str) and isinstance(message, str)):
        raise TypeError("a refusal is told in words")
    return {"reason": reason, "message": message}


def _commit(item: Mapping[str, Any]) -> Commit:
    command = item["m"]["M"]
    return Commit(
        aggregate_id=_text(item["a"]),
        position=_number(item["q"]),
        predecessor=_number(item["p"]),
        events=tuple(_event(entry["M"]) for entry in item["e"]["L"]),
        token=_hash(item["k"]),
        content_hash=_hash(item["h"]),
        command=CommandStamp(
            type=_text(command["t"]),
            command_id=_text(command["i"]),
            producer=_text(command["u"]),
            occurred_at=_text(command["w"]) if "w" in command else None,
            received_at_ms=_number(command["g"]) if "g" in command else None,
        ),
        origin=_text(item["o"]),
        recorded_at_ms=_number(item["r"]),
        correlation_id=_text(item["c"]),
        traceparent=_text(item["tp"]) if "tp" in item else None,
    )


def to_image(commit: Commit) -> Item:
    """Return the item as a stream shows it: JSON-able, binary values as base64 text."""
    return _with_text_binaries(to_item(commit))


def with_text_binaries(item: Item) -> Item:
    """Return an item that JSON can hold: binary values as base64 text."""
    return _with_text_binaries(item)


def with_binaries(item: Mapping[str, Any]) -> Item:
    """Return an item that was told by `with_text_binaries` as it was; one without lists or maps."""
    return {
        name: {"B": base64.b64decode(value["B"])} if "B" in value else value
        for name, value in item.items()
    }


def size_of(events: Sequence[RecordedEvent]) -> int:
    """Return the bytes that the events take in the item, without their few key bytes."""
    return sum(len(event.data) + len(event.topic) + len(event.sealed) for event in events)


def _event(entry: Mapping[str, Any]) -> RecordedEvent:
    sealed = _binary(entry["s"]) if "s" in entry else b""
    return RecordedEvent(_text(entry["t"]), _number(entry["v"]), _binary(entry["d"]), sealed)


def _number(value: Mapping[str, Any]) -> int:
    """Read a whole number as DynamoDB writes one; Python's own reader takes much more."""
    if not _NUMBER.fullmatch(value["N"]):
        raise ValueError("a number expected")
    return int(value["N"])


def _text(value: Mapping[str, Any]) -> str:
    text = value["S"]
    if not isinstance(text, str):
        raise TypeError(f"text expected, not {type(text).__name__}")
    return text


def _binary(value: Mapping[str, Any]) -> bytes:
    raw = value["B"]
    if isinstance(raw, str):
        return base64.b64decode(raw, validate=True)
    if not isinstance(raw, bytes):
        # bytes(n) would make n bytes of what may be any number.
        raise TypeError(f"bytes expected, not {type(raw).__name__}")
    return raw


def _hash(value: Mapping[str, Any]) -> bytes:
    raw = _binary(value)
    if len(raw) != _HASH_BYTES:
        raise ValueError(f"a hash has {_HASH_BYTES} bytes, not {len(raw)}")
    return raw


def _with_text_binaries(item: Item) -> Item:
    return {name: _text_binary(value) for name, value in item.items()}


def _text_binary(value: Item) -> Item:
    match value:
        case {"B": raw}:
            return {"B": base64.b64encode(raw).decode()}
        case {"M": entries}:
            return {"M": _with_text_binaries(entries)}
        case {"L": entries}:
            return {"L": [_text_binary(entry) for entry in entries]}
        case _:
            return value
