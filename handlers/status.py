"""What a region tells operators of itself: states, answers owed, lag, and dead letters.

Reads only, and nothing that tells of a subject: counts, times, positions and commits' ids. It is
asked of a region whether that serves or not.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.event_handler import Response

from eventstore.errors import StoreUnavailable
from handlers.access import Refused
from handlers.dependencies import Dependencies
from handlers.http import (
    ConcurrentResolver,
    json_response,
    new_resolver,
    problem_reply,
    ready,
)
from handlers.problems import problem_of_caller
from projections.owed import Behind, oldest_owed

# Owed answers that are told one by one, and that read models are held against; all are counted.
MOST_TOLD = 50

# Parts of `Dependencies` that are built before the first event.
NEEDS = ("control", "laggards", "letters")


def make_handler(deps: Dependencies) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of `GET /status` (payload format 2.0)."""
    app = new_resolver()
    add_route(app, deps)
    ready(app)

    def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
        try:
            deps.access.by_http(event).check_operates()
        except Refused as refused:
            return problem_reply(problem_of_caller(refused))
        return app.resolve(event, context)

    return handle


def add_route(app: ConcurrentResolver, deps: Dependencies) -> None:
    """Add the one route; whoever describes the API has it, too."""

    @app.get(
        "/status",
        summary="How is this region: states, answers owed, lag, dead letters?",
        description=(
            "`states` as this region knows them, in EVENTUAL mode with the `homes`; `pending` "
            "counts the answers owed here, and "
            "`held` tells the first ones due with the regions that have applied them; `lags` how "
            "many of those a read model lacks; `unreached` the regions that could not be asked; "
            "`letters` the dead letters that wait, by source."
        ),
        tags=["about"],
    )
    def status() -> Response[str]:
        return json_response(_told(deps))


def _told(deps: Dependencies) -> dict[str, Any]:
    settings, now_ms = deps.settings, deps.edge.now_ms()
    topology = deps.control.known()
    owed = oldest_owed(
        deps.dynamodb(settings.region),
        table=settings.responses_table,
        regions=settings.regions,
        limit=MOST_TOLD,
    )
    backlog = deps.responses_of(settings.region).backlog()
    lags, silent = deps.laggards.look(owed, settings.regions)
    waiting = Counter(deps.letters.sources_waiting())
    return {
        "region": settings.region,
        "regions": settings.regions,
        "mode": settings.mode,
        "at_ms": now_ms,
        "states": {region: topology.state(region) for region in settings.regions},
        "serving": topology.serving,
        "homes": _homes(deps),
        "pending": backlog.pending,
        "oldest_due_ms": backlog.first_due_ms,
        "held": [
            {
                "commit": one.commit_id,
                "due_ms": one.first_due_ms,
                "applied_at_ms": one.applied_at_ms,
            }
            for one in owed
        ],
        "lags": [_lag(one, now_ms=now_ms) for one in lags],
        "unreached": silent,
        "letters": {"waiting": waiting.total(), "by_source": dict(sorted(waiting.items()))},
    }


def _homes(deps: Dependencies) -> dict[str, dict[str, int]] | None:
    """Return of each region how many slots it is home of, is to give away, and was evicted from.

    None in STRONG mode, where any region appends, and while the homes cannot be read.
    """
    if not deps.has_homes:
        return None
    try:
        slots = deps.homes.current().slots
    except StoreUnavailable:
        return None
    return {
        region: {
            "slots": sum(one.home == region for one in slots),
            "leaving": sum(one.home == region and one.to is not None for one in slots),
            "evicted_from": sum(one.taken_from == region for one in slots),
        }
        for region in deps.settings.regions
    }


def _lag(behind: Behind, *, now_ms: int) -> dict[str, Any]:
    oldest_ms = None if behind.since_ms is None else max(0, now_ms - behind.since_ms)
    return {
        "region": behind.region,
        "projection": behind.projection,
        "behind": behind.commits,
        "overdue_ms": oldest_ms,
    }
