"""The way of one Event A through all regions, put together from what is stored of it. Pure.

Times are those of the clocks of the regions where the steps were gone. A step that seems to
come before its cause is told as one whose clock is wrong, never as a fact. What is not known
is said to be missing, with the reason where there is one.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import orjson
from pydantic import BaseModel

from eventstore.commits import Commit
from projections.regions import RegionState, Topology
from projections.response_items import Response
from projections.ways import Way

Step = Literal[
    "came in", "decided", "committed", "arrived", "applied", "acknowledged", "answer built",
    "published",
]  # fmt: skip


class Look(BaseModel):
    """What a region itself shows of a commit now.

    Attributes:
        silent: why it could not be asked, None if it was.
        replicated: its own replica of the log has the commit.
        applied: each projection that shows the aggregate, by name: whether it has the commit.
        left_aside: all of them are on a later branch without it, as can be in EVENTUAL mode.

    """

    region: str
    silent: str | None = None
    replicated: bool = False
    applied: dict[str, bool] = {}
    left_aside: bool = False

    @property
    def lacking(self) -> tuple[str, ...]:
        """The projections that have not applied it yet."""
        return tuple(name for name, has in self.applied.items() if not has)


class Stage(BaseModel):
    """One step of the way.

    Attributes:
        region: where it was gone, and whose clock tells the time.
        projection: which one applied it.
        at_ms: when, in ms since 1970.
        after_ms: in ms after the command came in.
        since_ms: the same of the step that it followed from.
        clock_wrong: it seems to come before that one: the clocks of the two differ.

    """

    region: str
    step: Step
    projection: str | None = None
    at_ms: int
    after_ms: int
    since_ms: int

    @property
    def clock_wrong(self) -> bool:
        return self.after_ms < self.since_ms


class Trace(BaseModel):
    """All that is known of the way of one command."""

    commit: str
    aggregate_id: str
    sequence: int
    type: str
    command_id: str
    producer: str
    outcome: str
    origin: str
    answering: str
    correlation_id: str
    traceparent: str | None
    came_in_at_ms: int
    answer_kept: bool
    published_at_ms: int | None
    stages: list[Stage]
    missing: list[str]


def trace_of(
    commit: Commit,
    response: Response | None,
    looks: Mapping[str, Look],
    *,
    topology: Topology,
    answer_may_be_gone: bool,
) -> Trace:
    """Put the way of a commit together.

    Args:
        commit: from the log.
        response: what the answering region has of the answer, if anything.
        looks: what each region shows, in the order in which they are to be told.
        topology: the regions' states now.
        answer_may_be_gone: the commit is so old that its answer may have expired.

    """
    answering = topology.answering_region(commit.origin)
    came_in_ms, body = commit.command.received_at_ms, response.body if response else None
    return Trace(
        commit=commit.commit_id,
        aggregate_id=commit.aggregate_id,
        sequence=commit.sequence,
        type=commit.command.type,
        command_id=commit.command.command_id,
        producer=commit.command.producer,
        outcome=orjson.loads(body)["outcome"] if body else commit.outcome,
        origin=commit.origin,
        answering=answering,
        correlation_id=commit.correlation_id,
        traceparent=commit.traceparent,
        came_in_at_ms=came_in_ms or commit.recorded_at_ms,
        answer_kept=response is not None,
        published_at_ms=response.published_at_ms if response else None,
        stages=list(_stages(commit, response, looks, answering=answering)),
        missing=list(
            _missing(
                response,
                looks,
                topology=topology,
                answering=answering,
                may_be_gone=answer_may_be_gone,
            )
        ),
    )


class _Path:
    """Makes stages, each measured from when the command came in."""

    def __init__(self, began_ms: int) -> None:
        self._began_ms = began_ms

    def stage(
        self, region: str, step: Step, *, at_ms: int, since_ms: int, projection: str | None = None
    ) -> Stage:
        return Stage(
            region=region,
            step=step,
            projection=projection,
            at_ms=at_ms,
            after_ms=at_ms - self._began_ms,
            since_ms=since_ms - self._began_ms,
        )


def _stages(
    commit: Commit, response: Response | None, looks: Mapping[str, Look], *, answering: str
) -> Iterator[Stage]:
    origin, decided_ms = commit.origin, commit.recorded_at_ms
    came_in_ms = commit.command.received_at_ms
    path = _Path(decided_ms if came_in_ms is None else came_in_ms)
    if came_in_ms is not None:
        yield path.stage(origin, "came in", at_ms=came_in_ms, since_ms=came_in_ms)
    began_ms = decided_ms if came_in_ms is None else came_in_ms
    yield path.stage(origin, "decided", at_ms=decided_ms, since_ms=began_ms)
    if response is None:
        return
    told = [way.committed for way in response.ways.values() if way.committed is not None]
    committed_ms = decided_ms + min(told, default=0)
    if told:
        yield path.stage(origin, "committed", at_ms=committed_ms, since_ms=decided_ms)
    last_ms = committed_ms
    for region in (*looks, *(r for r in response.applied_at_ms if r not in looks)):
        through = list(_through(region, commit, response, path, since_ms=committed_ms))
        yield from through
        last_ms = max([last_ms, *(stage.at_ms for stage in through)])
    if response.stored_at_ms is not None:
        built_ms = response.stored_at_ms
        yield path.stage(answering, "answer built", at_ms=built_ms, since_ms=last_ms)
        if (published_ms := response.published_at_ms) is not None:
            yield path.stage(answering, "published", at_ms=published_ms, since_ms=built_ms)


def _through(
    region: str, commit: Commit, response: Response, path: _Path, *, since_ms: int
) -> Iterator[Stage]:
    """Yield the steps in one region, in the order of its clock."""
    way, decided_ms = response.ways.get(region, Way()), commit.recorded_at_ms
    if way.arrived is not None:
        arrived_ms = decided_ms + way.arrived
        yield path.stage(region, "arrived", at_ms=arrived_ms, since_ms=since_ms)
        since_ms = arrived_ms
    began_ms = since_ms
    for projection, offset in sorted(way.applied.items(), key=lambda one: one[1]):
        at_ms = decided_ms + offset
        yield path.stage(region, "applied", at_ms=at_ms, since_ms=began_ms, projection=projection)
        since_ms = max(since_ms, at_ms)
    if not way.applied and region in response.applied_at_ms:
        # All that was told: that it had applied it by then.
        at_ms = response.applied_at_ms[region]
        yield path.stage(region, "applied", at_ms=at_ms, since_ms=began_ms)
        since_ms = max(since_ms, at_ms)
    if way.heard is not None:
        heard_ms = decided_ms + way.heard
        yield path.stage(region, "acknowledged", at_ms=heard_ms, since_ms=since_ms)


def _missing(
    response: Response | None,
    looks: Mapping[str, Look],
    *,
    topology: Topology,
    answering: str,
    may_be_gone: bool,
) -> Iterator[str]:
    acknowledged = response.applied_at_ms if response else {}
    published = response is not None and response.published_at_ms is not None
    for look in looks.values():
        yield from _missing_in(look, topology)
        applied = not look.silent and look.replicated and not look.lacking
        if applied and response is not None and not published and look.region not in acknowledged:
            yield f"applied in {look.region}, and not yet acknowledged to {answering}"
    if response is None:
        silent = looks[answering].silent if answering in looks else None
        if silent:
            yield f"what became of the answer is not known: {answering} {silent}"
        elif may_be_gone:
            yield f"the answer is not kept any more in {answering}: published answers expire"
        else:
            yield f"{answering} does not know yet that it has to answer this"
        return
    lacks = sorted(response.lacks(topology.required(answering)))
    if response.body is None:
        waits = f", it waits for {_and(lacks)}" if lacks else ""
        yield f"no answer yet{waits}"
    elif not published:
        yield f"the answer is not yet published in {answering}"


def _missing_in(look: Look, topology: Topology) -> Iterator[str]:
    drained = look.region in topology.standings and (
        topology.state(look.region) is RegionState.DRAINED
    )
    waited = ", which is drained and not waited for" if drained else ""
    if look.silent:
        yield f"{look.region} {look.silent}: what it has applied is not known{waited}"
    elif not look.replicated:
        yield f"not yet in the log as {look.region} has it{waited}"
    if look.left_aside:
        yield f"left aside in {look.region}: a later branch goes on without it{waited}"
    elif look.lacking and not look.silent:
        yield f"not yet applied in {look.region}{waited}: {_and(look.lacking)}"


def _and(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
