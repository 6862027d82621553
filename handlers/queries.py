"""The query API of one region: views at the consistency that the reader asks for.

Queries never touch the write side, but where the caller asks for it: `consistency=strong`
and `GET /commands/{commit}`.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import orjson
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from pydantic import StringConstraints

from domain.identifiers import ElementId, Imsi, Msisdn, Site
from domain.network_element import NETWORK_ELEMENT
from domain.subscriber import SUBSCRIBER
from eventstore.commits import Commit, parse_commit_id
from eventstore.consistency import read_token, token_of
from eventstore.errors import InvalidToken, StoreUnavailable
from handlers.dependencies import Dependencies
from handlers.envelope import CommandReader
from handlers.http import ConcurrentResolver, new_resolver, problem, unknown
from handlers.openapi import docs_page, document
from projections.activity import ACTIVITY
from projections.answers import iso
from projections.network_inventory import BY_SITE, NETWORK_INVENTORY, site_key
from projections.projection import Projection
from projections.reading import Reading
from projections.subscriber_view import (
    BY_MSISDN,
    BY_STATUS,
    SUBSCRIBER_VIEW,
    msisdn_key,
    status_key,
)
from projections.views import Page

MAX_WAIT_MS = 20_000
MAX_LIMIT = 200

Consistency = Annotated[
    Literal["eventual", "strong"], Query(description="What this region has, or the log's head")
]
Token = Annotated[
    str | None, Header(alias="Consistency-Token", description="At least as fresh as this")
]
WaitMs = Annotated[int, Query(ge=0, le=MAX_WAIT_MS, description="How long to wait for the token")]
OnTimeout = Annotated[Literal["fail", "stale"], Query(description="What then: 503, or stale")]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[str | None, Query(max_length=1000, description="`next` of the page before")]
CommitId = Annotated[str, StringConstraints(min_length=3, max_length=128), Path()]


def make_handler(deps: Dependencies) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return the handler of every GET route (payload format 2.0)."""
    app = new_resolver()
    _subscribers(app, deps)
    _network_elements(app, deps)
    _commands(app, deps)
    _about(app, deps)
    return app.resolve


