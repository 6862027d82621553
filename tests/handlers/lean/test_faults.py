"""Whatever goes wrong on the way, the lean client ends as boto3 does, after as many tries."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from eventstore.aws_errors import passing_errors_translated
from eventstore.errors import StoreUnavailable
from tests.handlers.lean.certificates import Authority
from tests.handlers.lean.conftest import READ_S, TRIES, Build
from tests.handlers.lean.server import (
    Server,
    Step,
    closes,
    drips,
    http,
    ok,
    refuses,
    resets,
    says,
    says_nothing,
    sends,
)

PUT = {
    "TableName": "t",
    "Item": {"a": {"S": "x"}},
    "ConditionExpression": "attribute_not_exists(a)",
}
WHOLE = http(200, b'{"Attributes": {"a": {"S": "x"}}}')
OLD = {"a": {"S": "x"}, "d": {"B": "AAE="}, "l": {"L": [{"M": {"d": {"B": "/w=="}}}]}}
PROXY_PAGE = b"<html><body><h1>The proxy is not amused</h1></body></html>"


@dataclass(frozen=True)
class Outcome:
    """How a call ended."""

    raised: str
    code: str
    status: int
    retries: int
    more: dict[str, Any]
    requests: int
    pauses: int


def outcome_of(client: Any, server: Server | None, paused: list[float]) -> Outcome:
    """Put one item, and say how that ended."""
    paused.clear()
    raised, response = "", {}
    try:
        response = client.put_item(**PUT)
    except ClientError as error:
        raised, response = type(error).__name__, error.response
    except BotoCoreError as error:
        raised = type(error).__name__
    metadata = response.get("ResponseMetadata", {})
    return Outcome(
        raised=raised,
        code=response.get("Error", {}).get("Code", ""),
        status=metadata.get("HTTPStatusCode", 0),
        retries=metadata.get("RetryAttempts", -1),
        more={key: value for key, value in response.items() if key != "ResponseMetadata"},
        requests=0 if server is None else len(server.asked),
        pauses=len(paused),
    )


def chunked(*parts: bytes) -> bytes:
    body = b"".join(b"%x;why=not\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body


SCRIPTS: dict[str, list[Step]] = {
    "all well": [ok],
    "an answer in chunks": [sends(chunked(b'{"Attributes": ', b'{"a": {"S": "x"}}}'))],
    "an answer until the connection ends": [
        sends(b'HTTP/1.1 200 OK\r\n\r\n{"Attributes": {}}', then_closes=True)
    ],
    "an answer of HTTP/1.0": [sends(WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"))],
    "a provisional answer first": [sends(b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE)],
    "members that are null": [says(200, {"Attributes": None, "ConsumedCapacity": None})],
    "closed after the request, then well": [closes, ok],
    "closed after every request": [closes] * TRIES,
    "reset after the request, then well": [resets, ok],
    "reset after every request": [resets] * TRIES,
    "half a body, then well": [sends(WHOLE[:-9], then_closes=True), ok],
    "half a body, always": [sends(WHOLE[:-9], then_closes=True)] * TRIES,
    "half a chunk": [sends(chunked(b'{"Attributes": {}}')[:-20], then_closes=True)] * TRIES,
    "chunks of no size": [sends(chunked(b"{}").replace(b"2;why", b"zz;why"))] * TRIES,
    "an answer that is not HTTP": [sends(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", then_closes=True)] * TRIES,
    "a wrong checksum, then well": [says(200, {}, x_amz_crc32="1"), ok],
    "no answer, then well": [says_nothing, ok],
    "never an answer": [says_nothing] * TRIES,
    "an answer that stalls": [drips(WHOLE, pieces=2, pause_s=2 * READ_S)] * TRIES,
    "an answer that drips": [drips(WHOLE, pieces=12, pause_s=READ_S / 8)],
    "500, then well": [refuses(500, "InternalServerError"), ok],
    "500, always": [refuses(500, "InternalServerError")] * TRIES,
    "503 without a body": [sends(http(503, b""))] * TRIES,
    "502 with a proxy's page": [sends(http(502, PROXY_PAGE, content_type="text/html"))] * TRIES,
    "403 with a proxy's page": [sends(http(403, PROXY_PAGE, content_type="text/html"))],
    "a redirect": [sends(http(307, b"", location="http://localhost:1/"))],
    "throttled, then well": [refuses(400, "ThrottlingException"), ok],
    "throttled, always": [refuses(400, "ProvisionedThroughputExceededException")] * TRIES,
    "two regions wrote at once, then well": [refuses(409, "ReplicatedWriteConflictException"), ok],
    "two regions always write at once": [refuses(409, "ReplicatedWriteConflictException")] * TRIES,
    "a transaction conflict": [refuses(400, "TransactionConflictException")],
    "the condition does not hold": [
        says(400, {"__type": "x#ConditionalCheckFailedException", "message": "no", "Item": OLD})
    ],
    "a transaction cancelled": [
        says(
            400,
            {
                "__type": "x#TransactionCanceledException",
                "Message": "cancelled",
                "CancellationReasons": [
                    {"Code": "None"},
                    {"Code": "ConditionalCheckFailed", "Message": "no", "Item": OLD},
                ],
            },
        )
    ],
    "no such table": [refuses(400, "ResourceNotFoundException")],
    "an expired token": [refuses(400, "ExpiredTokenException")],
    "an error that nobody knows": [refuses(400, "SurpriseException")],
}


@pytest.mark.parametrize("fault", SCRIPTS)
def test_a_put_ends_as_boto3s_does(
    fault: str, build: Build, serve: Callable[..., Server], paused: list[float]
):
    outcomes = {}
    for transport in ("boto3", "lean"):
        server = serve(*SCRIPTS[fault])
        client = build(transport, server.url)
        outcomes[transport] = outcome_of(client, server, paused)
        assert all(asked.body == PUT for asked in server.asked)

    assert outcomes["lean"] == outcomes["boto3"]
    assert len(paused) == outcomes["lean"].requests - 1


def test_what_no_server_hears_ends_as_boto3s_does(build: Build, paused: list[float]):
    for unheard, expected in ((refused, "EndpointConnectionError"), (full, "ConnectTimeoutError")):
        with unheard() as url:
            outcomes = [
                outcome_of(build(transport, url), None, paused) for transport in ("boto3", "lean")
            ]
        assert outcomes[0] == outcomes[1]
        assert (outcomes[0].raised, outcomes[0].pauses) == (expected, TRIES - 1)


def test_a_host_without_an_address_ends_as_boto3s_does(build: Build, paused: list[float]):
    for transport in ("boto3", "lean"):
        client = build(transport, "http://nowhere.invalid:8000")
        outcome = outcome_of(client, None, paused)
        assert (outcome.raised, outcome.pauses) == ("EndpointConnectionError", TRIES - 1)


@contextmanager
def refused() -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        # Nobody listens.
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def full() -> Iterator[str]:
    """Listen where no more connections are let in, so that connecting takes for ever."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - its own
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("transport", ["boto3", "lean"])
@pytest.mark.parametrize(
    ("host", "trusted", "raised"),
    [
        ("localhost", "ours", ""),
        ("elsewhere.example", "ours", "SSLError"),
        ("localhost", "others", "SSLError"),
    ],
)
def test_a_certificate_must_be_trusted_and_the_hosts(
    transport: str,
    host: str,
    trusted: str,
    raised: str,
    *,
    build: Build,
    serve: Callable[..., Server],
    authority: Authority,
    paused: list[float],
):
    server = serve(tls=authority.server_of(host))
    verify = str(authority.bundle) if trusted == "ours" else True
    client = build(transport, server.url, verify=verify)

    outcome = outcome_of(client, server, paused)

    assert (outcome.raised, outcome.requests) == (raised, 0 if raised else 1)
    assert outcome.pauses == (TRIES - 1 if raised else 0)


