"""What happened around a violation, for a terminal: the records that it is about, in order.

A row a record: step, time, where, what. Records that the violation points at are marked.
"""

from typing import Any

import orjson

from tests.simulation.checker.findings import Violation
from tests.simulation.checker.index import index_of
from tests.simulation.history import (
    Appended,
    Applied,
    BodyStored,
    Forgotten,
    History,
    Invoked,
    Lost,
    Noted,
    Published,
    Record,
    Returned,
    StateChanged,
    Switched,
)

_MOST = 200


def explain(violation: Violation, history: History) -> str:
    """Return the violation and, as a table, the records of what it is about."""
    keys = _about(violation, history)
    shown = [r for r in history.records if _concerns(r, keys) or r.step in violation.steps]
    left_out = max(0, len(shown) - _MOST)
    rows = [_row(record, marked=record.step in violation.steps) for record in shown[-_MOST:]]
    widths = [max(len(row[column]) for row in rows) for column in range(3)] if rows else []
    lines = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    ]
    head = [violation.line, *([f"({left_out} records before these)"] if left_out else [])]
    return "\n".join([*head, *(line.rstrip() for line in lines)])


def _about(violation: Violation, history: History) -> frozenset[str]:
    """Return the aggregate and the operations that tell the story of a violation."""
    pointed = {record.step: record for record in history.records if record.step in violation.steps}
    operations = {r.op for r in pointed.values() if isinstance(r, Invoked | Returned | Lost)}
    texts = [violation.about, *(_text(record) for record in pointed.values())]
    aggregates = {word for text in texts for word in _aggregates(text)}
    index = index_of(history)
    sent = (*index.calls, *index.readings)
    operations.add(violation.about)
    aggregates |= {one.aggregate for one in sent if one.sent.op in operations and one.aggregate}
    operations |= {one.sent.op for one in sent if one.aggregate in aggregates}
    return frozenset(operations | aggregates)


def _aggregates(text: str) -> list[str]:
    """Return the aggregate ids in a text: two or more letters, a dot, 26 characters."""
    found = []
    for part in text.replace('"', " ").replace("#", " ").replace("'", " ").split():
        tag, _, rest = part.partition(".")
        if 1 <= len(tag) <= 16 and tag.isalpha() and tag.islower() and len(rest) >= 26:
            found.append(f"{tag}.{rest[:26]}")
    return found


def _concerns(record: Record, keys: frozenset[str]) -> bool:  # noqa: PLR0911 - a kind, a case
    match record:
        case Invoked(op=op) | Returned(op=op) | Lost(op=op):
            return op in keys
        case Appended(item=item):
            return item["a"]["S"] in keys
        case Applied(key=key):
            return key.rpartition("#")[2] in keys
        case BodyStored(commit=commit):
            return commit in keys or commit.rpartition(".")[0] in keys
        case Published():
            return any(one in keys for one in _aggregates(record.body)[:1])
        case Noted() | StateChanged() | Switched() | Forgotten():
            return True
        case _:
            return False


def _row(record: Record, *, marked: bool) -> tuple[str, str, str, str]:
    place = getattr(record, "region", "")
    mark = ">" if marked else " "
    step = f"{mark}{record.step}"
    return step, f"{record.at_ms:.0f} ms", place, _text(record)


def _text(record: Record) -> str:  # noqa: C901, PLR0911 - a kind, a case
    match record:
        case Invoked():
            asked = " ".join(f"{k}={v}" for k, v in {**record.query, **record.headers}.items())
            where = record.path if record.kind == "read" else ""
            return f"{record.op} sent {record.kind} {where} {record.body or ''} {asked}".strip()
        case Returned():
            return f"{record.op} got {record.status} {_short(record.body)}"
        case Lost():
            return f"{record.op} lost: {record.why}"
        case Appended(item=item):
            topics = ", ".join(entry["M"]["t"]["S"] for entry in item["e"]["L"])
            change = "" if record.change == "INSERT" else f"{record.change} "
            return f"{change}appended {item['a']['S']}.{item['q']['N']}: {topics}"
        case Applied():
            return f"applied {record.key}: {record.before} -> {record.after}"
        case BodyStored():
            return f"stored the answer of {record.commit}: {_short(record.body)}"
        case Published():
            return f"published {record.detail_type} {_short(record.body)}"
        case StateChanged():
            return f"is {record.state}"
        case Switched():
            return f"reads {record.projection} version {record.version}"
        case Forgotten():
            return f"{record.path}/{record.key} is forgotten"
        case Noted():
            return f"{record.what} {record.about}".strip()
        case _:
            return repr(record)


_TOLD = (
    "status", "code", "commit", "sequence", "duplicate", "applied_sequence", "stale",
    "as_of_sequence", "answer_id", "aggregate_id", "outcome", "regions",
)  # fmt: skip


def _short(body: str) -> str:
    """Return what tells one body from another, without its documents."""
    try:
        told: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:80]
    if not isinstance(told, dict):
        return body[:80]
    if isinstance(command := told.get("command"), dict):
        told = told | {"commit": command.get("commit")}
    parts = [(name, told[name]) for name in _TOLD if told.get(name) is not None]
    return " ".join(
        f"{name}={','.join(value) if isinstance(value, dict) else value}" for name, value in parts
    )
