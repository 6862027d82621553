"""Event B: from a state that contains its command, after every region in it has applied it."""

from collections import defaultdict
from typing import Any

from tests.simulation.checker.findings import Findings
from tests.simulation.checker.identifiers import canonical
from tests.simulation.checker.index import Index, Operation
from tests.simulation.checker.log import Logged, iso
from tests.simulation.checker.reads import differences
from tests.simulation.checker.results import token_of
from tests.simulation.history import BodyStored, Item, Published

DETAIL_TYPES = {
    "accepted": "CommandAnswered",
    "rejected": "CommandRejected",
    "unchanged": "CommandUnchanged",
    "superseded": "CommandSuperseded",
}


def check(index: Index, found: Findings) -> None:
    """Look at every answer where it was stored, published, told, and at the end."""
    bodies: dict[str, list[BodyStored | Published]] = defaultdict(list)
    for commit_id, stored in index.stored.items():
        for record in stored:
            bodies[commit_id].append(record)
            _built(index, record, commit_id, found)
    for record in index.published:
        body = index.body(record.body)
        commit_id = body["command"]["commit"] if isinstance(body, dict) else "no commit"
        bodies[commit_id].append(record)
        _built(index, record, commit_id, found)
    for commit_id, records in bodies.items():
        _one_body(index, commit_id, records, found)
    _told_answers(index, bodies, found)
    published = {
        commit_id: [r for r in records if isinstance(r, Published)]
        for commit_id, records in bodies.items()
    }
    poisoned = index.history.terms.poisoned
    for commit in index.commits.values():
        # What no projector can apply is answered once it is repaired, not before.
        answered = bool(published.get(commit.id)) or commit.aggregate in poisoned
        text = f"no answer of this {commit.outcome} command was ever published"
        found.expect("answered-finally", answered, text, about=commit.id)
    for region, items in index.history.final.responses.items():
        if region not in index.history.terms.lost:
            for item in items:
                if item["c"]["S"].rpartition(".")[0] not in poisoned:
                    _closed(index, region, item, found)
    _kept(index, published, found)


def _built(index: Index, record: BodyStored | Published, commit_id: str, found: Findings) -> None:
    """Everything that one body says, at the time when it was stored or published."""
    commit, body = index.commits.get(commit_id), index.body(record.body)
    steps = (record.step,)
    if commit is None or not isinstance(body, dict) or commit.aggregate not in index.chains:
        text = "there is an answer to what is not in the log"
        found.blame("event-b-tells-its-commit", text, about=commit_id, steps=steps)
        return
    # The published body is the stored one as a rule: what it says is looked at once.
    known = index.untrue.get((commit_id, record.body))
    bare = _is_bare(index, commit, body, step=record.step)
    wrong = list(_untrue(index, commit, body, bare=bare) if known is None else known)
    index.untrue[commit_id, record.body] = tuple(wrong)
    outcome = "superseded" if body.get("outcome") == "superseded" else commit.outcome
    if isinstance(record, Published) and record.detail_type != DETAIL_TYPES[outcome]:
        wrong.append("detail-type")
    if (commit.appended or 0) > record.step:
        wrong.append("time: it is before the commit")
    text = f"it tells what is not so: {', '.join(wrong)}"
    found.expect("event-b-tells-its-commit", not wrong, text, about=commit_id, steps=steps)
    if outcome == "superseded":
        # That it is so, `branches` looks at: no state and no region is in it.
        return
    if not bare:
        _state(index, record, commit, body, found)
    chain = index.chains[commit.aggregate]
    for region in body["regions"]:
        if region not in index.regions.states:
            continue
        applied = index.applied_at(region, commit.aggregate, record.step)
        holds = all(chain.includes(one, commit.last) for one in applied.values())
        behind = ", ".join(f"{name} at {one}" for name, one in applied.items())
        text = f"{region} had not applied {commit.last}: {behind}"
        found.expect("event-b-after-all-applied", holds, text, about=commit_id, steps=steps)
    if known is None:
        # When it was built. It may be published much later, and copied by who adopts its origin.
        _required(index, record, commit, body, found)


def _is_bare(index: Index, commit: Logged, body: dict[str, Any], *, step: int) -> bool:
    """Say whether an answer rightly tells nothing of its subject, which was to be forgotten."""
    empty = body.get("events") == [] and body.get("state") is None
    return empty and index.chains[commit.aggregate].is_forgotten_at(step)