@pytest.mark.parametrize("transport", ["boto3", "lean"])
def test_certificates_are_not_checked_where_that_is_wanted(
    transport: str, build: Build, serve: Callable[..., Server], authority: Authority
):
    server = serve(tls=authority.server_of("elsewhere.example"))

    with pytest.warns() if transport == "boto3" else ExitStack():
        build(transport, server.url, verify=False).put_item(**PUT)

    assert len(server.asked) == 1


def test_connections_are_kept_over_tls_too(
    build: Build, serve: Callable[..., Server], authority: Authority
):
    server = serve(tls=authority.server_of("localhost"))
    client = build("lean", server.url, verify=str(authority.bundle))

    for _ in range(3):
        client.put_item(**PUT)

    assert (len(server.asked), server.connections) == (3, 1)


@pytest.mark.parametrize("transport", ["boto3", "lean"])
def test_a_connection_that_the_server_closed_meanwhile_costs_no_try(
    transport: str, build: Build, serve: Callable[..., Server], paused: list[float]
):
    server = serve()
    client = build(transport, server.url)
    client.put_item(**PUT)
    server.drop_idle()

    client.put_item(**PUT)

    assert (len(server.asked), server.connections, paused) == (2, 2, [])


@pytest.mark.parametrize(
    "goodbye",
    [
        http(200, b"{}", connection="close"),
        http(200, b"{}") + b"HTTP/1.1 200 and more than was asked\r\n",
    ],
)
def test_a_connection_is_left_where_its_next_answer_may_be_anothers(
    goodbye: bytes, build: Build, serve: Callable[..., Server]
):
    server = serve(sends(goodbye))
    client = build("lean", server.url)

    assert client.put_item(**PUT)["ResponseMetadata"]["HTTPStatusCode"] == 200
    client.put_item(**PUT)

    assert server.connections == 2


