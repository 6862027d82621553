"""The routes of one resource: one of them, lists of them, its timeline, its history.

They are the same for every aggregate, the product's own and an extension's; only names and
types differ, and those come from its `Resource`.
"""

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Annotated, Any, Literal

import orjson
from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from pydantic import AwareDatetime

from eventstore.consistency import read_token
from eventstore.errors import InvalidToken
from eventstore.history import Past, history
from handlers.dependencies import Dependencies
from handlers.extension import ListBy, Resource
from handlers.http import ConcurrentResolver, gone, json_response, problem, unknown
from projections.activity import ACTIVITY
from projections.answers import iso
from projections.reading import Reading
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
AtSequence = Annotated[int | None, Query(ge=0, lt=10**12, description="The state up to here")]
AtTime = Annotated[AwareDatetime | None, Query(description="The state as recorded by then")]


def add_routes(app: ConcurrentResolver, deps: Dependencies, resource: Resource) -> None:
    """Add the routes of a resource to the query API."""
    one = f"/{resource.path}/<{resource.key_name}>"
    tags = [resource.path]
    name = resource.path.replace("-", "_")
    key = Parameter(
        resource.key_name,
        Parameter.KEYWORD_ONLY,
        annotation=Annotated[resource.key_type, Path()],
    )

    def aggregate_id(values: dict[str, Any]) -> str:
        return deps.keys.aggregate_id(resource.aggregate.tag, values[resource.key_name])

    def read(**values: Any) -> Response[str]:
        return _one(deps, resource, aggregate_id(values), values)

    def timeline(**values: Any) -> Response[str]:
        return _timeline(deps, aggregate_id(values), values)

    def past(**values: Any) -> Response[str]:
        return _history(deps, resource, aggregate_id(values), values)

    def listed(**values: Any) -> Response[str]:
        return _listed(deps, resource, values)

    reading = [
        key,
        _optional("consistency", Consistency, "eventual"),
        _optional("consistency_token", Token, None),
        _optional("wait_ms", WaitMs, 2000),
        _optional("on_timeout", OnTimeout, "fail"),
    ]
    paging = [_optional("limit", Limit, 50), _optional("cursor", Cursor, None)]
    when = [
        _optional("at_sequence", AtSequence, None),
        _optional("at_time", AtTime, None),
        _optional("limit", Limit, 50),
    ]
    app.get(one, summary=f"One {resource.name}", tags=tags)(_typed(read, name, reading))
    app.get(f"{one}/timeline", summary="What was asked of it, newest first", tags=tags)(
        _typed(timeline, f"{name}_timeline", [key, *paging])
    )
    app.get(f"{one}/history", summary="What it was at a sequence or time", tags=tags)(
        _typed(past, f"{name}_history", [key, *when])
    )
    if resource.lists:
        by = [
            _optional(parameter, Annotated[list_by.type | None, Query()], None)
            for parameter, list_by in resource.lists.items()
        ]
        app.get(f"/{resource.path}", summary=f"Lists by {', '.join(resource.lists)}", tags=tags)(
            _typed(listed, f"{name}_list", [*by, *paging])
        )


