"""One answer for each commit, in its region of origin, from a state that contains it.

A region that was lost may have its answers in the region that adopted them, too. What an
answer leaves out must have been drained. What it must say is worked out here from the log, not
asked of the code that builds answers.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from antiphon.verification.histories import History, State
from antiphon.verification.source import Finding, Item
from antiphon.verification.views import shows
from antiphon.violations import Kind, Violation
from eventstore.commits import EPOCH_SPAN, Commit
from eventstore.identity import Keys
from projections.regions import Topology
from projections.repair import How, Mend

ACK = "ack#"
# Published answers expire; older commits are not asked for theirs.
KEPT_MS = 6 * 24 * 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Holds the answers to the commits of one aggregate after the other against its history.

    Args:
        regions: those whose response items are read; of a lost region there may be none.
        topology: read after the response items, so no answer can have been made by later states.
        now_ms: now, in ms since 1970; answers of old commits may have expired.

    """

    regions: Sequence[str]
    topology: Topology
    keys: Keys
    now_ms: int

    def check(
        self, history: History, held: Mapping[str, Mapping[str, Item]], *, due: int
    ) -> Iterator[Finding]:
        """Yield what is wrong with the answers to the commits of one aggregate.

        Args:
            history: of the aggregate, read after the response items.
            held: the response items, by region and commit.
            due: only commits up to this position are asked for.

        """
        for commit in history.due(due):
            items = {
                region: kept[commit.commit_id]
                for region, kept in held.items()
                if commit.commit_id in kept
            }
            if commit.origin not in self.topology.standings:
                yield _wrong(commit, f"its origin {commit.origin} is no region here")
                continue
            places = (commit.origin, *self.topology.standings[commit.origin].adopters)
            for region in sorted(items.keys() - set(places)):
                text = f"it also has an answer in {region}, which is not its origin"
                yield _wrong(commit, text)
            theirs = {region: items[region] for region in places if region in items}
            # Nothing is said of a region that could not be looked at.
            seen = any(region in self.regions for region in places)
            if seen and not theirs and commit.recorded_at_ms > self.now_ms - KEPT_MS:
                yield self._late(commit, "it has no answer", lacking=())
            published = {region for region, item in theirs.items() if "published" in item}
            for region, item in theirs.items():
                # Where a region was lost, its own item says what was known when it was.
                if (region in published or not published) and not (
                    history.forgotten and _withholds(item)
                ):
                    yield from self._check_item(commit, item, history)

    def _check_item(self, commit: Commit, item: Item, history: History) -> Iterator[Finding]:
        if "body" not in item or "published" not in item:
            heard = sorted(name.removeprefix(ACK) for name in item if name.startswith(ACK))
            missing = sorted(set(self.topology.standings) - set(heard))
            waits = f"it waits for {', '.join(missing)}" if missing else "all regions applied it"
            yield self._late(commit, f"it is not answered; {waits}", lacking=missing)
            return
        if "pending" in item:
            text = "it is answered and still stands among the pending"
            yield Finding(violation=_violation(commit, text), mend=self._mend(commit))
        try:
            detail = orjson.loads(item["body"]["S"])
        except (KeyError, ValueError):
            yield _wrong(commit, "the stored body of its answer is not JSON")
            return
        for field, (told, expected) in self._fields(commit, detail).items():
            if told != expected:
                yield _wrong(commit, f"its answer tells another {field} than the log")
        if not history.tells(commit, detail.get("events")):
            yield _wrong(commit, "its answer tells other events than the log")
        yield from _check_state(commit, detail, history)
        left_out = set(detail.get("drained") or ())
        for region in sorted(left_out):
            if region not in self.topology.ever_drained:
                yield _wrong(commit, f"it leaves out {region}, which was never drained")
        missing = sorted(set(self.topology.standings) - set(detail.get("regions") or ()) - left_out)
        if missing:
            text = f"it was answered before {', '.join(missing)} had applied it"
            yield _wrong(commit, text, kind="stale")

    def _late(self, commit: Commit, text: str, *, lacking: Sequence[str]) -> Finding:
        """What is not answered yet: its answer comes from every region, through its origin's."""
        return Finding(
            violation=_violation(commit, text),
            late=True,
            concerns=frozenset({commit.origin, *lacking}),
            mend=self._mend(commit),
        )

    def _mend(self, commit: Commit) -> Mend:
        answering = self.topology.answering_region(commit.origin)
        return Mend(how=How.ANSWER, region=answering, subject=commit.commit_id)

    def _fields(self, commit: Commit, detail: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """What the answer says of each field that the commit alone determines, and should."""
        answer_id = self.keys.answer_id(
            token=commit.token, position=commit.position, outcome=commit.outcome
        )
        expected = {
            "answer_id": answer_id,
            "outcome": commit.outcome,
            "command": {
                "type": commit.command.type,
                "command_id": commit.command.command_id,
                "producer": commit.command.producer,
                "commit": commit.commit_id,
            },
            "aggregate_id": commit.aggregate_id,
            "sequence": commit.sequence,
            "origin": commit.origin,
            "correlation_id": commit.correlation_id,
        }
        return {name: (detail.get(name), value) for name, value in expected.items()}


def _withholds(item: Item) -> bool:
    """Say whether an answer was given and tells nothing of its subject, as of one forgotten."""
    if "published" not in item:
        return False
    if "body" not in item:
        return True
    try:
        told = orjson.loads(item["body"]["S"])
        return not told["events"] and told["state"] is None
    except (KeyError, TypeError, ValueError):
        return False


def _check_state(commit: Commit, detail: Mapping[str, Any], history: History) -> Iterator[Finding]:
    """The state must be that of the log at `as_of_sequence`, and that must not be too early."""
    as_of = detail.get("as_of_sequence")
    if not isinstance(as_of, int) or as_of < commit.sequence:
        text = f"its answer is as of sequence {as_of}, before its own {commit.sequence}"
        yield _wrong(commit, text, kind="stale")
        return
    position = commit.epoch * EPOCH_SPAN + as_of
    if position not in history.states:
        if history.states and position <= max(history.states):
            yield _wrong(commit, f"its answer is as of sequence {as_of}, where no commit ends")
        elif position > history.head:
            text = f"its answer is as of sequence {as_of}; the log ends at {history.head}"
            yield _wrong(commit, text)
        return
    state: State = history.states[position]
    for text in shows(detail.get("state"), state):
        yield _wrong(commit, f"the state in its answer is not the log's at {as_of}: {text}")


def _violation(commit: Commit, text: str, *, kind: Kind = "answer") -> Violation:
    return Violation(kind=kind, where=commit.origin, key=commit.commit_id, text=text)


def _wrong(commit: Commit, text: str, *, kind: Kind = "answer") -> Finding:
    return Finding(violation=_violation(commit, text, kind=kind))