DAMAGED = {
    "half a head": sends(WHOLE[:20], then_closes=True),
    "half of the last chunk": sends(chunked(b"{}")[:-9], then_closes=True),
    "a wrong checksum": says(200, {}, x_amz_crc32="1"),
    "a proxy's page": sends(http(200, PROXY_PAGE, content_type="text/html")),
    "half of the JSON": sends(http(200, b'{"Attributes": {"a"')),
    "no body": sends(http(200, b"")),
    "another form": says(200, [1, 2]),
    "binary that is none": says(200, {"Attributes": {"a": {"B": "/"}}}),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_answer_is_no_success(
    damage: str, build: Build, serve: Callable[..., Server], paused: list[float]
):
    # boto3 takes most of them for a success, some at once and some after as many tries.
    server = serve(*[DAMAGED[damage]] * TRIES)
    client = build("lean", server.url)

    with pytest.raises(StoreUnavailable), passing_errors_translated("test"):
        client.put_item(**PUT)

    assert (len(server.asked), len(paused)) == (TRIES, TRIES - 1)


@pytest.mark.parametrize("transport", ["boto3", "lean"])
def test_retries_end_when_their_quota_is_used_up_and_begin_again_after_successes(
    transport: str, build: Build, serve: Callable[..., Server], paused: list[float]
):
    server = serve(*[sends(http(500, b""))] * 201)
    client = build(transport, server.url)

    # The quota is 500, a retry takes 5 of it, and a success gives back 1.
    for _ in range(101):
        with pytest.raises(ClientError):
            client.put_item(**PUT)
    assert len(server.asked) == 201
    for _ in range(5):
        client.put_item(**PUT)
    server.then(sends(http(500, b"")))
    client.put_item(**PUT)

    assert (len(server.asked), len(paused)) == (208, 101)


@pytest.mark.parametrize("transport", ["boto3", "lean"])
def test_a_transaction_is_tried_again_under_its_first_token(
    transport: str, build: Build, serve: Callable[..., Server], paused: list[float]
):
    server = serve(resets, ok)
    client = build(transport, server.url)
    request = {"TransactItems": [{"Put": {"TableName": "t", "Item": OLD}}]}

    client.transact_write_items(**json.loads(json.dumps(request)))
    client.transact_write_items(**json.loads(json.dumps(request)), ClientRequestToken="mine")

    first, again, given = (asked.body["ClientRequestToken"] for asked in server.asked)
    assert first == again
    assert len(first) == 36
    assert given == "mine"
