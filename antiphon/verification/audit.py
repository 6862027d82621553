"""One pass over a system's items: every aggregate's history, views and answers together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import orjson
from pydantic import BaseModel

from antiphon.verification.answers import Answers
from antiphon.verification.histories import LOG, Item, histories
from antiphon.verification.views import Views
from antiphon.violations import Violation
from domain.registry import Registry
from eventstore.identity import Keys
from projections.projection import Projection
from projections.regions import Topology

EMPTY = "the log is empty: nothing to verify; play a feed first"


@dataclass(frozen=True, kw_only=True)
class RegionItems:
    """The raw items of one region: its replica of the log, its views, its responses."""

    replica: Iterable[Item]
    views: Iterable[Item]
    responses: Iterable[Item]


class Verdict(BaseModel):
    """What an audit looked at, and what was wrong."""

    aggregates: int
    commits: int
    events: int
    views: int
    answers: int
    violations: list[Violation]

    @property
    def good(self) -> bool:
        """Whether everything is as promised."""
        return not self.violations


def audit(
    log: Iterable[Item],
    regions: Mapping[str, RegionItems],
    *,
    projections: Sequence[Projection],
    registry: Registry,
    keys: Keys,
    now_ms: int,
    topology: Topology,
) -> Verdict:
    """Check a whole system at rest.

    Args:
        log: every item of the event table, strongly consistent; items of one aggregate
            together, as a scan gives them. Streamed.
        regions: what each region holds. Kept in memory, as the log refers to it by key.
        projections: the read models that every region must have.
        registry: the aggregates of the log.
        keys: the installation's keys, for the ids that answers and lists must have.
        now_ms: now, in ms since 1970; answers of old commits may have expired.
        topology: the regions' states; a region that is lost need not be among `regions`.

    """
    replicas = _Replicas({region: items.replica for region, items in regions.items()})
    views = Views(
        {region: items.views for region, items in regions.items()},
        projections=projections,
        registry=registry,
        keys=keys,
    )
    answers = Answers(
        {region: items.responses for region, items in regions.items()},
        keys=keys,
        now_ms=now_ms,
        topology=topology,
    )
    verdict = Verdict(
        aggregates=0, commits=0, events=0, views=views.count, answers=answers.count, violations=[]
    )
    found = verdict.violations
    for history in histories(replicas.compared(log, found), registry=registry):
        verdict.aggregates += 1
        verdict.commits += len(history.commits)
        verdict.events += sum(len(commit.events) for commit in history.commits)
        found += [*history.violations, *views.check(history), *answers.check(history)]
    found += [*replicas.leftover(), *views.leftover(), *answers.leftover()]
    if not verdict.commits:
        found.insert(0, Violation(kind="log", where=LOG, key="antiphon-events", text=EMPTY))
    return verdict


class _Replicas:
    """The event table as each region has it, kept as digests by key."""

    def __init__(self, replicas: Mapping[str, Iterable[Item]]) -> None:
        self._digests = {
            region: {_place(item): _digest(item) for item in items}
            for region, items in replicas.items()
        }

    def compared(self, log: Iterable[Item], found: list[Violation]) -> Iterator[Item]:
        """Pass the log through, noting where a region's replica has something else."""
        for item in log:
            place, digest = _place(item), _digest(item)
            for region, digests in self._digests.items():
                replica = digests.pop(place, None)
                if replica is None:
                    found.append(_not_replicated(region, place, "has not reached this region"))
                elif replica != digest:
                    found.append(_not_replicated(region, place, "differs in this region"))
            yield item

    def leftover(self) -> Iterator[Violation]:
        """Yield what a replica holds that the log does not."""
        for region, digests in self._digests.items():
            for place in digests:
                yield _not_replicated(region, place, "is in this region and not in the log")


def _not_replicated(region: str, place: str, what: str) -> Violation:
    return Violation(kind="log", where=region, key=place, text=f"this commit {what}")


def _place(item: Item) -> str:
    return f"{item['a']['S']}.{item['q']['N']}"


def _digest(item: Item) -> bytes:
    canonical = orjson.dumps(item, option=orjson.OPT_SORT_KEYS, default=bytes.hex)
    return blake2b(canonical, digest_size=16).digest()
