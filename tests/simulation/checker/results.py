"""What producers are told: the truth about their commands, and always the same."""

from tests.simulation.checker.findings import Findings
from tests.simulation.checker.index import NEVER, Call, Index, Operation, Reading
from tests.simulation.checker.log import Chain, Logged
from tests.simulation.checker.log_rules import named_by, senders
from tests.simulation.history import Forgotten

_STATUSES = {
    "accepted": (202, 200), "unchanged": (200,), "rejected": (409,), "superseded": (409,),
}  # fmt: skip
_SAME = ("commit", "aggregate_id", "sequence", "consistency_token", "reason", "message")
# Whoever balances between regions goes by the status of this alone.
_HEALTH = "/health"
_PROBLEMS = {
    "malformed": 400,
    "not_found": 404,
    "forgotten": 410,
    "conflict": 409,
    "dependency_not_reached": 409,
    "superseded": 409,
    "too_large": 413,
    "invalid": 422,
    "invalid_token": 422,
    "key_reused": 422,
    "not_caught_up": 503,
    "unavailable": 503,
}
_NEVER_OF_A_VALID_ONE = frozenset({"malformed", "too_large", "invalid", "invalid_token"})

# How long a command is tried to be appended before its client is told to send it again.
_APPEND_MS = 8_000.0
# What is left of a wait by a clock that counts a hundredth too much, as EVENTUAL mode has some.
_COUNTED = 0.99


def check(index: Index, found: Findings) -> None:
    """Look at every call alone, then at all calls of one command together."""
    for operation in (*index.calls, *index.readings):
        _ends(operation, found)
    decided: dict[tuple[str, bytes], Logged] = {}
    for commit in sorted(index.commits.values(), key=lambda one: not one.counts):
        decided.setdefault((commit.aggregate, commit.token), commit)
    forgotten = {one.key for one in index.history.records if isinstance(one, Forgotten)}
    for call in index.calls:
        commit = decided.get(call.identity) if call.model else None
        if call.recorded:
            _truly(index, call, found)
        elif call.not_recorded:
            _nothing_left(index, call, commit, found)
            _justified(index, call, commit, found)
        if call.sent.kind == "queue" and call.status == 200:
            _kept(index, call, commit, forgotten, found)
    for reading in index.readings:
        _reading_justified(index, reading, found)
    _same_results(index, found)


def _ends(operation: Operation, found: Findings) -> None:
    planned = operation.ended is not None
    if operation.sent.path == _HEALTH:
        planned = operation.status in (0, 200, 503)
    elif operation.code:
        promised = _PROBLEMS.get(operation.code)
        planned = promised == operation.status == operation.reply.get("status")
    elif operation.status and operation.sent.kind != "queue":
        planned = operation.status in (200, 202, 409) and isinstance(operation.reply, dict)
    text = f"it got {operation.status}" if operation.ended else "it never came to an end"
    about, steps = operation.sent.op, operation.steps
    found.expect("every-call-ends", planned, text, about=about, steps=steps)


def _truly(index: Index, call: Call, found: Findings) -> None:
    """A recorded reply against the commit that it names."""
    reply = call.reply
    commit = index.commits.get(reply.get("commit", ""))
    if commit is None:
        text = f"it names {reply.get('commit')}, which is not in the log"
        found.blame("reply-names-its-commit", text, about=call.sent.op, steps=call.steps)
        return
    answer = reply.get("answer")
    status = "answered" if commit.outcome == "accepted" and answer is not None else commit.outcome
    if answer is not None and answer["outcome"] == "superseded":
        status = "superseded"
    wrong = [
        name
        for name, told, true in (
            ("command", (call.aggregate, call.token), (commit.aggregate, commit.token)),
            ("content", call.content, commit.content),
            ("HTTP status", call.status in _STATUSES.get(status, _STATUSES["accepted"]), True),
            ("status", reply["status"], status),
            ("aggregate_id", reply["aggregate_id"], commit.aggregate),
            ("sequence", reply["sequence"], commit.sequence),
            ("region", reply["region"], call.sent.region),
            ("consistency_token", reply["consistency_token"], token_of(index, commit)),
            ("reason", [reply.get("reason"), reply.get("message")], _refusal(commit)),
            ("time", (commit.appended or 0) < call.end, True),
        )
        if told != true
    ]
    text = f"it tells of {commit.id} what is not so: {', '.join(wrong)}"
    found.expect("reply-names-its-commit", not wrong, text, about=call.sent.op, steps=call.steps)


