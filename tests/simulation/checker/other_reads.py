"""What readers are shown besides one aggregate: timelines, lists, history, what became of it."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from tests.simulation.checker.findings import Findings
from tests.simulation.checker.identifiers import EPOCH_SPAN, canonical
from tests.simulation.checker.index import NEVER, Index, Reading
from tests.simulation.checker.log import Chain, Logged, iso
from tests.simulation.checker.reference import canonical_data
from tests.simulation.checker.results import token_of


def check(index: Index, found: Findings) -> None:
    """Look at every read of these kinds that was answered, or said that there is none."""
    looks = {"timeline": _timeline, "list": _list, "history": _history, "command": _command}
    names = {
        "timeline": "timeline-shows-the-log",
        "list": "list-shows-the-log",
        "history": "history-is-the-log",
        "command": "status-is-true",
    }
    for reading in index.readings:
        if reading.what in looks and reading.status in (200, 404):
            wrong = looks[reading.what](index, reading)
            if reading.status == 200 and reading.reply["region"] != reading.sent.region:
                wrong.append(f"it names the region {reading.reply['region']}")
            text = "; ".join(wrong)
            about, steps = reading.sent.op, reading.steps
            found.expect(names[reading.what], not wrong, text, about=about, steps=steps)
            if reading.what == "command" and reading.status == 200:
                _acknowledgements(index, reading, found)


def _was_there(commit: Logged, step: int) -> bool:
    return (commit.appended or 0) < step


def _timeline(index: Index, reading: Reading) -> list[str]:
    chain = index.chains.get(reading.aggregate)
    lag_ms = index.history.terms.eventual_lag_ms
    least = index.least_applied(reading, earlier_ms=lag_ms)
    if reading.status == 404:
        return [f"it shows nothing; its region had applied {least}"] if least else []
    if chain is None:
        return ["it shows an aggregate that the log does not have"]
    known: list[Logged] = []
    wrong: list[str] = []
    for row in reading.reply["items"]:
        commit = _of_row(index, chain, row)
        aside = {"superseded": True} if row.get("superseded") else {}
        if commit is None or canonical(row) != canonical(commit.row() | aside):
            wrong.append(f"its row of sequence {row['sequence']} is not the log's")
        elif not _was_there(commit, reading.end):
            wrong.append(f"its row of sequence {row['sequence']} came later")
        elif not aside:
            known.append(commit)
        elif commit.counts:
            wrong.append(f"its row of {commit.id} is marked as superseded, and that counts")
    return wrong or _unbroken(known, reading, least=least)


def _of_row(index: Index, chain: Chain, row: Mapping[str, Any]) -> Logged | None:
    if chain.branches:
        return index.commits.get(row["commit"])
    return chain.by_sequence.get(row["sequence"])


def _unbroken(known: list[Logged], reading: Reading, *, least: int) -> list[str]:
    """Say what is missing in, before or after the rows of a timeline."""
    wrong = [
        f"after sequence {newer.sequence} it shows {older.sequence}"
        for newer, older in pairwise(known)
        if newer.predecessor != older.last
    ]
    if "cursor" not in reading.sent.query and (known[0].last if known else 0) < least:
        wrong.append(f"it begins before {least}, which its region had applied")
    if reading.reply["next"] is None and known and known[-1].predecessor != 0:
        wrong.append(f"it ends at sequence {known[-1].sequence}, and not at the first commit")
    return wrong


def _list(index: Index, reading: Reading) -> list[str]:
    if reading.status == 404 or reading.model is None:
        return ["a list is never not found"]
    wanted = canonical_data({n: v for n, v in reading.sent.query.items() if n in _LISTED_BY})
    wrong = []
    for document in reading.reply["items"]:
        key = document[reading.model.key]
        chain = index.chains.get(index.names.aggregate_id(reading.model.tag, key))
        was = chain is not None and any(
            shown == document for shown in _documents_by(chain, reading.end)
        )
        wrong += [] if was else [f"{key} was never as it is shown"]
        fits = all(document[name] == value for name, value in wanted.items())
        wrong += [] if fits else [f"{key} does not belong to this list"]
    return wrong


_LISTED_BY = frozenset({"msisdn", "status", "site"})


def _documents_by(chain: Chain, step: int) -> list[dict[str, Any] | None]:
    return [
        chain.documents[commit.last]
        for commit in chain.every
        if _was_there(commit, step) and commit.last in chain.documents
    ]


def _history(index: Index, reading: Reading) -> list[str]:
    chain = index.chains.get(reading.aggregate)
    known = chain.commits if chain else []
    before = sum(_was_there(c, reading.sent.step) for c in known)
    after = sum(_was_there(c, reading.end) for c in known)
    if chain is not None and chain.branches:
        return _history_of_a_branch(chain, reading)
    if reading.status == 404:
        return [f"the log had {before} commits of it before"] if before else []
    if chain is None or after == 0:
        return ["the log has nothing of it"]
    # What was appended while it read may be in it or not: one of these it must be.
    could_be = [
        _told_history(chain, chain.commits[:count], reading.sent.query)
        for count in range(before, after + 1)
    ]
    told = {name: value for name, value in reading.reply.items() if name != "region"}
    if any(canonical(told) == canonical(one) for one in could_be):
        return []
    wrong = [n for n in could_be[-1] if canonical(told.get(n)) != canonical(could_be[-1][n])]
    return [f"it is no prefix of the log: {', '.join(wrong)}"]


def _history_of_a_branch(chain: Chain, reading: Reading) -> list[str]:
    """Say what is wrong with history as of any branch that there was: its region may be behind."""
    if reading.status == 404:
        return []
    told = {name: value for name, value in reading.reply.items() if name != "region"}
    for commit in chain.every:
        branch = chain.branch(commit)
        could_be = _told_history(chain, branch, reading.sent.query)
        if _was_there(commit, reading.end) and canonical(told) == canonical(could_be):
            return []
    return ["it is no prefix of the log, of whichever branch"]


def _told_history(chain: Chain, commits: list[Logged], query: Mapping[str, str]) -> dict[str, Any]:
    """Return what history must tell when the log has exactly these commits."""
    upto = int(query["at_sequence"]) if "at_sequence" in query else NEVER
    events: list[dict[str, Any]] = []
    sequence, recorded_at, state = 0, None, None
    for commit in commits:
        first = commit.position % EPOCH_SPAN
        if first > upto or ("at_time" in query and iso(commit.recorded_at_ms) > query["at_time"]):
            break
        sequence, recorded_at = min(commit.sequence, upto), iso(commit.recorded_at_ms)
        told = commit.told_events() if commit.outcome == "accepted" else []
        told = [event for event in told if event["sequence"] <= upto]
        stamp = {"commit": commit.id, "recorded_at": recorded_at}
        events += [event | stamp for event in told]
        state = chain.states.get(commit.position + max(len(told), 1) - 1)
    limit = int(query.get("limit", "50"))
    return {
        "state": state,
        "as_of_sequence": sequence,
        "recorded_at": recorded_at,
        "events": events[-limit:],
        "earlier_events": max(0, len(events) - limit),
    }


def _command(index: Index, reading: Reading) -> list[str]:
    commit = index.commits.get(reading.key)
    if reading.status == 404:
        there = commit is not None and _was_in(index, commit, reading)
        return ["it was in the log before"] if there else []
    if commit is None or not _was_there(commit, reading.end):
        return ["it is not in the log"]
    reply = reading.reply
    gone = reply.get("forgotten", False)
    chain = index.chains.get(commit.aggregate)
    if gone and (chain is None or not chain.is_forgotten_at(reading.end)):
        return ["it says that its subject is forgotten"]
    answered = commit.outcome == "accepted" and (gone or reply["answer"] is not None)
    status = "answered" if answered else commit.outcome
    if not gone and reply["answer"] is not None and reply["answer"]["outcome"] == "superseded":
        status = "superseded"
    wanted = {
        "status": status,
        "commit": commit.id,
        "aggregate_id": commit.aggregate,
        "sequence": commit.sequence,
        "consistency_token": token_of(index, commit),
        "origin": commit.origin,
        "recorded_at": iso(commit.recorded_at_ms),
    }
    return [f"its {n} is {reply.get(n)}, not {v}" for n, v in wanted.items() if reply.get(n) != v]


def _was_in(index: Index, commit: Logged, reading: Reading) -> bool:
    """Say whether a region could find a commit when it was asked for it."""
    if index.history.terms.mode != "EVENTUAL":
        return _was_there(commit, reading.sent.step)
    region = reading.sent.region
    here = commit.appended if region == commit.appended_in else commit.arrived.get(region)
    return here is not None and here < reading.sent.step


def _acknowledgements(index: Index, reading: Reading, found: Findings) -> None:
    commit = index.commits.get(reading.key)
    if commit is None or commit.aggregate not in index.chains or not commit.counts:
        return
    chain = index.chains[commit.aggregate]
    for region in reading.reply["acknowledgements"]:
        applied = index.applied_at(region, commit.aggregate, reading.end)
        text = f"{region} is told to have applied {commit.id}, and had applied {applied}"
        holds = all(chain.includes(one, commit.last) for one in applied.values())
        about, steps = reading.sent.op, reading.steps
        found.expect("acknowledged-after-applied", holds, text, about=about, steps=steps)
