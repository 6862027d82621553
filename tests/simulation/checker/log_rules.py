"""What must hold of the log: each command in it once, rightly decided, in the order of time."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise

from tests.simulation.checker.findings import Findings
from tests.simulation.checker.identifiers import EPOCH_SPAN, canonical
from tests.simulation.checker.index import NEVER, Call, Index
from tests.simulation.checker.log import Chain, Logged
from tests.simulation.checker.reference import Decision


def check(index: Index, found: Findings) -> None:
    """Look at the log as a whole, then at each aggregate's."""
    _unchanged(index, found)
    _queues_in_order(index, found)
    seen = _observations(index)
    for chain in index.chains.values():
        _contiguous(chain, found)
        _once(index, chain, found)
        _in_time(index, chain, seen[chain.aggregate], found)
        for commit in chain.aside:
            call = _asked_for(index, commit, found)
            if call is not None:
                _valid(chain, commit, call, found)
        changed_at = 0
        for commit in chain.commits:
            call = _asked_for(index, commit, found)
            if call is not None:
                _valid(chain, commit, call, found)
                _preconditions(index, commit, call, changed_at=changed_at, found=found)
            changed_at = commit.sequence if commit.outcome == "accepted" else changed_at


def _unchanged(index: Index, found: Findings) -> None:
    final = {(i["a"]["S"], i["q"]["N"]): i for i in index.history.final.log}
    appended = set()
    for record in index.appended:
        place = (record.item["a"]["S"], record.item["q"]["N"])
        about = ".".join(place)
        if record.change != "INSERT" or place in appended:
            text = f"the item was written again: {record.change}"
            found.blame("log-immutable", text, about=about, steps=(record.step,))
            continue
        appended.add(place)
        text = "what was appended is not what is there at the end"
        same = final.get(place) == record.item
        found.expect("log-immutable", same, text, about=about, steps=(record.step,))
    for place in final.keys() - appended:
        text = "it is in the log, but nobody appended it"
        found.blame("log-immutable", text, about=".".join(place))
    for about, text in index.unreadable:
        found.blame("contiguous", f"it cannot be read: {text}", about=about)
    for aggregate in index.unknown:
        found.blame("asked-for", "there is no such kind of aggregate", about=aggregate)


def _contiguous(chain: Chain, found: Findings) -> None:
    last = 0
    for commit in chain.commits:
        fits = commit.position == last + 1 and commit.predecessor == last
        if chain.branches:
            newer = commit.position > last and commit.position % EPOCH_SPAN == last % EPOCH_SPAN + 1
            fits = newer and commit.predecessor == last
        text = f"it stands at {commit.position} after {commit.predecessor}, where {last} is last"
        found.expect("contiguous", fits, text, about=commit.id)
        last = commit.last


def _once(index: Index, chain: Chain, found: Findings) -> None:
    first: dict[bytes, Logged] = {}
    for commit in chain.commits:
        before = first.setdefault(commit.token, commit)
        late = commit.appended_at_ms - before.appended_at_ms > index.history.terms.token_window_ms
        text = f"its command was decided before, by {before.id}"
        steps = tuple(c.appended for c in (before, commit) if c.appended is not None)
        found.expect("decided-once", before is commit or late, text, about=commit.id, steps=steps)


def senders(index: Index, commit: Logged) -> Iterator[Call]:
    """Yield the calls that can have made a commit: its command, sent before it was appended."""
    for call in index.by_identity.get((commit.aggregate, commit.token), ()):
        early = commit.appended is None or call.sent.step < commit.appended
        if call.content == commit.content and early and call.sent.region == commit.origin:
            yield call


def _asked_for(index: Index, commit: Logged, found: Findings) -> Call | None:
    calls = list(senders(index, commit))
    true = any(_tells(commit, call) for call in calls)
    text = "no command that was sent to its origin before it is what it says it decided"
    steps = (commit.appended,) if commit.appended is not None else ()
    found.expect("asked-for", true, text, about=commit.id, steps=steps)
    if calls and not any(call.sent.valid for call in calls):
        text = "it decided a command that was not valid"
        found.blame("asked-for", text, about=commit.id, steps=calls[0].steps)
    return calls[0] if calls else None


def _tells(commit: Logged, call: Call) -> bool:
    body = call.envelope
    said = {"type": call.command, "command_id": body["command_id"], "producer": body["producer"]}
    correlation = call.headers.get("x-correlation-id")
    return (
        commit.stamp == said
        and (commit.occurred_at is None) == (body.get("occurred_at") is None)
        and correlation in (None, commit.correlation_id)
    )


def _valid(chain: Chain, commit: Logged, call: Call, found: Findings) -> None:
    if chain.before(commit) not in chain.states:
        found.blame("decision-is-valid", "the log before it is no state", about=commit.id)
        return
    state = chain.states[chain.before(commit)]
    wanted = chain.model.decide(state, call.command, call.data)
    text = f"{commit.command} gives {_said(wanted)} on the state before, it recorded "
    text += _said(_recorded(commit))
    steps = (call.sent.step, *((commit.appended,) if commit.appended is not None else ()))
    same = _matches(chain, commit, wanted)
    found.expect("decision-is-valid", same, text, about=commit.id, steps=steps)


