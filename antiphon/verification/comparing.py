"""Some aggregates held against what every region has of them, in one look.

What the regions have is gathered first, and the history that it is held against is read
after that, or looked at again: so no region can seem to be ahead of a log that only was read
too early. Memory is what these aggregates have.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from antiphon.verification.answers import Answers
from antiphon.verification.histories import History
from antiphon.verification.source import Finding, Item, Place, Source
from antiphon.verification.views import Views, keys_of
from antiphon.violations import Violation
from domain.registry import Registry
from eventstore.identity import Keys
from projections.builds import Builds, Registered
from projections.regions import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What one region has of some aggregates."""

    builds: Builds
    views: Mapping[Place, Item]
    replica: Mapping[str, Item]
    responses: Mapping[str, Item]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What all regions have of some aggregates, and the regions' states after that."""

    regions: Mapping[str, Held]
    topology: Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """Gathers and compares. `now_ms` is the wall clock: answers of old commits may have expired.

    In what follows `due` tells, by aggregate, up to which position its commits are asked for.
    """

    source: Source
    registered: Registered
    registry: Registry
    keys: Keys
    now_ms: Callable[[], int]

    def gather(self, histories: Sequence[History], due: Mapping[str, int]) -> Gathered:
        """Read what every region has of these aggregates."""
        regions = self.source.regions
        with ThreadPoolExecutor(max(len(regions), 1), thread_name_prefix="gather") as pool:
            held = pool.map(lambda region: self._gather(region, histories, due), regions)
            by_region = dict(zip(regions, held, strict=True))
        return Gathered(regions=by_region, topology=self.source.topology())

    def _gather(self, region: str, histories: Sequence[History], due: Mapping[str, int]) -> Held:
        builds = Builds(self.registered, self.source.build_states(region))
        wanted = [(history, due[history.aggregate_id]) for history in histories]
        places = [item for h, upto in wanted for item in h.items if int(item["q"]["N"]) <= upto]
        views = [key for h, upto in wanted for key in keys_of(h, builds, due=upto)]
        answers = [{"c": {"S": c.commit_id}} for h, upto in wanted for c in h.due(upto)]
        return Held(
            builds=builds,
            views={
                (str(item["k"]["S"]), str(item["s"]["S"])): item
                for item in self.source.get(region, "views", views)
            },
            replica={_place(item): item for item in self.source.get(region, "events", places)},
            responses={
                str(item["c"]["S"]): item for item in self.source.get(region, "responses", answers)
            },
        )

    def findings(self, history: History, gathered: Gathered, *, due: int) -> Iterator[Finding]:
        """Yield what is not right with one aggregate."""
        yield from (Finding(violation=violation) for violation in history.violations)
        for region, held in gathered.regions.items():
            yield from _replicated(history, region, held, due=due)
        views = Views(registry=self.registry, keys=self.keys)
        at = {region: (held.builds, held.views) for region, held in gathered.regions.items()}
        yield from views.check(history, at, due=due)
        answers = Answers(
            regions=tuple(gathered.regions),
            topology=gathered.topology,
            keys=self.keys,
            now_ms=self.now_ms(),
        )
        kept = {region: held.responses for region, held in gathered.regions.items()}
        yield from answers.check(history, kept, due=due)


def _replicated(history: History, region: str, held: Held, *, due: int) -> Iterator[Finding]:
    for item in history.items:
        if int(item["q"]["N"]) > due:
            return
        replica = held.replica.get(_place(item))
        if replica is None:
            violation = _not_replicated(region, item, "has not reached this region")
            yield Finding(violation=violation, late=True, concerns=frozenset({region}))
        elif _digest(replica) != _digest(item):
            yield Finding(violation=_not_replicated(region, item, "differs in this region"))


def _not_replicated(region: str, item: Item, what: str) -> Violation:
    return Violation(kind="log", where=region, key=_place(item), text=f"this commit {what}")


def _place(item: Item) -> str:
    return f"{item['a']['S']}.{item['q']['N']}"


def _digest(item: Item) -> bytes:
    canonical = orjson.dumps(item, option=orjson.OPT_SORT_KEYS, default=bytes.hex)
    return blake2b(canonical, digest_size=16).digest()