def _subscribers(app: ConcurrentResolver, deps: Dependencies) -> None:
    tag = SUBSCRIBER.tag

    @app.get("/subscribers/<imsi>", summary="One subscriber", tags=["subscribers"])
    def subscriber(
        imsi: Annotated[Imsi, Path()],
        consistency: Consistency = "eventual",
        consistency_token: Token = None,
        wait_ms: WaitMs = 2000,
        on_timeout: OnTimeout = "fail",
    ) -> Response[str]:
        return _one(
            deps,
            SUBSCRIBER_VIEW,
            deps.keys.aggregate_id(tag, imsi),
            what="subscriber",
            consistency=consistency,
            token=consistency_token,
            wait_s=wait_ms / 1000,
            stale_on_timeout=on_timeout == "stale",
        )

    @app.get("/subscribers", summary="Subscribers by number or status", tags=["subscribers"])
    def subscribers(
        msisdn: Annotated[Msisdn | None, Query()] = None,
        status: Annotated[Literal["active", "suspended", "terminated"] | None, Query()] = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> Response[str]:
        if (msisdn is None) == (status is None):
            return problem(422, "invalid", "give either msisdn or status")
        if msisdn is not None:
            index, value = BY_MSISDN, msisdn_key(deps.keys, msisdn)
        else:
            index, value = BY_STATUS, status_key(str(status))
        return _listed(deps, SUBSCRIBER_VIEW, index, value, limit=limit, cursor=cursor)

    @app.get("/subscribers/<imsi>/timeline", summary="What happened", tags=["subscribers"])
    def timeline(
        imsi: Annotated[Imsi, Path()], limit: Limit = 50, cursor: Cursor = None
    ) -> Response[str]:
        aggregate_id = deps.keys.aggregate_id(tag, imsi)
        return _timeline(deps, aggregate_id, limit=limit, cursor=cursor)


def _network_elements(app: ConcurrentResolver, deps: Dependencies) -> None:
    tag = NETWORK_ELEMENT.tag

    @app.get("/network-elements/<element_id>", summary="One element", tags=["network elements"])
    def network_element(
        element_id: Annotated[ElementId, Path()],
        consistency: Consistency = "eventual",
        consistency_token: Token = None,
        wait_ms: WaitMs = 2000,
        on_timeout: OnTimeout = "fail",
    ) -> Response[str]:
        return _one(
            deps,
            NETWORK_INVENTORY,
            deps.keys.aggregate_id(tag, element_id),
            what="network element",
            consistency=consistency,
            token=consistency_token,
            wait_s=wait_ms / 1000,
            stale_on_timeout=on_timeout == "stale",
        )

    @app.get("/network-elements", summary="Elements of a site", tags=["network elements"])
    def network_elements(
        site: Annotated[Site, Query()], limit: Limit = 50, cursor: Cursor = None
    ) -> Response[str]:
        value = site_key(site)
        return _listed(deps, NETWORK_INVENTORY, BY_SITE, value, limit=limit, cursor=cursor)

    @app.get(
        "/network-elements/<element_id>/timeline",
        summary="What happened",
        tags=["network elements"],
    )
    def timeline(
        element_id: Annotated[ElementId, Path()], limit: Limit = 50, cursor: Cursor = None
    ) -> Response[str]:
        aggregate_id = deps.keys.aggregate_id(tag, element_id)
        return _timeline(deps, aggregate_id, limit=limit, cursor=cursor)


def _commands(app: ConcurrentResolver, deps: Dependencies) -> None:
    @app.get("/commands/<commit>", summary="What became of a command", tags=["commands"])
    def command(commit: CommitId) -> Response[str]:
        place = parse_commit_id(commit)
        if place is None:
            return unknown("command")
        found = deps.log.get(*place, consistent=False) or deps.log.get(*place, consistent=True)
        return unknown("command") if found is None else _json(_status(deps, found))


def _about(app: ConcurrentResolver, deps: Dependencies) -> None:
    commands = CommandReader(deps.registry, max_bytes=deps.settings.body_bytes)

    @app.get("/health", summary="Is this region serving?", tags=["about"])
    def health() -> Response[str]:
        settings = deps.settings
        told = {"status": "ok", "region": settings.region, "regions": settings.regions}
        return _json(told | {"mode": settings.mode})

    @app.get("/openapi.json", include_in_schema=False)
    def openapi() -> Response[str]:
        return _json(document(app, commands))

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response[str]:
        return Response(200, "text/html; charset=utf-8", docs_page(document(app, commands)))


def _one(
    deps: Dependencies,
    projection: Projection,
    aggregate_id: str,
    *,
    what: str,
    consistency: str,
    token: str | None,
    wait_s: float,
    stale_on_timeout: bool,
) -> Response[str]:
    if token is not None:
        named = read_token(deps.keys, token)
        if named.aggregate_id != aggregate_id:
            raise InvalidToken(f"the consistency token is of another aggregate, not this {what}")
    if consistency == "strong":
        reading = deps.reader.strong(projection, aggregate_id)
    elif token is not None:
        reading = deps.reader.at_least(
            projection, aggregate_id, token=named, wait_s=wait_s, stale_on_timeout=stale_on_timeout
        )
    else:
        reading = deps.reader.eventual(projection, aggregate_id)
    if reading.document is None and not reading.stale:
        return unknown(what)
    return _json(_told(deps, reading))


def _told(deps: Dependencies, reading: Reading) -> dict[str, Any]:
    return {
        **(reading.document or {}),
        "applied_sequence": reading.applied_sequence,
        "region": deps.settings.region,
        "consistency_token": reading.consistency_token,
        "stale": reading.stale,
    }


def _listed(
    deps: Dependencies,
    projection: Projection,
    index: str,
    value: str,
    *,
    limit: int,
    cursor: str | None,
) -> Response[str]:
    scope = f"{projection.key('')}{index}{value}"
    start = _start(deps, scope, cursor)
    page = deps.views_of(deps.settings.region).listed(
        projection, index=index, value=value, limit=limit, start=start
    )
    return _page(deps, scope, page)


def _timeline(
    deps: Dependencies, aggregate_id: str, *, limit: int, cursor: str | None
) -> Response[str]:
    start = _start(deps, aggregate_id, cursor)
    views = deps.views_of(deps.settings.region)
    page = views.rows(ACTIVITY, aggregate_id, limit=limit, start=start)
    if not page.documents and cursor is None:
        return unknown("timeline")
    return _page(deps, aggregate_id, page)


def _start(deps: Dependencies, scope: str, cursor: str | None) -> Any:
    """Return where a page starts; a cursor is sealed together with the list it belongs to."""
    if cursor is None:
        return None
    payload = deps.keys.unseal(cursor)
    if payload is None:
        raise InvalidToken("the cursor was not issued here, or it is damaged")
    of_scope, start = orjson.loads(payload)
    if of_scope != scope:
        raise InvalidToken("the cursor belongs to another list")
    return start


def _page(deps: Dependencies, scope: str, page: Page) -> Response[str]:
    following = None
    if page.following is not None:
        following = deps.keys.seal(orjson.dumps([scope, page.following]))
    told = {"items": page.documents, "next": following, "region": deps.settings.region}
    return _json(told)


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
    try:
        response = deps.responses_of(commit.origin).get(commit.commit_id)
    except StoreUnavailable:
        return told | {"origin_reachable": False}
    if response is not None:
        acknowledged = sorted(response.applied_at_ms.items())
        told["acknowledgements"] = {region: iso(at_ms) for region, at_ms in acknowledged}
    if response is not None and response.body is not None:
        told["answer"] = orjson.loads(response.body)
        told["status"] = "answered" if commit.outcome == "accepted" else commit.outcome
    return told | {"origin_reachable": True}


def _json(told: Any) -> Response[str]:
    return Response(200, "application/json", orjson.dumps(told).decode())
