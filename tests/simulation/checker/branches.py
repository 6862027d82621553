"""What must hold where an aggregate's log may have branches: in EVENTUAL mode.

One branch counts, back from the last commit by predecessors; what is beside it is superseded. It
may be only if its region lost its homes by force, or put it when it had them no more; it is never
what was answered; and it is told and kept.
"""

from tests.simulation.checker.findings import Findings
from tests.simulation.checker.index import Index
from tests.simulation.checker.log import Logged
from tests.simulation.history import Forwarded, StateChanged

SUPERSEDED = "superseded"


def check(index: Index, found: Findings) -> None:
    """Look at homes, at what was superseded, and at what was sent on; nothing in STRONG mode."""
    if index.history.terms.mode != "EVENTUAL":
        return
    _one_home(index, found)
    _in_its_tenure(index, found)
    _superseded(index, found)
    _replicas(index, found)
    _serving(index, found)
    for record in index.history.records:
        if isinstance(record, Forwarded):
            text = f"{record.region} sends on to {record.to} what came in at {record.origin}"
            found.expect("forwarded-once", record.region == record.origin, text)


def _one_home(index: Index, found: Findings) -> None:
    """Each commit was appended by the one region that its epoch has."""
    for commit in index.commits.values():
        if commit.appended is None:
            continue
        home = index.homes.home(commit.aggregate, commit.epoch)
        text = f"{commit.appended_in} appended it; of its epoch {home} is home"
        steps = (commit.appended,)
        found.expect(
            "one-home-an-epoch", commit.appended_in == home, text, about=commit.id, steps=steps
        )


def _in_its_tenure(index: Index, found: Findings) -> None:
    """Nothing is told as decided that came into the log once another region could append."""
    for call in index.calls:
        if not call.recorded or call.reply.get("duplicate") is not False:
            continue
        commit = index.commits.get(call.reply["commit"])
        if commit is None or commit.appended is None:
            continue
        ended = index.homes.ended(commit.aggregate, commit.epoch)
        text = f"its epoch was over at step {ended}, and it was told as decided"
        steps = (commit.appended, *call.steps)
        holds = ended is None or commit.appended < ended
        found.expect("decided-in-its-tenure", holds, text, about=commit.id, steps=steps)


def _superseded(index: Index, found: Findings) -> None:
    letters = {
        f"{letter['a']['S']}.{letter['p']['N']}"
        for of_one in index.history.final.letters.values()
        for letter in of_one
        if letter.get("sr") == {"S": SUPERSEDED}
    }
    told = {
        body["command"]["commit"]: body["outcome"]
        for body in (index.body(record.body) for record in index.published)
        if body
    }
    for commit in index.commits.values():
        outcome = told.get(commit.id)
        if outcome is not None:
            text = f"it was told as {outcome}, and it {'counts' if commit.counts else 'does not'}"
            holds = commit.counts is (outcome != SUPERSEDED)
            found.expect("answered-stays", holds, text, about=commit.id)
        if not commit.counts:
            found.expect(
                "superseded-lawfully",
                _lawfully(index, commit),
                "no home was taken by force, and it was in the log in time",
                about=commit.id,
            )
            text = "it is superseded, and no letter keeps it"
            found.expect("superseded-is-kept", commit.id in letters, text, about=commit.id)


def _lawfully(index: Index, commit: Logged) -> bool:
    """Say whether a commit may be superseded: it stands on what was taken, or came too late."""
    ended = index.homes.ended(commit.aggregate, commit.epoch)
    if index.homes.was_taken(commit.aggregate, commit.epoch) or ended is None:
        return ended is not None
    if (commit.appended or 0) > ended:
        return True
    before = index.commits.get(index.chains[commit.aggregate].ids.get(commit.predecessor, ""))
    return before is not None and not before.counts


def _serving(index: Index, found: Findings) -> None:
    """Whoever comes to serve has all that was answered without it, or it could go on beside it."""
    answered = {
        index.body(record.body)["command"]["commit"]: record.step
        for record in reversed(index.published)
        if index.body(record.body) and index.body(record.body)["outcome"] != SUPERSEDED
    }
    for record in index.history.records:
        if not isinstance(record, StateChanged) or record.state != "active":
            continue
        for commit_id, step in answered.items():
            commit = index.commits.get(commit_id)
            if commit is None or step > record.step:
                continue
            applied = index.applied_at(record.region, commit.aggregate, record.step)
            chain = index.chains[commit.aggregate]
            behind = ", ".join(f"{name} at {one}" for name, one in applied.items())
            holds = all(chain.includes(one, commit.last) for one in applied.values())
            text = f"{record.region} serves without {commit.last}, which was answered: {behind}"
            steps = (step, record.step)
            found.expect("serves-with-the-answered", holds, text, about=commit_id, steps=steps)


def _replicas(index: Index, found: Findings) -> None:
    """At the end every replica holds the same: all that was ever appended."""
    log = {(item["a"]["S"], item["q"]["N"]): item for item in index.history.final.log}
    for region, items in index.history.final.replicas.items():
        mine = {(item["a"]["S"], item["q"]["N"]): item for item in items}
        text = f"{region} has {len(mine)} commits of {len(log)}, or others in their places"
        found.expect("replicas-agree", mine == log, text, about=region)