def _untrue(index: Index, commit: Logged, body: dict[str, Any], *, bare: bool) -> list[str]:
    """Return the fields in which an answer differs from its commit."""
    superseded = not commit.counts and body.get("outcome") == "superseded"
    outcome = "superseded" if superseded else commit.outcome
    answer_id = index.names.answer_id(token=commit.token, position=commit.position, outcome=outcome)
    wanted = {
        "answer_id": answer_id,
        "outcome": outcome,
        "command": commit.stamp | {"commit": commit.id},
        "aggregate_id": commit.aggregate,
        "sequence": commit.sequence,
        "events": [] if bare else commit.told_events(),
        "origin": commit.origin,
        "consistency_token": token_of(index, commit),
        "correlation_id": commit.correlation_id,
        "traceparent": commit.traceparent,
        "recorded_at": iso(commit.recorded_at_ms),
        "reason": commit.reason if outcome == "rejected" else None,
    }
    if superseded:
        del wanted["events"]
    return [name for name, true in wanted.items() if canonical(body.get(name)) != canonical(true)]


def _state(
    index: Index,
    record: BodyStored | Published,
    commit: Logged,
    body: dict[str, Any],
    found: Findings,
) -> None:
    chain = index.chains[commit.aggregate]
    as_of = body["as_of_sequence"]
    seen = chain.by_sequence.get(as_of)
    if chain.branches:
        # On whichever branch the region was that had the commit.
        seen = next(
            (
                one
                for one in chain.every
                if one.sequence == as_of
                and chain.includes(one.last, commit.last)
                and (one.appended or 0) < record.step
                and not differences(body["state"] or {}, chain.documents.get(one.last) or {})
            ),
            seen,
        )
    if as_of < commit.sequence:
        text = f"its state is as of {as_of}, before its own {commit.sequence}"
    elif seen is None or seen.last not in chain.documents:
        text = f"its state is as of {as_of}, where no commit ends"
    elif (seen.appended or 0) > record.step:
        text = f"its state is as of {as_of}, which came later"
    else:
        wanted = chain.documents[seen.last]
        wrong = differences(body["state"] or {}, wanted or {})
        text = f"its state at {as_of} differs from the log: {', '.join(wrong)}" if wrong else ""
        if (wanted is None) != (body["state"] is None):
            text = "it has a state where there is none, or none where there is one"
    found.expect("event-b-state", not text, text, about=commit.id, steps=(record.step,))


def _required(
    index: Index,
    record: BodyStored | Published,
    commit: Logged,
    body: dict[str, Any],
    found: Findings,
) -> None:
    """Left out may be only what was drained when the body was built, as a fresh look shows it."""
    since_ms = record.at_ms - index.history.terms.control_fresh_ms
    for region, states in index.regions.states.items():
        if region in body["regions"]:
            continue
        drained = "drained" in states.between(since_ms, record.step)
        text = f"it leaves out {region}, which is {states.at(record.step)}"
        holds = drained and region in body["drained"] and region != record.region
        steps = (record.step,)
        found.expect("event-b-required-regions", holds, text, about=commit.id, steps=steps)
    both = sorted((*body["regions"], *body["drained"])) == sorted(index.regions.states)
    text = f"it names {sorted(body['regions'])} and {body['drained']} as drained"
    found.expect("event-b-required-regions", both, text, about=commit.id, steps=(record.step,))


def _one_body(
    index: Index, commit_id: str, records: list[BodyStored | Published], found: Findings
) -> None:
    """The same bytes however often; a survivor of a lost region may have had to build it anew."""
    commit = index.commits.get(commit_id)
    by_place: dict[str, str] = {}
    told: dict[str, str] = {}
    for record in sorted(records, key=lambda one: one.step):
        alone = commit is not None and commit.origin in index.regions.adopted
        place = record.region if alone else ""
        first = by_place.setdefault(place, record.body)
        text = "it has another body than before"
        # One that comes back takes home what was told for it while nobody could ask it.
        brought_home = alone and told.get(record.body, record.region) != record.region
        # Where what was stored opens no more, an answer that tells nothing takes its place.
        body = index.body(record.body)
        bare = (
            commit is not None
            and commit.aggregate in index.chains
            and isinstance(body, dict)
            and _is_bare(index, commit, body, step=record.step)
        )
        same = first == record.body or brought_home or bare
        by_place[place] = record.body
        if isinstance(record, Published):
            told.setdefault(record.body, record.region)
        found.expect("one-answer-one-body", same, text, about=commit_id, steps=(record.step,))
        fits = commit is None or alone or record.region == commit.origin
        text = f"it is answered in {record.region}, not in its origin"
        found.expect("one-answer-one-body", fits, text, about=commit_id, steps=(record.step,))


