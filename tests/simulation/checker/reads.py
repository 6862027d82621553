"""What readers are shown of one aggregate: the log as of a sequence, and not from too long ago."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from tests.simulation.checker.findings import Findings
from tests.simulation.checker.identifiers import canonical
from tests.simulation.checker.index import Index, Reading
from tests.simulation.checker.log import Chain
from tests.simulation.checker.results import token_of
from tests.simulation.history import Published

_ABOUT_THE_READ = ("applied_sequence", "region", "consistency_token", "stale")


@dataclass(frozen=True, slots=True)
class _Read:
    """A read that was answered; `shown` is the position that it shows, None for a 404."""

    index: Index
    chain: Chain
    reading: Reading
    shown: int | None
    found: Findings

    def shows(self, bound: int) -> bool:
        """Say whether it shows a position or more; 404 does where there is no document yet."""
        if self.shown is None:
            return self.chain.documents.get(bound) is None
        return self.chain.includes(self.shown, bound)

    def expect(self, invariant: str, text: str, *, holds: bool, step: int | None = None) -> None:
        steps = (*((step,) if step else ()), *self.reading.steps)
        self.found.expect(invariant, holds, text, about=self.reading.sent.op, steps=steps)


def check(index: Index, found: Findings) -> None:
    """Look at every read of one aggregate that was answered, or said that there is none."""
    answered = _answers_seen(index)
    for reading in index.readings:
        if reading.what != "one" or reading.status not in (200, 404):
            continue
        about, steps = reading.sent.op, reading.steps
        chain = index.chains.get(reading.aggregate)
        if chain is None:
            text = "it shows an aggregate that the log does not have"
            missing = reading.status == 404
            found.expect("read-shows-the-log", missing, text, about=about, steps=steps)
            continue
        shown = _position(index, chain, reading.reply) if reading.status == 200 else None
        if reading.status == 200 and shown is None:
            text = (
                f"it shows sequence {reading.reply.get('applied_sequence')}: no commit ends there"
            )
            found.blame("read-shows-the-log", text, about=about, steps=steps)
            continue
        read = _Read(index, chain, reading, shown, found)
        if reading.status == 200:
            _shows_the_log(read)
        _bounds(read)
        _after_answers(read, answered[reading.aggregate])


def _position(index: Index, chain: Chain, reply: Any) -> int | None:
    """Return the position of the sequence that is shown, None if no commit ends there."""
    sequence = reply.get("applied_sequence")
    commit = index.shown(chain, reply)
    if commit is None or commit.last not in chain.documents:
        return 0 if sequence == 0 else None
    return commit.last


def _shows_the_log(read: _Read) -> None:
    reply, index = read.reading.reply, read.index
    commit = index.shown(read.chain, reply)
    document = {name: told for name, told in reply.items() if name not in _ABOUT_THE_READ}
    wrong = differences(document, read.chain.documents[read.shown or 0] or {})
    if reply["region"] != read.reading.sent.region:
        wrong.append("region")
    if reply["consistency_token"] != (token_of(index, commit) if commit else None):
        wrong.append("consistency_token")
    if (read.reading.level == "eventual") != (reply["stale"] is None):
        wrong.append("stale")
    if commit is not None and (commit.appended or 0) > read.reading.end:
        wrong.append("time: the commit came later")
    text = f"at position {read.shown} it differs from the log: {', '.join(wrong)}"
    read.expect("read-shows-the-log", text, holds=not wrong)


def differences(told: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Return the names in which two documents differ."""
    if told == wanted and canonical(told) == canonical(wanted):
        return []
    names = told.keys() | wanted.keys()
    return sorted(n for n in names if canonical(told.get(n)) != canonical(wanted.get(n)))


def _bounds(read: _Read) -> None:
    reading, index = read.reading, read.index
    stale = reading.status == 200 and reading.reply["stale"] is True
    if reading.level == "strong":
        head = _head_before(index, read.chain, reading)
        text = f"it shows position {read.shown}; the log had {head} before the read was sent"
        holds = read.shows(head) and not stale
        read.expect("strong-read-linearizable", text, holds=holds)
    elif reading.level == "token" and reading.token is not None:
        fresh = read.shows(reading.token[2])
        may_be_stale = reading.sent.query.get("on_timeout") == "stale"
        text = f"it shows position {read.shown}, stale {stale}; its token names {reading.token[2]}"
        holds = may_be_stale and not fresh if stale else fresh
        read.expect("token-read-not-older", text, holds=holds)
    lag_ms = index.history.terms.eventual_lag_ms
    earlier_ms = lag_ms if reading.level == "eventual" else 0.0
    least = index.least_applied(reading, earlier_ms=earlier_ms)
    text = f"it shows position {read.shown}; its region had applied {least} before it was sent"
    # A view may turn to another branch, and that is a later one.
    holds = read.shows(least) or (read.chain.branches and (read.shown or 0) >= least)
    read.expect("read-not-behind-its-region", text, holds=holds)


def _head_before(index: Index, chain: Chain, reading: Reading) -> int:
    """Return the last position that a strong read must show: what was in the log before it.

    Of an epoch that was ended by force counts only what its successor has gone on from: the rest
    may arrive long after, and count then.
    """
    sent = reading.sent.step
    if not chain.branches:
        return chain.head_at(sent)
    there = [one for one in chain.commits if one.appended is not None and one.appended < sent]
    kept = [
        one
        for one in there
        if not index.homes.was_taken(chain.aggregate, one.epoch)
        or (index.homes.ended(chain.aggregate, one.epoch) or 0) > reading.end
        or any(other.epoch > one.epoch for other in there)
    ]
    return kept[-1].last if kept else 0


def _answers_seen(index: Index) -> dict[str, list[tuple[Published, int, frozenset[str]]]]:
    """Return what was published about each aggregate: when, its position, regions named."""
    seen: dict[str, list[tuple[Published, int, frozenset[str]]]] = defaultdict(list)
    for record in index.published:
        body = index.body(record.body) or {}
        commit = index.commits.get(body.get("command", {}).get("commit", ""))
        if commit is not None and "regions" in body:
            seen[commit.aggregate].append((record, commit.last, frozenset(body["regions"])))
    return seen


def _after_answers(read: _Read, answers: list[tuple[Published, int, frozenset[str]]]) -> None:
    """Who has heard Event B and then reads, in a region that serves, never reads from before."""
    sent = read.reading.sent
    eventual = read.reading.level == "eventual"
    before_ms = sent.at_ms - (read.index.history.terms.eventual_lag_ms if eventual else 0.0)
    active = read.index.regions.states[sent.region].at(sent.step) == "active"
    heard = [
        (last, record.step)
        for record, last, named in answers
        if record.step < sent.step
        and record.at_ms <= before_ms
        and (sent.region in named or active)
    ]
    if heard:
        last, step = max(heard)
        text = f"it shows position {read.shown}, after an answer of {last} was published"
        read.expect("read-after-event-b", text, holds=read.shows(last), step=step)
