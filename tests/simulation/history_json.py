"""A history as JSON, to keep a run, to compare two and to look at one by hand.

Equal histories have equal bytes, in every process: what tells whether a run repeats itself.
"""

import base64
import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from tests.simulation.history import (
    Appended,
    Applied,
    Arrived,
    BodyStored,
    Final,
    Forgotten,
    Forwarded,
    History,
    HomeChanged,
    Invoked,
    KeptMessage,
    Lost,
    Noted,
    Published,
    Record,
    Returned,
    StateChanged,
    Switched,
    Terms,
)

_RECORDS: dict[str, type[Record]] = {
    kind.__name__: kind
    for kind in (
        Invoked, Returned, Lost, Appended, Applied, BodyStored, Published, StateChanged, Switched,
        Noted, Forgotten, Arrived, HomeChanged, Forwarded,
    )
}  # fmt: skip
_BYTES = "$bytes"


def to_json(history: History) -> bytes:
    """Return a history as JSON: equal histories as equal bytes."""
    told = {
        "terms": _plain(history.terms),
        "records": [[type(record).__name__, _plain(record)] for record in history.records],
        "final": _plain(history.final),
    }
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS)


def from_json(text: bytes) -> History:
    """Return the history that `to_json` was given."""
    told = _with_bytes(orjson.loads(text))
    terms, final = told["terms"], told["final"]
    by_place = ("views", "responses", "letters", "legible", "replicas")
    return History(
        terms=Terms(
            **terms
            | {"regions": tuple(terms["regions"])}
            | {name: frozenset(terms[name]) for name in ("poisoned", "lost")}
        ),
        records=tuple(_RECORDS[name](**fields) for name, fields in told["records"]),
        final=Final(
            log=tuple(final["log"]),
            kept=tuple(KeptMessage(**fields) for fields in final["kept"]),
            unfinished=tuple(final["unfinished"]),
            **{
                name: {place: tuple(items) for place, items in final[name].items()}
                for name in by_place
            },
        ),
    )


def plain_text(value: Any) -> str:
    """Return a value as text in which bytes that are text stand as such: to look for words in."""
    return orjson.dumps(_readable(value)).decode()


def _readable(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode("utf-8", errors="replace")
    if isinstance(value, Mapping):
        return {key: _readable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(entry) for entry in value]
    return value


def digest(history: History) -> str:
    """Return one short text for equal histories and another for every other one."""
    return hashlib.sha256(to_json(history)).hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return {_BYTES: base64.b64encode(value).decode()}
    if dataclasses.is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def _with_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_BYTES}:
            return base64.b64decode(value[_BYTES])
        return {key: _with_bytes(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_with_bytes(entry) for entry in value]
    return value
