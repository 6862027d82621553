"""What a region has and no commit has brought: view items, answers, commits of a replica.

The region's page is read first and the log after it, consistently, so whatever the log lacks
then it lacked all the time. One page is in memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from antiphon.verification.source import Item, LogPlace, Place, Source
from antiphon.violations import Violation
from eventstore.commits import parse_commit_id
from projections.builds import RESERVED, Builds, Registered
from projections.views import HEAD

NO_COMMIT = "no commit of the log belongs to this item"
NO_AGGREGATE = "the log has no commit of the aggregate of this item"


@dataclass(slots=True, kw_only=True)
class Strays:
    """Looks through the tables of a system; counts what it sees."""

    source: Source
    registered: Registered
    views: int = 0
    answers: int = 0
    _known: dict[str, Builds] = field(default_factory=dict)

    def find(self) -> Iterator[Violation]:
        """Yield every item of every region that belongs to nothing."""
        for region in self.source.regions:
            for page in self.source.pages(region, "events"):
                yield from self._commits(region, page)
            for page in self.source.pages(region, "views"):
                yield from self._views(region, page)
            for page in self.source.pages(region, "responses"):
                yield from self._answers(region, page)

    def _commits(self, region: str, page: Sequence[Item]) -> Iterator[Violation]:
        places = {(str(item["a"]["S"]), int(item["q"]["N"])) for item in page}
        for aggregate_id, position in sorted(places - self.source.in_log(places)):
            key = f"{aggregate_id}.{position}"
            text = "this commit is in this region and not in the log"
            yield Violation(kind="log", where=region, key=key, text=text)

    def _answers(self, region: str, page: Sequence[Item]) -> Iterator[Violation]:
        self.answers += len(page)
        places = {str(item["c"]["S"]): parse_commit_id(str(item["c"]["S"])) for item in page}
        there = self.source.in_log(place for place in places.values() if place is not None)
        for commit_id, place in places.items():
            if place not in there:
                text = "there is an answer, but no such commit in the log"
                yield Violation(kind="answer", where=region, key=commit_id, text=text)

    def _views(self, region: str, page: Sequence[Item]) -> Iterator[Violation]:
        needed: dict[Place, LogPlace] = {}
        for item in page:
            place = (str(item["k"]["S"]), str(item["s"]["S"]))
            name, _, rest = place[0].partition("#")
            label, _, aggregate_id = rest.partition("#")
            if name == RESERVED:
                continue
            self.views += 1
            if label in self._builds(region).spare(name):
                continue
            if not self._is_held(region, f"{name}#{label}", aggregate_id):
                yield _violation(region, place, "no version of a read model has this item")
                continue
            position = _position(place[1], item)
            if position is None:
                yield _violation(region, place, NO_COMMIT)
            else:
                needed[place] = (aggregate_id, position)
        there = self.source.in_log(needed.values())
        for place, needs in needed.items():
            if needs not in there:
                yield from self._without_commit(region, place, needs[0])

    def _without_commit(self, region: str, place: Place, aggregate_id: str) -> Iterator[Violation]:
        if not self.source.log_of(aggregate_id):
            yield _violation(region, place, NO_AGGREGATE)
        elif place[1] != HEAD:
            # A head of an aggregate that there is was held against its history.
            yield _violation(region, place, NO_COMMIT)

    def _is_held(self, region: str, build: str, aggregate_id: str) -> bool:
        """Say whether readers get this, or may be given it; asked again if it seems not so."""
        for fresh in (False, True):
            builds = self._builds(region, fresh=fresh)
            if any(b.build == build and b.covers(aggregate_id) for b in builds.written()):
                return True
            if fresh and build.partition("#")[2] in builds.spare(build.partition("#")[0]):
                return True
        return False

    def _builds(self, region: str, *, fresh: bool = False) -> Builds:
        if fresh or region not in self._known:
            self._known[region] = Builds(self.registered, self.source.build_states(region))
        return self._known[region]


def _position(sort_key: str, item: Item) -> int | None:
    """Return the position of the commit that an item stands for; None if it says none."""
    text = item.get("f", {}).get("N", "") if sort_key == HEAD else sort_key
    return int(text) if text.isdecimal() else None


def _violation(region: str, place: Place, text: str) -> Violation:
    return Violation(kind="view", where=region, key=" ".join(place), text=text)
