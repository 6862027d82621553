"""The query API of one region: views at the consistency that the reader asks for.

Queries never touch the write side, but where the caller asks for it: `consistency=strong`,
history, and `GET /commands/{commit}`. A region that is known not to be active answers none.
Where the states cannot be read now it goes by the last ones that could: a read with a token or
a strong one proves itself, and `eventual` promises nothing.
"""

from collections.abc import Callable
from typing import Annotated, Any

import orjson
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from pydantic import StringConstraints

from eventstore.commits import Commit, parse_commit_id
from eventstore.consistency import token_of
from eventstore.errors import StoreUnavailable
from handlers.access import Refused
from handlers.dependencies import Dependencies
from handlers.envelope import CommandReader
from handlers.http import (
    ConcurrentResolver,
    json_response,
    new_resolver,
    problem_reply,
    ready,
    unknown,
)
from handlers.problems import problem_of, problem_of_caller
from handlers.resources import add_routes
from projections.answers import iso, status_of
from projections.regions import NotServing, RegionState

# Parts of `Dependencies` that are built before the first event.
NEEDS = ("reader", "control")

CommitId = Annotated[str, StringConstraints(min_length=3, max_length=128), Path()]


# Asked of a region whether it serves or not, and by callers without a grant to read.
_ABOUT = frozenset({"/health", "/openapi.json", "/docs"})


def make_handler(deps: Dependencies) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of every GET route (payload format 2.0)."""
    app = new_resolver()
    for resource in deps.catalog.resources:
        add_routes(app, deps, resource)
    _commands(app, deps)
    _about(app, deps)
    ready(app)

    def handle(event: dict[str, Any], context: Any) -> dict[str, Any]:
        try:
            if event["rawPath"] not in _ABOUT:
                deps.access.by_http(event).check_reads()
                deps.control.known().check_serves(deps.settings.region)
        except Refused as refused:
            return problem_reply(problem_of_caller(refused))
        except NotServing as error:
            return problem_reply(problem_of(error))
        return app.resolve(event, context)

    return handle


def _commands(app: ConcurrentResolver, deps: Dependencies) -> None:
    @app.get("/commands/<commit>", summary="What became of a command", tags=["commands"])
    def command(commit: CommitId) -> Response[str]:
        place = parse_commit_id(commit)
        if place is None:
            return unknown("command")
        found = deps.commit_at(*place)
        return unknown("command") if found is None else json_response(_status(deps, found))


def _about(app: ConcurrentResolver, deps: Dependencies) -> None:
    def told() -> dict[str, Any]:
        # The document's models take longer to build than everything else here together, and few
        # ask for it: they are imported when somebody does.
        from handlers.openapi import document  # noqa: PLC0415
        from handlers.status import add_route  # noqa: PLC0415

        commands = CommandReader(deps.registry, max_bytes=deps.settings.body_bytes)
        forgettable = tuple(f"/{r.path}/" for r in deps.catalog.resources if r.aggregate.forget)
        status = new_resolver()
        add_route(status, deps)
        return document(app, commands, forgettable=forgettable, beside=[status])

    @app.get("/health", summary="Is this region serving?", tags=["about"])
    def health() -> Response[str]:
        settings, topology = deps.settings, deps.control.known()
        state = topology.state(settings.region)
        told = {
            "status": "ok" if state is RegionState.ACTIVE else "not serving",
            "state": state,
            "region": settings.region,
            "regions": settings.regions,
            "serving": topology.serving,
            "mode": settings.mode,
        }
        # What balances between regions goes by the status and sends its requests elsewhere.
        return json_response(told, 200 if state is RegionState.ACTIVE else 503)

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response[str]:
        return json_response(told())

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response[str]:
        from handlers.openapi import docs_page  # noqa: PLC0415 - as above

        return Response(200, "text/html; charset=utf-8", docs_page(told()))


_ANSWERED = {"accepted": "answered", "rejected": "rejected", "unchanged": "unchanged"}


def _status(deps: Dependencies, commit: Commit) -> dict[str, Any]:
    """Return what became of a command, with the answer if its region of origin can be asked."""
    told: dict[str, Any] = {
        "status": commit.outcome,
        "commit": commit.commit_id,
        "aggregate_id": commit.aggregate_id,
        "sequence": commit.sequence,
        "consistency_token": token_of(deps.keys, commit),
        "origin": commit.origin,
        "region": deps.settings.region,
        "recorded_at": iso(commit.recorded_at_ms),
        "acknowledgements": {},
        "answer": None,
    }
    if commit.origin not in deps.settings.regions:
        return told | {"origin_reachable": False}
    answering = deps.control.known().answering_region(commit.origin)
    try:
        response = deps.responses_of(answering).get(commit.commit_id)
    except StoreUnavailable:
        return told | {"origin_reachable": False}
    if response is not None:
        acknowledged = sorted(response.applied_at_ms.items())
        told["acknowledgements"] = {region: iso(at_ms) for region, at_ms in acknowledged}
    if response is not None and response.published_at_ms and response.body is None:
        # Its body is gone with the subject that it told of.
        told |= {"forgotten": True, "status": _ANSWERED[commit.outcome]}
    if response is not None and response.body is not None:
        told["answer"] = orjson.loads(response.body)
        told["status"] = status_of(told["answer"])
    return told | {"origin_reachable": True}