def token_of(index: Index, commit: Logged) -> str:
    """Return the consistency token of a commit."""
    return index.names.consistency_token(commit.aggregate, commit.position, commit.last)


def _refusal(commit: Logged) -> list[str | None]:
    told = commit.events[0][2] if commit.outcome == "rejected" else {}
    return [told.get("reason"), told.get("message")]


def _same_results(index: Index, found: Findings) -> None:
    fresh: dict[str, list[Call]] = {}
    for calls in index.by_identity.values():
        told = [call for call in calls if call.recorded]
        for call in told:
            if call.reply.get("duplicate") is False:
                fresh.setdefault(call.reply["commit"], []).append(call)
        # What was superseded is decided anew when it is sent again.
        told = [call for call in told if not _is_aside(index, call.reply["commit"])]
        for call in told[1:]:
            wrong = [n for n in _SAME if call.reply.get(n) != told[0].reply.get(n)]
            text = f"another {', '.join(wrong)} than {told[0].sent.op} was told"
            steps = (*told[0].steps, *call.steps)
            found.expect("duplicate-same-result", not wrong, text, about=call.sent.op, steps=steps)
    for commit_id, calls in fresh.items():
        commit = index.commits.get(commit_id)
        steps = tuple(step for call in calls for step in call.steps)
        text = f"{len(calls)} replies say that they were the first"
        found.expect("fresh-once", len(calls) == 1, text, about=commit_id, steps=steps)
        if commit is not None and commit.appended is not None:
            own = all(call.sent.step < commit.appended < call.end for call in calls)
            text = "a reply says that it was the first, but did not append it"
            found.expect("fresh-once", own, text, about=commit_id, steps=steps)
    _duplicates_of_something(index, found)


def _is_aside(index: Index, commit_id: str) -> bool:
    commit = index.commits.get(commit_id)
    return commit is not None and not commit.counts


def _duplicates_of_something(index: Index, found: Findings) -> None:
    """Whoever was alone in sending a command where it was decided is told so."""
    for commit in index.commits.values():
        calls = list(senders(index, commit))
        if len(calls) == 1 and calls[0].recorded and not _sent_on(index, commit, calls[0]):
            text = "it was no duplicate, and was told to be one"
            holds = calls[0].reply["duplicate"] is False
            about, steps = calls[0].sent.op, calls[0].steps
            found.expect("fresh-once", holds, text, about=about, steps=steps)


def _sent_on(index: Index, commit: Logged, call: Call) -> bool:
    """Say whether a command may have been sent on, and so be sent once more.

    To its home, where an answer on the way back is lost; or after it was put, by who was not home
    any more then, to who was.
    """
    if index.history.terms.mode != "EVENTUAL":
        return False
    ended = index.homes.ended(commit.aggregate, commit.epoch)
    return commit.appended_in != commit.origin or (ended is not None and ended < call.end)


def _nothing_left(index: Index, call: Call, commit: Logged | None, found: Findings) -> None:
    """A sending that was refused made no commit; only another sending of it can have."""
    others = [
        one
        for one in (index.by_identity[call.identity] if call.model else ())
        if one is not call and one.content == call.content
    ]
    by_other = commit is None or any(
        one.sent.region == commit.origin
        and one.sent.step < (commit.appended or NEVER)
        and (one.sent.kind == "queue" or one.end > (commit.appended or 0))
        for one in others
    )
    mine = commit is not None and commit.content == call.content
    text = f"it was told {call.code}, yet {commit.id if commit else ''} decided it"
    found.expect(
        "refused-leaves-nothing",
        by_other or not mine,
        text,
        about=call.sent.op,
        steps=call.steps,
    )