def _recorded(commit: Logged) -> Decision:
    if commit.outcome == "rejected":
        return commit.reason
    if commit.outcome == "unchanged":
        return []
    return [(topic.rpartition(".")[2], data) for topic, _, data in commit.events]


def _said(decision: Decision) -> str:
    if isinstance(decision, str):
        return decision
    return " and ".join(f"{name} {data}" for name, data in decision) or "nothing to do"


def _matches(chain: Chain, commit: Logged, wanted: Decision) -> bool:
    if isinstance(wanted, str) or not wanted:
        alone = len(commit.events) == 1 and commit.events[0][1] == 1
        return alone and _recorded(commit) == wanted
    model = chain.model
    events = [
        (f"{model.name}.{name}", model.event_versions.get(name, 1), data) for name, data in wanted
    ]
    return canonical(events) == canonical(commit.events)


def _preconditions(
    index: Index, commit: Logged, call: Call, *, changed_at: int, found: Findings
) -> None:
    expected = call.envelope.get("expected_sequence")
    if expected is not None:
        text = f"it expected the last change at {expected}, which was at {changed_at}"
        found.expect(
            "expected-sequence-met",
            expected == changed_at,
            text,
            about=commit.id,
            steps=(call.sent.step,),
        )
    token = call.envelope.get("depends_on")
    if token is not None:
        needed = index.commits.get(named_by(index, token))
        met = needed is not None and (needed.appended or 0) < (commit.appended or NEVER)
        text = f"it depends on {named_by(index, token)}, which was not in the log before it"
        steps = (call.sent.step,)
        found.expect("depends-on-met", met, text, about=commit.id, steps=steps)


def named_by(index: Index, token: str) -> str:
    """Return the id of the commit that a consistency token names."""
    named = index.names.read_token(token)
    return f"{named[0]}.{named[1]}" if named else "nothing"


def _observations(index: Index) -> dict[str, list[tuple[int, int]]]:
    """Return who saw what of each aggregate: (step, last position that was shown)."""
    seen: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for call in index.calls:
        commit = index.commits.get(call.reply.get("commit", "")) if call.recorded else None
        if commit is not None and commit.counts:
            seen[commit.aggregate].append((call.end, commit.last))
    for reading in index.readings:
        if reading.status == 200 and reading.what == "one":
            chain = index.chains.get(reading.aggregate)
            shown = index.shown(chain, reading.reply) if chain is not None else None
            last = shown.last if shown is not None else reading.reply["applied_sequence"]
            if shown is None or shown.counts:
                seen[reading.aggregate].append((reading.end, last))
        if reading.status == 200 and reading.what == "command":
            commit = index.commits.get(reading.key)
            if commit is not None and not commit.counts:
                continue
            seen[reading.key.rpartition(".")[0]].append((reading.end, commit.last if commit else 0))
    for record in index.published:
        body = index.body(record.body) or {}
        commit = index.commits.get(body.get("command", {}).get("commit", ""))
        if commit is not None and commit.counts:
            seen[commit.aggregate].append((record.step, commit.last))
    return seen


def _in_time(index: Index, chain: Chain, seen: Iterable[tuple[int, int]], found: Findings) -> None:
    """No commit may stand before what somebody had seen when its command was sent."""
    for one, other in pairwise(c for c in chain.commits if c.appended is not None):
        text = f"it came into the log before {one.id}, which is its predecessor"
        steps = (other.appended or 0, one.appended or 0)
        found.expect("real-time-order", steps[1] < steps[0], text, about=other.id, steps=steps)
    in_order = sorted(seen)
    for commit in chain.commits:
        sent = min((call.sent.step for call in senders(index, commit)), default=0)
        for step, last in in_order:
            if step >= sent:
                break
            text = f"its command was sent after somebody had seen position {last % EPOCH_SPAN}"
            found.expect(
                "real-time-order", last < commit.position, text, about=commit.id, steps=(step, sent)
            )


def _queues_in_order(index: Index, found: Findings) -> None:
    queues: dict[tuple[str, str], list[tuple[Call, Logged]]] = defaultdict(list)
    decided = {(c.aggregate, c.token): c for c in index.commits.values() if c.counts}
    kept = {message.body for message in index.history.final.kept}
    for (aggregate, _), calls in index.by_identity.items():
        commit = decided.get(calls[0].identity)
        alone = len(calls) == 1 and calls[0].sent.kind == "queue" and calls[0].status == 200
        if commit is not None and alone and calls[0].sent.body not in kept:
            queues[calls[0].sent.region, aggregate].append((calls[0], commit))
    for sent in queues.values():
        sent.sort(key=lambda one: one[0].sent.step)
        for (first, before), (second, after) in pairwise(sent):
            taken = first.ended.step if first.ended else NEVER
            if taken < second.sent.step:
                text = f"it was sent after the command of {before.id}, and decided before it"
                steps = (first.sent.step, second.sent.step)
                fits = before.position < after.position
                found.expect("queue-in-order", fits, text, about=after.id, steps=steps)
