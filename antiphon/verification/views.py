"""Every read model of a region: at the head of the log, equal to it, in every field.

Those that are held to it are the builds that readers get or may be given again. What a
rebuild has begun, or has to remove, is left out of account.

State is compared with a fold made from the domain alone; what a document shows beyond the
state (times, counts) with the projection's own pure `apply` over the log.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from antiphon.verification.histories import History, State
from antiphon.verification.source import Finding, Item, Place
from antiphon.violations import Violation
from domain.registry import Registry
from eventstore.commits import EPOCH_SPAN, Commit
from eventstore.folding import domain_events
from eventstore.identity import Keys
from projections.applying import applied as applied_to
from projections.builds import Builds
from projections.projection import Change, Document, Projection
from projections.repair import How, Mend
from projections.views import HEAD, View

LIST_ATTRIBUTES = ("l1", "l2")


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Holds the views of one aggregate after the other against its history."""

    registry: Registry
    keys: Keys

    def check(
        self,
        history: History,
        held: Mapping[str, tuple[Builds, Mapping[Place, Item]]],
        *,
        due: int,
    ) -> Iterator[Finding]:
        """Yield what is wrong with the views of one aggregate in any region.

        Args:
            history: of the aggregate, read after the views.
            held: by region, the builds there and the items, heads and rows, that were read.
            due: only commits up to this position are asked for.

        """
        expected = Expected(history, self.registry)
        for region, (builds, items) in held.items():
            for build in builds.held():
                if build.covers(history.aggregate_id):
                    yield from self._check_build(region, build, items, expected, due=due)

    def _check_build(
        self,
        region: str,
        build: Projection,
        items: Mapping[Place, Item],
        expected: "Expected",
        *,
        due: int,
    ) -> Iterator[Finding]:
        history = expected.history
        place = (build.key(history.aggregate_id), HEAD)
        head, wanted = items.get(place), history.last_due(due)
        refold = Mend(
            how=How.REFOLD, region=region, subject=history.aggregate_id, build=build.build
        )
        if head is None:
            if wanted:
                text = f"the view is missing; the log has {len(history.commits)} commits for it"
                yield _late(region, place, text, history)
            return
        try:
            applied = int(head["n"]["N"])
            document = orjson.loads(head["d"]["S"]) if "d" in head else None
        except (KeyError, ValueError):
            yield _wrong(region, place, "the view cannot be read")
            return
        ends = f"the log ends at {history.head % EPOCH_SPAN}"
        if applied > history.head:
            text = f"it has applied sequence {applied % EPOCH_SPAN}, {ends}"
            yield _wrong(region, place, text)
            return
        if applied < wanted:
            text = f"it has applied sequence {applied % EPOCH_SPAN}, {ends}"
            yield _late(region, place, text, history)
        # Ahead of what is due, or behind it: it must be what the log gives as of where it stands.
        for text in self._wrong_in(build, head, document, expected, applied=applied):
            yield _wrong(region, place, text, refold)
        if build.row is not None:
            yield from _check_rows(
                region, build, items, history, upto=min(applied, wanted), mend=refold
            )

    def _wrong_in(
        self, build: Projection, head: Item, document: Any, expected: "Expected", *, applied: int
    ) -> list[str]:
        states = expected.history.states
        if applied not in states:
            reached = max(states, default=0)
            return [f"it stands at {applied}, where no commit ends"] if applied < reached else []
        wrong = list(shows(document, states[applied])) if build.shows_state else []
        right = expected.document(build, applied)
        if not wrong and document != right:
            wrong = [f"its document is not what the log gives: {_differences(document, right)}"]
        if wrong:
            return wrong
        wanted = build.list_keys(document, self.keys) if document is not None else {}
        return [
            f"its list key {attribute} is not that of its document"
            for attribute in LIST_ATTRIBUTES
            if head.get(attribute)
            != ({"S": f"{build.build}#{wanted[attribute]}"} if attribute in wanted else None)
        ]


class Expected:
    """What the documents of one aggregate must be, as of any commit that can be folded."""

    def __init__(self, history: History, registry: Registry) -> None:
        """Nothing is folded before it is asked for."""
        self.history = history
        self._registry = registry
        self._documents: dict[tuple[str, int], Document | None] = {}

    def document(self, build: Projection, applied: int) -> Document | None:
        """Return the document of a build after the commit that ends at `applied`."""
        key = (build.build, applied)
        if key not in self._documents:
            view = View()
            for change in self._changes():
                if change.commit.last_position <= applied:
                    view = applied_to(build, view, change)
            self._documents[key] = view.document
        return self._documents[key]

    def _changes(self) -> Iterator[Change]:
        aggregate = self._registry.aggregate_by_tag(self.history.aggregate_id.partition(".")[0])
        for commit in self.history.commits:
            if commit.last_position in self.history.states:
                yield Change(commit, domain_events(aggregate, commit))


def keys_of(history: History, builds: Builds, *, due: int) -> Iterator[Item]:
    """Yield the keys of all view items that a region must have of an aggregate."""
    for build in builds.held():
        if build.covers(history.aggregate_id):
            key = {"S": build.key(history.aggregate_id)}
            yield {"k": key, "s": {"S": HEAD}}
            if build.row is not None:
                for commit in history.due(due):
                    yield {"k": key, "s": {"S": f"{commit.position:020d}"}}


def _check_rows(
    region: str,
    build: Projection,
    items: Mapping[Place, Item],
    history: History,
    *,
    upto: int,
    mend: Mend,
) -> Iterator[Finding]:
    """One row for each commit that is applied, saying what the commit says."""
    for commit in history.commits:
        if commit.last_position > upto:
            return
        place = (build.key(history.aggregate_id), f"{commit.position:020d}")
        item = items.get(place)
        if history.forgotten and (item is None or "d" not in item):
            # Erased, or sealed for ever until it is.
            continue
        if item is None:
            yield _wrong(region, place, f"the row of commit {commit.commit_id} is missing", mend)
            continue
        try:
            row = orjson.loads(item["d"]["S"])
        except (KeyError, ValueError):
            row = {}
        wrong = [name for name, value in _row_of(commit).items() if row.get(name) != value]
        wrong += [] if history.tells(commit, row.get("events")) else ["events"]
        if wrong:
            text = f"the row of commit {commit.commit_id} differs from the log: {', '.join(wrong)}"
            yield _wrong(region, place, text, mend)


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


def _wrong(region: str, place: Place, text: str, mend: Mend | None = None) -> Finding:
    return Finding(violation=_violation(region, place, text), mend=mend)


def _late(region: str, place: Place, text: str, history: History) -> Finding:
    return Finding(
        violation=_violation(region, place, text),
        late=True,
        concerns=frozenset({region}),
        mend=Mend(how=How.APPLY, region=region, subject=history.aggregate_id),
    )
