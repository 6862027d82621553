"""One answer for each commit, in its region of origin, from a state that contains it.

A region that was lost may have its answers in the region that adopted them, once more. What an
answer leaves out must have been drained. What it must say is worked out here from the log, not
asked of the code that builds answers.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from antiphon.verification.histories import History, Item, State
from antiphon.verification.views import shows
from antiphon.violations import Kind, Violation
from eventstore.commits import EPOCH_SPAN, Commit
from eventstore.identity import Keys
from projections.regions import Topology

ACK = "ack#"
# Published answers expire; older commits are not asked for theirs.
KEPT_MS = 6 * 24 * 3_600_000
# Of what came in at a lost region, only what duplicates could still ask for is adopted.
ADOPTED_MS = 47 * 3_600_000


class Answers:
    """The response items of all regions, handed out commit by commit."""

    def __init__(
        self,
        responses: Mapping[str, Iterable[Item]],
        *,
        keys: Keys,
        now_ms: int,
        topology: Topology,
    ) -> None:
        """Index the raw items by region and commit; of a lost region there may be none."""
        self._regions = tuple(topology.standings)
        self._standings = topology.standings
        self._ever_drained = topology.ever_drained
        self._keys = keys
        self._now_ms = now_ms
        self._items = {
            region: {str(item["c"]["S"]): item for item in items}
            for region, items in responses.items()
        }
        self.count = sum(len(items) for items in self._items.values())

    def check(self, history: History) -> Iterator[Violation]:
        """Yield what is wrong with the answers to the commits of one aggregate."""
        for commit in history.commits:
            items = {
                region: item
                for region, kept in self._items.items()
                if (item := kept.pop(commit.commit_id, None)) is not None
            }
            if commit.origin not in self._standings:
                yield _violation(commit, f"its origin {commit.origin} is no region here")
                continue
            places = (commit.origin, *self._standings[commit.origin].adopters)
            for region in items.keys() - set(places):
                text = f"it also has an answer in {region}, which is not its origin"
                yield _violation(commit, text)
            theirs = {region: items[region] for region in places if region in items}
            if not theirs and commit.recorded_at_ms > self._oldest_ms(commit.origin):
                yield _violation(commit, "it has no answer")
            published = {region for region, item in theirs.items() if "published" in item}
            for region, item in theirs.items():
                # Where a region was lost, its own item says what was known when it was.
                if region in published or not published:
                    yield from self._check_item(commit, item, history)

    def _oldest_ms(self, origin: str) -> int:
        """Return since when every commit of an origin must have its answer here."""
        return self._now_ms - (KEPT_MS if origin in self._items else ADOPTED_MS)

    def leftover(self) -> Iterator[Violation]:
        """Yield the answers that no commit of the log has asked for."""
        for region, items in self._items.items():
            for commit_id in items:
                text = "there is an answer, but no such commit in the log"
                yield Violation(kind="answer", where=region, key=commit_id, text=text)

    def _check_item(self, commit: Commit, item: Item, history: History) -> Iterator[Violation]:
        if "body" not in item or "published" not in item:
            heard = sorted(name.removeprefix(ACK) for name in item if name.startswith(ACK))
            missing = sorted(set(self._regions) - set(heard))
            waits = f"it waits for {', '.join(missing)}" if missing else "all regions applied it"
            yield _violation(commit, f"it is not answered; {waits}")
            return
        if "pending" in item:
            yield _violation(commit, "it is answered and still stands among the pending")
        try:
            detail = orjson.loads(item["body"]["S"])
        except (KeyError, ValueError):
            yield _violation(commit, "the stored body of its answer is not JSON")
            return
        for field, (told, expected) in self._fields(commit, detail).items():
            if told != expected:
                yield _violation(commit, f"its answer tells another {field} than the log")
        if not history.tells(commit, detail.get("events")):
            yield _violation(commit, "its answer tells other events than the log")
        yield from _check_state(commit, detail, history)
        left_out = set(detail.get("drained") or ())
        for region in sorted(left_out):
            if region not in self._ever_drained:
                yield _violation(commit, f"it leaves out {region}, which was never drained")
        missing = sorted(set(self._regions) - set(detail.get("regions") or ()) - left_out)
        if missing:
            text = f"it was answered before {', '.join(missing)} had applied it"
            yield _violation(commit, text, kind="stale")

    def _fields(self, commit: Commit, detail: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
        """What the answer says of each field that the commit alone determines, and should."""
        answer_id = self._keys.answer_id(
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


def _check_state(
    commit: Commit, detail: Mapping[str, Any], history: History
) -> Iterator[Violation]:
    """The state must be that of the log at `as_of_sequence`, and that must not be too early."""
    as_of = detail.get("as_of_sequence")
    if not isinstance(as_of, int) or as_of < commit.sequence:
        text = f"its answer is as of sequence {as_of}, before its own {commit.sequence}"
        yield _violation(commit, text, kind="stale")
        return
    position = commit.epoch * EPOCH_SPAN + as_of
    if position not in history.states:
        if history.states and position <= max(history.states):
            yield _violation(commit, f"its answer is as of sequence {as_of}, where no commit ends")
        elif position > history.head:
            text = f"its answer is as of sequence {as_of}; the log ends at {history.head}"
            yield _violation(commit, text)
        return
    state: State = history.states[position]
    for text in shows(detail.get("state"), state):
        yield _violation(commit, f"the state in its answer is not the log's at {as_of}: {text}")


def _violation(commit: Commit, text: str, *, kind: Kind = "answer") -> Violation:
    return Violation(kind=kind, where=commit.origin, key=commit.commit_id, text=text)
