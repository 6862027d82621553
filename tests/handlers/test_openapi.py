"""What the API's document says is what the handlers do, whatever they are sent."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from werkzeug.wrappers import Request, Response

from handlers import status
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.network import ACTIVATION, REGIONS, Network

US = REGIONS[0]
IMSI = ACTIVATION["data"]["imsi"]
EXAMPLES = 10
REGISTRATION = {
    "type": "RegisterNetworkElement",
    "command_id": "c1",
    "producer": "oss",
    "data": {"element_id": "gnb-berlin-0001", "kind": "gnb", "site": "ber-1", "plmn": "26201"},
}
load_all_checks()
CONFORMS = CHECKS.get_by_names(
    [
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
    ]
)


class Served:
    """One region as a WSGI application: requests become events as the gateway makes them."""

    def __init__(self) -> None:
        self.network = Network(InProcessRegions())
        region = self.network[US]
        self._commands, self._queries = region._commands, region._queries
        self._status = status.make_handler(region.deps)
        self._elapsed_s = 0.0
        clock = replace(
            region.deps.edge.clock, pause=self._pause, elapsed_s=lambda: self._elapsed_s
        )
        region.deps.edge = replace(region.deps.edge, clock=clock)

    def _pause(self, seconds: float) -> None:
        self._elapsed_s += seconds

    def __call__(self, environ: Any, start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = Request(environ)
        handler = self._queries
        if (request.method, request.path) == ("POST", "/commands"):
            handler = self._commands
        elif (request.method, request.path) == ("GET", "/status"):
            handler = self._status
        reply = handler(_event(request), None)
        self.network.messages.clear()
        body = reply["body"]
        response = Response(body, reply["statusCode"], headers=_headers(reply))
        return response(environ, start_response)


def _event(request: Request) -> dict[str, Any]:
    query = dict(parse_qsl(request.query_string.decode("latin-1"), keep_blank_values=True))
    return {
        "version": "2.0",
        "rawPath": request.path,
        "rawQueryString": request.query_string.decode("latin-1"),
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "queryStringParameters": query or None,
        "requestContext": {
            "http": {"method": request.method, "path": request.path},
            "stage": "$default",
        },
        "body": request.get_data().decode("utf-8", "surrogateescape"),
        "isBase64Encoded": False,
    }


def _headers(reply: dict[str, Any]) -> dict[str, str]:
    several = reply.get("multiValueHeaders") or {}
    return {**{name: values[0] for name, values in several.items()}, **(reply["headers"] or {})}


@pytest.fixture(scope="module")
def served() -> Served:
    return Served()


@pytest.fixture(scope="module")
def schema(served: Served) -> Any:
    """The document, of a region in which there is something of everything."""
    for command in (ACTIVATION, REGISTRATION):
        served.network[US].post(command)
        served.network.settle()
    served.network[US].post(ACTIVATION | {"command_id": "again"})
    _, document = served.network[US].get("/openapi.json")
    loaded = schemathesis.openapi.from_dict(document)
    loaded.app = served
    return loaded


def of_the_region(served: Served) -> dict[str, str]:
    """Return values of path parameters that there is something of."""
    keys = served.network[US].deps.keys
    commit = f"{keys.aggregate_id('sub', IMSI)}.1"
    return {"imsi": IMSI, "element_id": "gnb-berlin-0001", "commit": commit}


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_the_handlers_answer_as_the_document_says(served: Served, schema: Any, mode: Any):
    """What fits the document and what does not is answered by what the document knows."""
    known = of_the_region(served)
    statuses: set[int] = set()

    def check(operation: Any) -> None:
        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode), there=st.booleans())
        def held(case: Any, there: bool) -> None:  # noqa: FBT001 - as hypothesis calls it
            if there:
                given_ = case.path_parameters or {}
                for name in given_.keys() & known.keys():
                    given_[name] = known[name]
            response = case.call()
            statuses.add(response.status_code)
            assert response.status_code < 500 or response.status_code == 503, response.text
            case.validate_response(response, checks=CONFORMS)

        held()

    for found in schema.get_all_operations():
        operation = found.ok()
        # Of what takes nothing nothing can be wrong.
        if mode is GenerationMode.POSITIVE or operation.body or list(operation.iter_parameters()):
            check(operation)
    # These were seen, or the test has asked for nothing that there is.
    assert statuses >= ({200, 404, 409} if mode is GenerationMode.POSITIVE else {404, 422})
