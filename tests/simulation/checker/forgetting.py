"""Who was forgotten: what is left tells nobody who it was, and readers are told that it is gone."""

from collections.abc import Iterator

from tests.simulation.checker.findings import Findings
from tests.simulation.checker.index import Index
from tests.simulation.checker.log import Chain
from tests.simulation.checker.reference import BY_PATH
from tests.simulation.history import Forgotten

# What tells who a subject is, of what its events hold.
_PERSONAL = ("imsi", "msisdn", "iccid")
_OF_ONE = ("one", "timeline", "history")


def check(index: Index, found: Findings) -> None:
    """Look at all that is left at the end, and at every read once a subject was forgotten."""
    done: dict[str, int] = {}
    for record in index.history.records:
        if isinstance(record, Forgotten):
            aggregate = index.names.aggregate_id(BY_PATH[record.path].tag, record.key)
            done.setdefault(aggregate, record.step)
            chain = index.chains.get(aggregate)
            if chain is None or not chain.is_forgotten_at(record.step):
                text = "the log does not say that it is to be forgotten"
                found.blame("forgotten-for-good", text, about=aggregate, steps=(record.step,))
            else:
                _legible(index, chain, found, step=record.step)
    _reads(index, done, found)


def _legible(index: Index, chain: Chain, found: Findings, *, step: int) -> None:
    """No item may hold its natural key; what others may have, too, no item that is about it."""
    values = dict(_values(chain))
    about = chain.aggregate
    for place, texts in index.history.final.legible.items():
        told = {
            name
            for text in texts
            for value, name in values.items()
            if value in text and (name == "imsi" or about in text)
        }
        text = f"its {' and '.join(sorted(told))} can be read in {place}"
        found.expect("forgotten-for-good", not told, text, about=about, steps=(step,))


def _values(chain: Chain) -> Iterator[tuple[str, str]]:
    for commit in chain.commits:
        for _, _, data in commit.events:
            for name in _PERSONAL:
                if name in data:
                    yield str(data[name]), name


def _reads(index: Index, done: dict[str, int], found: Findings) -> None:
    for reading in index.readings:
        since = done.get(reading.aggregate)
        if reading.what in _OF_ONE and since is not None and reading.sent.step > since:
            text = f"it got {reading.status} of somebody forgotten"
            gone = reading.status not in (200, 404)
            about, steps = reading.sent.op, (since, *reading.steps)
            found.expect("gone-is-gone", gone, text, about=about, steps=steps)
