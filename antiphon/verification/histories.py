"""The log by itself: every aggregate's commits in one unbroken chain, and what they fold to.

The fold is made here, from the domain's `evolve` alone, so that the read models are held
against something that no projection had a hand in.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import orjson
from pydantic import BaseModel

from antiphon.verification.source import Item
from antiphon.violations import Violation
from domain.aggregate import Event
from domain.network_element import NetworkElement
from domain.registry import Registry
from eventstore.chain import chain_after
from eventstore.commits import EPOCH_SPAN, Commit, from_item
from eventstore.errors import CorruptLog
from eventstore.folding import domain_events

LOG = "log"
State = dict[str, Any] | None


@dataclass(kw_only=True)
class History:
    """One aggregate: its commits in order, and its state after each of them.

    `items` are the commits as stored, also those that cannot be read. `states` is keyed by the
    position of a commit's last event, `events` by that of its first; both end where the chain
    breaks: nobody can say what the state is after a hole.
    `forgotten`: the subject is to be forgotten, and nothing of it shown any more.
    """

    aggregate_id: str
    items: list[Item] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    states: dict[int, State] = field(default_factory=dict)
    events: dict[int, tuple[Event, ...]] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    forgotten: bool = False

    @property
    def head(self) -> int:
        """The position of the last event."""
        return self.commits[-1].last_position if self.commits else 0

    def due(self, position: int) -> Iterator[Commit]:
        """Yield the commits up to a position, which is that of the last one's first event."""
        return (commit for commit in self.commits if commit.position <= position)

    def last_due(self, position: int) -> int:
        """Return where the last commit up to a position ends, 0 if there is none."""
        return max((commit.last_position for commit in self.due(position)), default=0)

    def tells(self, commit: Commit, told: Any) -> bool:
        """Say whether `told` are the events of a commit, as answers and rows tell them.

        In the form that is stored, or in that of today: what was told before a new version
        of an event stays as it was told.
        """
        return told in (self._told_as_stored(commit), self._told_today(commit))

    def _told_as_stored(self, commit: Commit) -> list[dict[str, Any]]:
        if commit.outcome == "unchanged":
            return []
        events = [(event.topic.rpartition(".")[2], event.data) for event in commit.events]
        return _numbered(commit, [(name, orjson.loads(data)) for name, data in events])

    def _told_today(self, commit: Commit) -> list[dict[str, Any]]:
        events = self.events.get(commit.position, ())
        return _numbered(
            commit, [(type(event).__name__, event.model_dump(mode="json")) for event in events]
        )

    def blame(self, text: str, *, position: int | str) -> None:
        """Note that the log itself is not as it should be."""
        key = f"{self.aggregate_id}.{position}"
        self.violations.append(Violation(kind="log", where=LOG, key=key, text=text))


def _numbered(commit: Commit, events: Sequence[tuple[str, Any]]) -> list[dict[str, Any]]:
    first = commit.position % EPOCH_SPAN
    return [
        {"sequence": first + offset, "type": name, "data": data}
        for offset, (name, data) in enumerate(events)
    ]


def histories(items: Iterable[Item], *, registry: Registry) -> Iterator[History]:
    """Yield each aggregate's history; items of one aggregate must come together, in any order."""
    for aggregate_id, group in groupby(items, key=lambda item: str(item["a"]["S"])):
        history = History(aggregate_id=aggregate_id)
        history.items = sorted(group, key=lambda item: int(item["q"]["N"]))
        for item in history.items:
            try:
                history.commits.append(from_item(item))
            except CorruptLog as error:
                history.blame(str(error), position=item["q"]["N"])
        _check_chain(history)
        _fold(history, registry)
        yield history


def _check_chain(history: History) -> None:
    """Positions without gap or overlap, predecessors that name one another, tokens once.

    In EVENTUAL mode of the commits that count: what is superseded stays in the log.
    """
    if history.commits and history.commits[-1].epoch:
        chain = chain_after(0, history.commits)
        if not chain.whole:
            history.blame("commits are missing that others follow", position=1)
        history.commits = list(chain.run)
    last = 0
    tokens: dict[bytes, int] = {}
    for commit in history.commits:
        if commit.position % EPOCH_SPAN != last % EPOCH_SPAN + 1:
            text = f"the commit after position {last} stands at {commit.position}, not {last + 1}"
            history.blame(text, position=commit.position)
        if commit.predecessor != last:
            text = f"its predecessor is {commit.predecessor}, the commit before it ends at {last}"
            history.blame(text, position=commit.position)
        first = tokens.setdefault(commit.token, commit.position)
        if first != commit.position:
            text = f"its idempotency token is also that of the commit at position {first}"
            history.blame(text, position=commit.position)
        last = commit.last_position


def _fold(history: History, registry: Registry) -> None:
    tag = history.aggregate_id.partition(".")[0]
    try:
        aggregate = registry.aggregate_by_tag(tag)
    except KeyError:
        history.blame(f"no aggregate has the tag {tag!r}", position=1)
        return
    state, last = None, 0
    for commit in history.commits:
        if (commit.predecessor, commit.position) != (last, last + 1):
            return
        last = commit.last_position
        try:
            history.events[commit.position] = domain_events(aggregate, commit)
            for event in history.events[commit.position]:
                state = aggregate.evolved(state, event)
                history.forgotten = history.forgotten or event.forgets
        except (CorruptLog, ValueError, AssertionError) as error:
            text = f"its events cannot be folded: {error or type(error).__name__}"
            history.blame(text, position=commit.position)
            return
        history.states[commit.last_position] = None if history.forgotten else shown(state)


def shown(state: BaseModel | None) -> State:
    """What a document that shows a state must have: its plain fields, and what they are made of.

    A network element keeps its revisions whole; documents show their numbers.
    """
    if state is None:
        return None
    fields = state.model_dump(mode="json", exclude={"revisions"})
    if isinstance(state, NetworkElement):
        fields["revisions"] = [revision.revision for revision in state.revisions]
    return fields
