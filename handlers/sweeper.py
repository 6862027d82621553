"""The schedule's call, once a minute: one sweep over overdue answers, and what is to be counted.

The counts are taken whether the sweep could be made or not, so their lack says that nobody looks.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from aws_lambda_powertools import Logger

from eventstore.errors import StoreUnavailable, described
from handlers.dependencies import Dependencies
from handlers.measuring import of_answers, of_backlog, of_lagging
from handlers.metrics import REBUILT_COMMITS, Measured
from projections.builds import Phase
from projections.failures import SWEEPER

logger = Logger(service="sweeper")

# Parts of `Dependencies` that are built before the first event.
NEEDS = ("sweeper",)


def make_handler(deps: Dependencies) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of the schedule; its result says what the sweep did."""

    def handle(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
        try:
            swept = deps.sweeper.sweep()
        except StoreUnavailable as unknown:
            _count(deps)
            logger.warning("nothing swept", reason=described(unknown))
            return {"looked_at": 0, "answered": 0, "lagging": {}}
        deps.meter.tell(chain(of_lagging(swept.lagging), of_answers(swept.published)))
        _count(deps)
        told = {
            "looked_at": swept.looked_at,
            "answered": swept.answered,
            "lagging": dict(swept.lagging),
        }
        for commit_id, error in swept.unanswerable.items():
            logger.error("cannot be answered", commit=commit_id, reason=described(error))
        deps.file_unanswerable(swept.unanswerable, source=SWEEPER)
        if swept.looked_at:
            logger.warning("overdue answers", extra=told)
        return told

    return handle


def _count(deps: Dependencies) -> None:
    """Tell what there is to do in this region; each by itself, whatever becomes of the other."""
    deps.meter.tell(_backlog(deps))
    deps.meter.tell(_rebuilds(deps))


def _backlog(deps: Dependencies) -> Iterator[Measured]:
    backlog = deps.responses_of(deps.settings.region).backlog()
    yield from of_backlog(backlog, now_ms=deps.edge.now_ms())


def _rebuilds(deps: Dependencies) -> Iterator[Measured]:
    builds = deps.builds_of(deps.settings.region).current()
    building = {
        projection.name
        for projection in deps.projections
        if builds.state(projection.name).phase in {Phase.FILLING, Phase.BOTH}
    }
    for name in sorted(building):
        done = sum(one.commits for one in deps.rebuild.progress(name))
        yield Measured(REBUILT_COMMITS, done, {"projection": name})
