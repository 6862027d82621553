"""The OpenAPI document of the whole API: the query routes as routed, `POST /commands` as read.

Both halves come from the models that do the work, so the document cannot drift from them.
"""

from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any

import orjson
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.swagger_ui import generate_swagger_html

from handlers.envelope import CommandReader
from handlers.published import (
    Answer,
    CommandStatus,
    Health,
    History,
    Item,
    Page,
    Problem,
    Published,
    Reply,
    Status,
)

TITLE = "Antiphon"
VERSION = "1"
_REF = "#/components/schemas/{model}"
_SWAGGER = "aws_lambda_powertools.event_handler.openapi.swagger_ui"


_OF_EVERY_ROUTE = frozenset({"401", "403", "404", "422", "503"})
_PROBLEMS = {
    "400": "`malformed`",
    "401": "`unauthenticated`: the caller has not said who it is",
    "403": "`forbidden`: the caller has no grant for this",
    "404": "`not_found`",
    "410": "`forgotten`: the subscriber was forgotten, for good",
    "413": "`too_large`",
    "422": "`invalid` (each field is named) or `invalid_token`",
    "503": "`unavailable`, or `not_caught_up` with the token; see Retry-After",
}
_READS = (Item, Page, History, CommandStatus, Health, Status)
_PROBLEM_JSON = "application/problem+json"
_JSON = "application/json"


def document(
    app: APIGatewayHttpResolver,
    commands: CommandReader,
    *,
    forgettable: tuple[str, ...] = (),
    beside: Sequence[APIGatewayHttpResolver] = (),
) -> dict[str, Any]:
    """Return the document as JSON-able data; what is under `forgettable` paths may be gone.

    What other functions serve of the API is `beside`.
    """
    schema = app.get_openapi_schema(
        title=TITLE, version=VERSION, description="Event A in, Event B out, in every region."
    )
    told: dict[str, Any] = orjson.loads(schema.model_dump_json(by_alias=True, exclude_none=True))
    for other in beside:
        schema = other.get_openapi_schema(title=TITLE, version=VERSION)
        routes = orjson.loads(schema.model_dump_json(by_alias=True, exclude_none=True))["paths"]
        told["paths"].update(routes)
    body = commands.adapter.json_schema(ref_template=_REF)
    told.setdefault("components", {}).setdefault("schemas", {}).update(body.pop("$defs"))
    told["paths"]["/commands"] = {"post": _post_commands(body)}
    schemas = told["components"]["schemas"]
    for model in (Answer, Problem, Reply, *_READS):
        told_as = model.model_json_schema(ref_template=_REF)
        schemas.update(told_as.pop("$defs", {}))
        schemas[model.__name__] = told_as
    for path, routes in told["paths"].items():
        for route in routes.values():
            if path.startswith(forgettable):
                route["responses"]["410"] = {}
            _tell_problems(route["responses"])
            if path != "/commands":
                route["responses"] |= _reads(path)
    # The framework's own form of an invalid request, which this API never sends.
    for name in ("HTTPValidationError", "ResponseValidationError", "ValidationError"):
        schemas.pop(name, None)
    return told


def _reads(path: str) -> dict[str, Any]:
    """Return what a query answers when all goes well; a region that does not serve says so too."""
    fixed: dict[str, type[Published]] = {
        "/health": Health,
        "/status": Status,
        "/commands/{commit}": CommandStatus,
    }
    model = fixed.get(path, Item)
    if path.endswith("/history"):
        model = History
    elif path not in fixed and (path.endswith("/timeline") or "{" not in path):
        model = Page
    schema = {"schema": {"$ref": _REF.format(model=model.__name__)}}
    told = {"description": (model.__doc__ or "").strip(), "content": {_JSON: schema}}
    return {"200": told, "503": told} if model is Health else {"200": told}


def _tell_problems(responses: dict[str, Any]) -> None:
    """Describe every error as what it is: a problem with a code."""
    for status, meaning in _PROBLEMS.items():
        if status in responses or status in _OF_EVERY_ROUTE:
            told = responses.get(status, {}).get("description", meaning)
            description = meaning if told == "Validation Error" else told
            problem = {"schema": {"$ref": _REF.format(model="Problem")}}
            content = {_PROBLEM_JSON: problem}
            responses[status] = {"description": description, "content": content}


def _post_commands(body: dict[str, Any]) -> dict[str, Any]:
    def header(name: str, description: str) -> dict[str, Any]:
        return {
            "name": name,
            "in": "header",
            "required": False,
            "description": description,
            "schema": {"type": "string"},
        }

    def response(description: str, *also: str) -> dict[str, Any]:
        replies = {"schema": {"$ref": _REF.format(model="Reply")}}
        problems = {"schema": {"$ref": _REF.format(model="Problem")}}
        content = {_JSON: replies, _PROBLEM_JSON: problems}
        return {"description": description, "content": {kind: content[kind] for kind in also}}

    return {
        "summary": "Send a command (Event A)",
        "operationId": "post_commands",
        "tags": ["commands"],
        "parameters": [
            header("Idempotency-Key", "Names the command; without it, its content does"),
            header("Prefer", "wait=N: hold the reply until Event B, at most 20 seconds"),
            header("X-Correlation-Id", "Carried through to Event B"),
            header("traceparent", "W3C trace context, carried through to Event B"),
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": response("Answered within the wait, or there was nothing to do", _JSON),
            "202": response("Accepted: in the log, to be answered", _JSON),
            "400": response("`malformed`: not JSON"),
            "401": response("`unauthenticated`: the caller has not said who it is"),
            "403": response("`forbidden`: no grant for this command, or for this producer"),
            "409": response(
                "`rejected` by the domain (recorded), or `conflict` (not recorded)",
                *(_JSON, _PROBLEM_JSON),
            ),
            "413": response("`too_large`"),
            "422": response("`invalid`, `key_reused` or `invalid_token`"),
            "503": response("`unavailable`: send the same again"),
        },
    }


def docs_page(told: dict[str, Any]) -> str:
    """Return the page that shows a document; it needs no network."""
    return generate_swagger_html(
        orjson.dumps(told).decode().replace("</", "<\\/"),
        _asset("swagger-ui-bundle.min.js"),
        _asset("swagger-ui.min.css"),
        "",
        None,
    )


@cache
def _asset(name: str) -> str:
    return resources.files(_SWAGGER).joinpath(name).read_text(encoding="utf-8")
