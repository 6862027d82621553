"""Ways to alter a recorded run, to see that the checker minds. Nothing is changed in place."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any, TypeVar

from tests.simulation.checker.index import index_of
from tests.simulation.checker.results import token_of
from tests.simulation.history import (
    Appended,
    BodyStored,
    History,
    Invoked,
    Published,
    Record,
    Returned,
)

R = TypeVar("R", bound=Record)
Path = tuple[str | int, ...]


def records(history: History, which: type[R], /, **fields: Any) -> list[R]:
    """Return the records of a kind with these fields, in order."""
    return [
        record
        for record in history.records
        if isinstance(record, which)
        and all(getattr(record, name) == value for name, value in fields.items())
    ]


def returned(
    history: History, *, path: str = "/commands", after: int = 0, **query: str
) -> Returned:
    """Return the first answer to a request of this path and query that was sent after a step."""
    for sent in records(history, Invoked, path=path):
        if sent.step > after and all(sent.query.get(n) == v for n, v in query.items()):
            [answer] = records(history, Returned, op=sent.op)
            return answer
    raise LookupError(path)


def with_record(history: History, record: Record, **fields: Any) -> History:
    """Return the run with other fields in one record."""
    other = replace(record, **fields)
    return replace(history, records=tuple(other if r is record else r for r in history.records))


def with_body(history: History, record: Any, **told: Any) -> History:
    """Return the run with other fields in the JSON body of one record."""
    body = json.dumps(json.loads(record.body) | told)
    return with_record(history, record, body=body)


def without(history: History, *gone: Record) -> History:
    """Return the run without some records."""
    return _counted(history, [r for r in history.records if not any(r is one for one in gone)])


def moved(history: History, record: Record, *, after: int) -> History:
    """Return the run with a record right behind the one of a step (0: first of all)."""
    others = [r for r in history.records if r is not record]
    place = sum(r.step <= after for r in others)
    return _counted(history, [*others[:place], record, *others[place:]])


def inserted(history: History, record: Record, *, after: int) -> History:
    """Return the run with one more record."""
    copy = replace(record)
    return moved(replace(history, records=(*history.records, copy)), copy, after=after)


def _counted(history: History, kept: list[Record]) -> History:
    counted = (replace(record, step=step) for step, record in enumerate(kept, 1))
    return replace(history, records=tuple(counted))


def with_final(history: History, **fields: Any) -> History:
    """Return the run with other tables at the end."""
    return replace(history, final=replace(history.final, **fields))


def with_items(
    history: History, table: str, region: str, alter: Callable[[list[Any]], None]
) -> History:
    """Return the run with a region's table altered at the end."""
    tables = getattr(history.final, table)
    items = [deepcopy(item) for item in tables[region]]
    alter(items)
    return with_final(history, **{table: {**tables, region: tuple(items)}})


def in_log(history: History, number: int, alter: Callable[[Any], None]) -> History:
    """Return the run with one commit altered, as if it had been appended like that.

    `number` counts the appends.
    """
    record = records(history, Appended)[number]
    item: Any = deepcopy(record.item)
    alter(item)
    log = tuple(item if one == record.item else one for one in history.final.log)
    return with_final(with_record(history, record, item=item), log=log)


def without_commit(history: History, number: int) -> History:
    """Return the run whose log never had one of its commits."""
    record = records(history, Appended)[number]
    log = tuple(item for item in history.final.log if item != record.item)
    return with_final(without(history, record), log=log)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every plain value in nested data, with the way to it."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from leaves(entry, (*path, name))
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            yield from leaves(entry, (*path, number))
    else:
        yield path, value


def with_another(data: Any, path: Path) -> Any:
    """Return nested data with another value at the end of a way, of its kind where there is one."""
    other = deepcopy(data)
    place = other
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = _another(place[path[-1]])
    return other


def _another(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case bytes():
            return bytes([value[0] ^ 1, *value[1:]])
        case str() if value.isdigit():
            return str(int(value) + 1)
        case str():
            return value + "x"
        case _:
            return "not null"


def with_command(history: History, command_id: str, **envelope: Any) -> History:
    """Return the run in which a command was sent with other fields of its envelope.

    If it is in the log, it is there with the hash of what was sent now.
    """
    index = index_of(history)
    call = next(c for c in index.calls if c.envelope.get("command_id") == command_id)
    body = dict(call.envelope) | envelope
    altered = with_record(history, call.sent, body=json.dumps(body))
    preconditions = [body.get("expected_sequence"), body.get("depends_on")]
    content = index.names.content_hash(
        kind=call.command, data=call.data, preconditions=preconditions
    )
    for number, record in enumerate(records(history, Appended)):
        if record.item["m"]["M"]["i"]["S"] == command_id:
            return in_log(altered, number, lambda item: item.update(h={"B": content}))
    return altered


def with_answer(
    history: History, number: int, *, leave_out: str | None = None, **told: Any
) -> History:
    """Return the run in which one answer tells something else, wherever it is told.

    `number` counts the answers as they were stored.
    """
    before = records(history, BodyStored)[number].body
    answer = json.loads(before) | told
    answer["regions"] = {r: at for r, at in answer["regions"].items() if r != leave_out}
    after = json.dumps(answer)

    def told_again(record: Record) -> Record:
        if isinstance(record, BodyStored | Published) and record.body == before:
            return replace(record, body=after)
        if isinstance(record, Returned) and json.loads(record.body).get("answer") == json.loads(
            before
        ):
            return replace(record, body=json.dumps(json.loads(record.body) | {"answer": answer}))
        return record

    responses = {
        region: tuple(
            {**item, "body": {"S": after}} if item.get("body") == {"S": before} else item
            for item in items
        )
        for region, items in history.final.responses.items()
    }
    altered = replace(history, records=tuple(map(told_again, history.records)))
    return with_final(altered, responses=responses)


def shown_at(history: History, answer: Returned, *, sequence: int) -> History:
    """Return the run in which one read shows its aggregate truly, as of another sequence."""
    index = index_of(history)
    [reading] = [r for r in index.readings if r.sent.op == answer.op]
    chain = index.chains[reading.aggregate]
    if sequence == 0:
        body = json.dumps({"status": 404, "code": "not_found"})
        return with_record(history, answer, status=404, body=body)
    commit = chain.by_sequence[sequence]
    shown = (chain.documents[commit.last] or {}) | {
        "applied_sequence": sequence,
        "region": reading.sent.region,
        "consistency_token": token_of(index, commit),
        "stale": None if reading.level == "eventual" else False,
    }
    return with_record(history, answer, status=200, body=json.dumps(shown))
