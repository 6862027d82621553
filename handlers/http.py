"""HTTP for the functions behind the API: Powertools' resolver, problems instead of tracebacks.

Powertools keeps the request that is being resolved on a class. On Lambda a function works on
one request at a time; where one process serves many (the local regions), each thread must see
its own, which `ConcurrentResolver` gives it.
"""

import threading
from collections.abc import Mapping
from typing import Any

import orjson
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEventV2

from eventstore.errors import EventStoreError, StoreUnavailable
from handlers.problems import CONTENT_TYPE, Problem, problem_of
from projections.reading import NotCaughtUp

logger = Logger(service="queries")


_CANNOT_READ = "this region cannot reach what it would have to read; try again, or read eventual"


class ConcurrentResolver(APIGatewayHttpResolver):
    """A resolver whose current request belongs to the thread that resolves it."""

    def __init__(self) -> None:
        self._of_thread = threading.local()
        super().__init__(enable_validation=True)

    @property
    def current_event(self) -> APIGatewayProxyEventV2:  # type: ignore[override]
        event: APIGatewayProxyEventV2 = self._of_thread.event
        return event

    @property
    def context(self) -> dict[str, Any]:
        if not hasattr(self._of_thread, "context"):
            self._of_thread.context = {}
        context: dict[str, Any] = self._of_thread.context
        return context

    @context.setter
    def context(self, value: dict[str, Any]) -> None:
        self._of_thread.context = value

    def resolve(self, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        self._of_thread.event = APIGatewayProxyEventV2(dict(event))
        return super().resolve(event, context)


def ready(app: ConcurrentResolver) -> None:
    """Build each route's chain now: Powertools builds it at the first request, in any thread."""
    for route in app._static_routes + app._dynamic_routes:  # noqa: SLF001 - it has no public way
        route._build_middleware_stack(  # noqa: SLF001 - as above
            router_middlewares=app._router_middlewares,  # noqa: SLF001 - as above
            app=app,
        )


def new_resolver() -> ConcurrentResolver:
    """Return a resolver that tells every error of ours as a problem with its code."""
    app = ConcurrentResolver()

    def not_valid(error: RequestValidationError) -> Response[str]:
        told = [
            {"field": ".".join(str(part) for part in one["loc"]), "message": str(one["msg"])}
            for one in error.errors()
        ]
        return _response(Problem(422, "invalid", "the request is not valid", told))

    def not_found(_error: NotFoundError) -> Response[str]:
        return _response(Problem(404, "not_found", "there is nothing here; see /docs"))

    def refused(error: EventStoreError | NotCaughtUp) -> Response[str]:
        if isinstance(error, StoreUnavailable):
            logger.warning("query not answered", reason=str(error))
            return _response(Problem(503, "unavailable", _CANNOT_READ))
        problem = problem_of(error)
        if problem is None:
            logger.exception("the log of an aggregate is corrupt")
            raise error
        return _response(problem)

    app.exception_handler(RequestValidationError)(not_valid)
    app.not_found(not_found)
    app.exception_handler([EventStoreError, NotCaughtUp, *EventStoreError.__subclasses__()])(
        refused
    )
    return app


def problem_reply(told: Problem | None) -> dict[str, Any]:
    """Return what API Gateway gets for a request that no route was asked for."""
    assert told is not None
    return {
        "statusCode": told.status,
        "headers": {"Content-Type": CONTENT_TYPE, **told.headers()},
        "body": told.body(),
    }


def unknown(what: str) -> Response[str]:
    """Return the problem for an id that nothing is known of."""
    return _response(Problem(404, "not_found", f"there is no such {what}"))


def gone(what: str) -> Response[str]:
    """Return the problem for what there was of somebody who is forgotten."""
    return _response(Problem(410, "forgotten", f"this {what} was of somebody who is forgotten"))


def json_response(told: Any, status: int = 200) -> Response[str]:
    """Return what was asked for."""
    return Response(status, "application/json", orjson.dumps(told).decode())


def problem(status: int, code: str, detail: str) -> Response[str]:
    """Return a problem as a response."""
    return _response(Problem(status, code, detail))


def _response(told: Problem) -> Response[str]:
    headers: dict[str, str | list[str]] = {**told.headers()}
    return Response(told.status, CONTENT_TYPE, told.body(), headers=headers)