def _justified(index: Index, call: Call, commit: Logged | None, found: Findings) -> None:
    if not call.sent.valid or call.model is None:
        return
    chain = index.chains.get(call.aggregate)
    match call.code:
        case "key_reused":
            right = any(
                one.token == call.token
                and one.content != call.content
                and (one.appended or 0) < call.end
                for one in (chain.every if chain else ())
            )
        case "conflict":
            right = chain is not None and (
                # Who took over by force may lack what counts in the end.
                _contended(chain, call) or index.homes.any_taken(chain.aggregate)
            )
        case "dependency_not_reached":
            needed = index.commits.get(named_by(index, call.envelope.get("depends_on") or ""))
            right = needed is None or index.everywhere(needed) > call.sent.step
        case "superseded":
            token = call.envelope.get("depends_on") or ""
            right = _is_aside(index, named_by(index, token))
        case "forgotten":
            right = chain is not None and chain.is_forgotten_at(call.end)
        case code:
            right = code not in _NEVER_OF_A_VALID_ONE
    text = f"nothing justified {call.status} {call.code}"
    found.expect("refusal-justified", right, text, about=call.sent.op, steps=call.steps)


def _contended(chain: Chain, call: Call) -> bool:
    """Say whether others came in between, or the change that was expected is not the last."""
    known = [c for c in chain.commits if c.appended is not None and c.appended < call.end]
    if any(call.sent.step < (c.appended or 0) for c in known):
        return True
    # Nobody came in between, but a region that was cut off shows a log of before the cut. Its
    # writer meets what it lacked at its first append that gets through, which may be the last
    # that its time allows. Whoever was as long as that at it, with something there to meet, is
    # told so truly, and sends again: refusing it is late, not wrong, and nothing was recorded.
    took_ms = call.ended.at_ms - call.sent.at_ms if call.ended is not None else 0.0
    if took_ms >= _APPEND_MS and any(c.token != call.token for c in known):
        return True
    changed_at = max((c.sequence for c in known if c.outcome == "accepted"), default=0)
    return call.envelope.get("expected_sequence") not in (None, changed_at)


def _reading_justified(index: Index, reading: Reading, found: Findings) -> None:
    if not reading.sent.valid or not reading.code or reading.code in ("not_found", "unavailable"):
        return
    right = False
    if reading.token is not None:
        named = f"{reading.token[0]}.{reading.token[1]}"
        right = reading.code in ("superseded", "not_caught_up") and _is_aside(index, named)
    if not right and reading.code == "not_caught_up" and reading.token is not None:
        waited_ms = reading.ended.at_ms - reading.sent.at_ms if reading.ended else 0.0
        asked_ms = float(reading.sent.query.get("wait_ms", "2000"))
        right = index.least_applied(reading) < reading.token[2]
        counted = _COUNTED if index.history.terms.mode == "EVENTUAL" else 1.0
        right = right and waited_ms >= asked_ms * counted
    if reading.code == "forgotten":
        chain = index.chains.get(reading.aggregate)
        right = chain is not None and chain.is_forgotten_at(reading.end)
    text = f"nothing justified {reading.status} {reading.code}"
    found.expect("refusal-justified", right, text, about=reading.sent.op, steps=reading.steps)


def _kept(
    index: Index, call: Call, commit: Logged | None, forgotten: set[str], found: Findings
) -> None:
    """A command from a queue is in the log, or lies whole among the dead.

    But for what names somebody who was forgotten: of that no letter may keep the message.
    """
    if any(key in call.sent.body for key in forgotten):
        return
    decided = commit is not None and commit.content == call.content
    dead = any(
        message.body == call.sent.body
        and message.attributes.get("Idempotency-Key") == call.headers.get("idempotency-key")
        for message in index.history.final.kept
    )
    dead = dead or call.sent.body in index.letter_texts
    text = "the queue took it, and it is neither decided nor kept"
    found.expect("queued-command-kept", decided or dead, text, about=call.sent.op, steps=call.steps)