def _optional(name: str, annotation: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _typed(
    function: Callable[..., Response[str]], name: str, parameters: list[Parameter]
) -> Callable[..., Response[str]]:
    """Return the function with the parameters that the framework validates and documents."""
    function.__name__ = name
    function.__signature__ = Signature(parameters, return_annotation=Response[str])  # type: ignore[attr-defined]
    return function


def _one(
    deps: Dependencies, resource: Resource, aggregate_id: str, values: dict[str, Any]
) -> Response[str]:
    token = values["consistency_token"]
    named = read_token(deps.keys, token) if token is not None else None
    if named is not None and named.aggregate_id != aggregate_id:
        raise InvalidToken(
            f"the consistency token is of another aggregate, not this {resource.name}"
        )
    if values["consistency"] == "strong":
        reading = deps.reader.strong(resource.view, aggregate_id)
    elif named is not None:
        reading = deps.reader.at_least(
            resource.view,
            aggregate_id,
            token=named,
            wait_s=values["wait_ms"] / 1000,
            stale_on_timeout=values["on_timeout"] == "stale",
        )
    else:
        reading = deps.reader.eventual(resource.view, aggregate_id)
    if reading.gone:
        return gone(resource.name)
    if reading.document is None and not reading.stale:
        return unknown(resource.name)
    return json_response(_told(deps, reading))


def _told(deps: Dependencies, reading: Reading) -> dict[str, Any]:
    return {
        **(reading.document or {}),
        "applied_sequence": reading.applied_sequence,
        "region": deps.settings.region,
        "consistency_token": reading.consistency_token,
        "stale": reading.stale,
    }


def _listed(deps: Dependencies, resource: Resource, values: dict[str, Any]) -> Response[str]:
    given = [name for name in resource.lists if values[name] is not None]
    if len(given) != 1:
        choices = " or ".join(resource.lists)
        return problem(422, "invalid", f"give exactly one of these to list by: {choices}")
    list_by: ListBy = resource.lists[given[0]]
    key = list_by.key(deps.keys, values[given[0]])
    scope = f"{resource.view.key('')}{list_by.index}{key}"
    page = deps.views_of(deps.settings.region).listed(
        resource.view,
        index=list_by.index,
        value=key,
        limit=values["limit"],
        start=_start(deps, scope, values["cursor"]),
    )
    return _page(deps, scope, page)


def _timeline(deps: Dependencies, aggregate_id: str, values: dict[str, Any]) -> Response[str]:
    start = _start(deps, aggregate_id, values["cursor"])
    views = deps.views_of(deps.settings.region)
    if views.read(ACTIVITY, aggregate_id, consistent=False).gone:
        return gone("timeline")
    page = views.rows(ACTIVITY, aggregate_id, limit=values["limit"], start=start)
    if not page.documents and values["cursor"] is None:
        return unknown("timeline")
    return _page(deps, aggregate_id, page)


def _history(
    deps: Dependencies, resource: Resource, aggregate_id: str, values: dict[str, Any]
) -> Response[str]:
    at_sequence, at_time = values["at_sequence"], values["at_time"]
    if at_sequence is not None and at_time is not None:
        return problem(422, "invalid", "give at_sequence or at_time, not both")
    if deps.reader.strong(resource.view, aggregate_id).gone:
        return gone(resource.name)
    past = history(
        deps.log,
        resource.aggregate,
        aggregate_id,
        at_sequence=at_sequence,
        at_ms=int(at_time.timestamp() * 1000) if at_time else None,
        limit=values["limit"],
        branches=deps.has_homes,
        cipher=deps.cipher,
    )
    if past.sequence == 0 and deps.log.head(aggregate_id, consistent=True) is None:
        return unknown(resource.name)
    return json_response(
        {
            "state": past.state.model_dump(mode="json") if past.state else None,
            "as_of_sequence": past.sequence,
            "recorded_at": iso(past.recorded_at_ms) if past.recorded_at_ms else None,
            "events": [_told_event(one) for one in past.events],
            "earlier_events": past.earlier,
            "region": deps.settings.region,
        }
    )


def _told_event(past: Past) -> dict[str, Any]:
    return {
        "sequence": past.sequence,
        "type": type(past.event).__name__,
        "data": past.event.model_dump(mode="json"),
        "commit": past.commit.commit_id,
        "recorded_at": iso(past.commit.recorded_at_ms),
    }


def _start(deps: Dependencies, scope: str, cursor: str | None) -> Any:
    """Return where a page starts; a cursor is sealed together with the list it belongs to."""
    if cursor is None:
        return None
    payload = deps.keys.unseal(cursor, purpose="cursor")
    if payload is None:
        raise InvalidToken("the cursor was not issued here, or it is damaged")
    of_scope, start = orjson.loads(payload)
    if of_scope != scope:
        raise InvalidToken("the cursor belongs to another list")
    return start


def _page(deps: Dependencies, scope: str, page: Page) -> Response[str]:
    following = None
    if page.following is not None:
        following = deps.keys.seal(orjson.dumps([scope, page.following]), purpose="cursor")
    told = {"items": page.documents, "next": following, "region": deps.settings.region}
    return json_response(told)