def _told_answers(
    index: Index, bodies: dict[str, list[BodyStored | Published]], found: Findings
) -> None:
    """Answers in replies and in `GET /commands` are the one that is stored."""
    operations: list[Operation] = [c for c in index.calls if c.recorded]
    operations += [r for r in index.readings if r.what == "command" and r.status == 200]
    for operation in operations:
        answer = operation.reply.get("answer")
        if answer is None:
            continue
        commit_id = operation.reply["commit"]
        known = [r for r in bodies.get(commit_id, ()) if r.step < operation.end]
        same = any(canonical(index.body(record.body)) == canonical(answer) for record in known)
        text = "it tells an answer that is not the stored one"
        about, steps = operation.sent.op, operation.steps
        found.expect("one-answer-one-body", same, text, about=about, steps=steps)


def _closed(index: Index, region: str, item: Item, found: Findings) -> None:
    """A response item at the end: of a commit here, published, its answer told as it has it."""
    about = item["c"]["S"]
    commit = index.commits.get(about)
    chain = index.chains.get(commit.aggregate) if commit is not None else None
    may_lack = {"body"} if chain is not None and chain.forgotten is not None else set()
    needed = {"body", "published"} - may_lack
    wrong = [f"it has no {name}" for name in sorted(needed) if name not in item]
    wrong += [f"it has still {name}" for name in ("pending", "due") if name in item]
    if "expires" in item:
        kept_s = int(item["expires"]["N"]) - int(item.get("published", {"N": 0})["N"]) // 1000
        if "published" not in item or kept_s < _KEPT_S:
            wrong.append("it may expire too soon")
    if commit is None or (commit.origin != region and commit.origin not in index.regions.adopted):
        wrong.append("it is of no commit that came in here")
    text = f"in {region}: {', '.join(wrong)}"
    found.expect("responses-closed", not wrong, text, about=about)
    if "body" not in item:
        return
    stored = [record for record in index.stored.get(about, ()) if record.region == region]
    same = any(record.body == item["body"]["S"] for record in stored)
    text = "at the end it has another body than was stored"
    found.expect("one-answer-one-body", same, text, about=about)
    heard = {
        name.removeprefix("ack#"): iso(int(value["N"]))
        for name, value in item.items()
        if name.startswith("ack#")
    }
    body = index.body(item["body"]["S"])
    # Who adopts a lost origin may copy its body, and has not heard what the body tells; nor has
    # the origin, once its answers came home.
    adopted = commit is not None and (
        commit.origin != region or commit.origin in index.regions.adopted
    )
    told = adopted or all(heard.get(name) == at for name, at in body.get("regions", {}).items())
    text = f"its answer tells other times of the regions than {heard}"
    found.expect("event-b-tells-its-commit", told, text, about=about)


# Streams and queues redeliver for a day: an answer forgotten sooner might be made again.
_KEPT_S = 2 * 86_400


def _kept(index: Index, published: dict[str, list[Published]], found: Findings) -> None:
    """An answer that was just published is still there; and it was stored before."""
    terms, records = index.history.terms, index.history.records
    end_ms = records[-1].at_ms if records else 0.0
    there = {
        (region, item["c"]["S"])
        for region, items in index.history.final.responses.items()
        for item in items
    }
    for commit_id, answers in published.items():
        for record in answers:
            if record.region in terms.lost or record.at_ms < end_ms - _KEPT_S * 1000:
                continue
            text = f"its response item in {record.region} is gone"
            kept = (record.region, commit_id) in there
            found.expect("responses-closed", kept, text, about=commit_id, steps=(record.step,))
        for record in answers:
            before = any(
                one.step < record.step and one.body == record.body
                for one in index.stored.get(commit_id, ())
            )
            text = "what was published was not stored before"
            steps = (record.step,)
            found.expect("one-answer-one-body", before, text, about=commit_id, steps=steps)
