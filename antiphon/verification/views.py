"""Every read model of every region: exactly at the head, equal to the log, nothing besides.

Those that are held to it are the builds that readers get or may be given again. What a
rebuild has begun, or has to remove, is left out of account.

State is compared with a fold made from the domain alone; what a document shows beyond the
state (times, counts) with the projection's own pure `apply` over the log.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from antiphon.verification.histories import History, Item, State
from antiphon.violations import Violation
from domain.registry import Registry
from eventstore.commits import EPOCH_SPAN, Commit
from eventstore.folding import domain_events
from eventstore.identity import Keys
from projections.builds import RESERVED, Builds, Registered, states_in
from projections.projection import Change, Document, Projection
from projections.views import HEAD

# An item's place: partition key and sort key.
Place = tuple[str, str]
LIST_ATTRIBUTES = ("l1", "l2")


class Views:
    """The read-model items of all regions, handed out aggregate by aggregate."""

    def __init__(
        self,
        views: Mapping[str, Iterable[Item]],
        *,
        projections: Sequence[Projection],
        registry: Registry,
        keys: Keys,
    ) -> None:
        """Index the raw items by region and aggregate."""
        self._registered = Registered(projections)
        self._builds: dict[str, Builds] = {}
        self._registry = registry
        self._keys = keys
        self._items: dict[str, dict[str, dict[Place, Item]]] = {}
        self.count = 0
        for region, items in views.items():
            by_aggregate: dict[str, dict[Place, Item]] = defaultdict(dict)
            rebuilds: list[Item] = []
            for item in items:
                place = (str(item["k"]["S"]), str(item["s"]["S"]))
                if place[0].partition("#")[0] == RESERVED:
                    rebuilds.append(item)
                    continue
                by_aggregate[place[0].rpartition("#")[2]][place] = item
                self.count += 1
            self._items[region] = by_aggregate
            self._builds[region] = Builds(self._registered, states_in(rebuilds))

    def check(self, history: History) -> Iterator[Violation]:
        """Yield what is wrong with the views of one aggregate in any region."""
        changes = self._changes(history)
        documents: dict[str, Document | None] = {}
        for region, by_aggregate in self._items.items():
            builds = self._builds[region]
            items = by_aggregate.pop(history.aggregate_id, {})
            items = {place: item for place, item in items.items() if not _spare(builds, place)}
            for projection in builds.held():
                if not projection.covers(history.aggregate_id):
                    continue
                if projection.build not in documents:
                    documents[projection.build] = _document(projection, changes)
                place = (projection.key(history.aggregate_id), HEAD)
                head = items.pop(place, None)
                expected = documents[projection.build] if changes else None
                texts = list(self._check_head(projection, head, history, expected))
                yield from (_violation(region, place, text) for text in texts)
                if projection.row is not None:
                    yield from _check_rows(region, projection, items, history)
            for place in items:
                yield _violation(region, place, "no commit of the log belongs to this item")

    def leftover(self) -> Iterator[Violation]:
        """Yield the items of aggregates that the log does not have."""
        for region, by_aggregate in self._items.items():
            for items in by_aggregate.values():
                for place in items:
                    if _spare(self._builds[region], place):
                        continue
                    text = "the log has no commit of the aggregate of this item"
                    yield _violation(region, place, text)

    def _changes(self, history: History) -> list[Change]:
        """The commits with their events read; empty if the log cannot be folded to its head."""
        if history.head not in history.states:
            return []
        aggregate = self._registry.aggregate_by_tag(history.aggregate_id.partition(".")[0])
        return [Change(commit, domain_events(aggregate, commit)) for commit in history.commits]

    def _check_head(
        self,
        projection: Projection,
        head: Item | None,
        history: History,
        expected: Document | None,
    ) -> Iterator[str]:
        if head is None:
            yield f"the view is missing; the log has {len(history.commits)} commits for it"
            return
        try:
            applied = int(head["n"]["N"])
            document = orjson.loads(head["d"]["S"]) if "d" in head else None
        except (KeyError, ValueError):
            yield "the view cannot be read"
            return
        if applied != history.head:
            yield (
                f"it has applied sequence {applied % EPOCH_SPAN}, "
                f"the log ends at {history.head % EPOCH_SPAN}"
            )
            return
        if history.head not in history.states:
            return
        wrong = (
            list(shows(document, history.states[history.head])) if projection.shows_state else []
        )
        if not wrong and document != expected:
            wrong = [f"its document is not what the log gives: {_differences(document, expected)}"]
        if wrong:
            yield from wrong
            return
        wanted = projection.list_keys(document, self._keys) if document is not None else {}
        for attribute in LIST_ATTRIBUTES:
            value = f"{projection.build}#{wanted.get(attribute)}"
            if head.get(attribute) != ({"S": value} if attribute in wanted else None):
                yield f"its list key {attribute} is not that of its document"


def _spare(builds: Builds, place: Place) -> bool:
    """Say whether an item is of a build that is being filled, or is to be removed."""
    name, _, rest = place[0].partition("#")
    return rest.partition("#")[0] in builds.spare(name)


def _check_rows(
    region: str, projection: Projection, items: dict[Place, Item], history: History
) -> Iterator[Violation]:
    """One row for each commit, saying what the commit says."""
    for commit in history.commits:
        place = (projection.key(history.aggregate_id), f"{commit.position:020d}")
        item = items.pop(place, None)
        if item is None:
            yield _violation(region, place, f"the row of commit {commit.commit_id} is missing")
            continue
        try:
            row = orjson.loads(item["d"]["S"])
        except (KeyError, ValueError):
            row = {}
        wrong = [name for name, value in _row_of(commit).items() if row.get(name) != value]
        wrong += [] if history.tells(commit, row.get("events")) else ["events"]
        if wrong:
            text = f"the row of commit {commit.commit_id} differs from the log: {', '.join(wrong)}"
            yield _violation(region, place, text)


def _row_of(commit: Commit) -> dict[str, Any]:
    """What a row must tell of its commit, worked out from the commit alone."""
    return {
        "sequence": commit.sequence,
        "commit": commit.commit_id,
        "outcome": commit.outcome,
        "command": {
            "type": commit.command.type,
            "command_id": commit.command.command_id,
            "producer": commit.command.producer,
        },
        "origin": commit.origin,
    }


def shows(document: Any, state: State) -> Iterator[str]:
    """Yield each field in which a document differs from the state that it should show."""
    if state is None or document is None:
        if state is not None:
            yield "it shows nothing, the log has a state"
        elif document is not None:
            yield "it shows a state, the log has none"
        return
    for name, value in state.items():
        if document.get(name) != value:
            yield f"its {name} is not that of the log"


def _document(projection: Projection, changes: Iterable[Change]) -> Document | None:
    document = None
    for change in changes:
        document = projection.apply(document, change)
    return document


def _differences(document: Any, expected: Document | None) -> str:
    if not isinstance(document, dict) or expected is None:
        return "there should be none" if expected is None else "it is missing"
    names = sorted(
        name
        for name in document.keys() | expected.keys()
        if document.get(name) != expected.get(name)
    )
    return ", ".join(names)


def _violation(region: str, place: Place, text: str) -> Violation:
    return Violation(kind="view", where=region, key=" ".join(place), text=text)
