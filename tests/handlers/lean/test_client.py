"""What a lean client takes from botocore: endpoints, credentials, clocks, traces, all it leaves."""

import datetime
import email.utils
import time
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import ClientError, NoCredentialsError, ParamValidationError

from handlers.clients import Clients
from handlers.lean.client import LeanClient
from handlers.lean.target import Target, Unsupported, verify_of
from handlers.settings import EdgeBounds
from tests.handlers.lean.conftest import NOBODYS, Build
from tests.handlers.lean.server import Server, ok, refuses, says, sends

GET = {"TableName": "t", "Key": {"a": {"S": "x"}}}
BOTH = pytest.mark.parametrize("transport", ["boto3", "lean"])


def asked_by(client: Any) -> dict[str, str]:
    """Return URL and headers of what a boto3 client would send."""
    seen: dict[str, str] = {}

    def keep(request: Any, **_: Any) -> AWSResponse:
        seen["url"] = request.url
        seen.update({name.lower(): str(value) for name, value in request.headers.items()})

        class Body:
            def stream(self) -> list[bytes]:
                return [b"{}"]

        return AWSResponse(request.url, 200, {}, Body())

    client.meta.events.register("before-send.dynamodb.GetItem", keep)
    client.get_item(**GET)
    return seen


@pytest.mark.parametrize(
    ("environment", "account"),
    [
        ({}, None),
        ({}, "123456789012"),
        ({"AWS_ACCOUNT_ID_ENDPOINT_MODE": "disabled"}, "123456789012"),
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "123456789012"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "123456789012"),
        ({"AWS_ENDPOINT_URL": "http://localhost:8000"}, "123456789012"),
        ({"AWS_ENDPOINT_URL_DYNAMODB": "https://engine.example:443/of/tests"}, None),
    ],
)
def test_requests_go_where_botocore_sends_them(
    environment: dict[str, str], account: str | None, build: Build, monkeypatch: pytest.MonkeyPatch
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    client = build("boto3", None, credentials=Credentials("k", "s", account_id=account))

    target = Target(client)

    asked = asked_by(client)
    assert asked["url"].rstrip("/") == target.url.rstrip("/")
    # A port is part of the host's name only where it is not the usual one.
    assert target.authority == asked["url"].split("/")[2].removesuffix(":443")
    assert f"/{target.scope.region}/{target.scope.service}/aws4" in asked["authorization"]


@BOTH
def test_credentials_are_those_of_the_moment(
    transport: str, build: Build, serve: Callable[..., Server]
):
    made: list[str] = []

    def refreshed() -> dict[str, Any]:
        made.append(f"key-{len(made)}")
        # So soon over that each call asks for new ones.
        expiry = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=60)  # noqa: TID251
        return {
            "access_key": made[-1],
            "secret_key": "s",
            "token": f"of-{made[-1]}",
            "expiry_time": expiry.isoformat(),
        }

    credentials = RefreshableCredentials.create_from_metadata(refreshed(), refreshed, "test")
    server = serve(ok, sends(b"", then_closes=True), ok)
    client = build(transport, server.url, credentials=credentials)

    client.get_item(**GET)
    client.get_item(**GET)

    used = [asked.headers["authorization"].split("=")[1].split("/")[0] for asked in server.asked]
    # A try again is signed anew, too.
    assert used == sorted(set(used))
    assert len(used) == 3
    assert [asked.headers["x-amz-security-token"] for asked in server.asked] == [
        f"of-{one}" for one in used
    ]


def test_the_route_follows_the_account_of_the_credentials(build: Build):
    # Only the host's name tells: nothing is sent, as nobody answers there.
    credentials = Credentials("k", "s", account_id="111111111111")
    client = build("lean", None, credentials=credentials)
    routes = []
    for account in ("111111111111", "111111111111", "222222222222"):
        credentials.account_id = account
        routes.append(client._route_for(credentials.get_frozen_credentials()))

    assert routes[0] is routes[1]
    assert routes[2].server.host == "222222222222.ddb.eu-west-1.amazonaws.com"


@BOTH
def test_no_credentials_are_told_before_anything_is_sent(
    transport: str, build: Build, serve: Callable[..., Server]
):
    server = serve()
    client = build(transport, server.url, credentials=NOBODYS)

    with pytest.raises(NoCredentialsError):
        client.get_item(**GET)

    assert server.asked == []


@pytest.mark.parametrize("code", ["RequestTimeTooSkewed", "InvalidSignatureException"])
def test_a_clock_that_is_wrong_follows_awss(code: str, build: Build, serve: Callable[..., Server]):
    now_s = time.time()
    theirs = email.utils.formatdate(now_s + 3_600, usegmt=True)
    server = serve(refuses(400, code, date=theirs))
    client = build("lean", server.url, now_s=lambda: now_s)

    client.get_item(**GET)
    client.get_item(**GET)

    days = [asked.headers["x-amz-date"] for asked in server.asked]
    moved = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(int(now_s) + 3_600))
    assert days[0] != moved
    assert days[1][:13] == days[2][:13] == moved[:13]


def test_a_clock_is_followed_once_a_call(build: Build, serve: Callable[..., Server]):
    dates = [email.utils.formatdate(time.time() + ahead, usegmt=True) for ahead in (3_600, 7_200)]
    server = serve(*[refuses(400, "RequestTimeTooSkewed", date=date) for date in dates])

    with pytest.raises(ClientError, match="RequestTimeTooSkewed"):
        build("lean", server.url).get_item(**GET)

    assert len(server.asked) == 2


@pytest.mark.parametrize("date", ["now", "yesterday"])
def test_a_bad_signature_by_the_right_clock_is_an_error(
    date: str, build: Build, serve: Callable[..., Server]
):
    told = email.utils.formatdate(usegmt=True) if date == "now" else date
    server = serve(refuses(400, "InvalidSignatureException", date=told))

    with pytest.raises(ClientError, match="InvalidSignatureException"):
        build("lean", server.url).get_item(**GET)

    assert len(server.asked) == 1


@BOTH
def test_a_trace_is_passed_on_in_a_function(
    transport: str, build: Build, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
):
    server = serve()
    client = build(transport, server.url)
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988;Sampled=1\r\nx: y")
    client.get_item(**GET)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "commands")
    client.get_item(**GET)

    assert "x-amzn-trace-id" not in server.asked[0].headers
    assert server.asked[1].headers["x-amzn-trace-id"] == "Root=1-5759e988;Sampled=1%0D%0Ax:%20y"


def test_what_the_lean_client_cannot_send_boto3_sends(
    build: Build, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
):
    server = serve()
    proxy = serve()
    # A proxy is found when a client is made.
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    client = build("lean", server.url.replace("localhost", "engine.example"))

    client.get_item(**GET)
    client.get_item(**GET)

    assert (len(server.asked), len(proxy.asked)) == (0, 2)
    assert "boto3" in proxy.asked[0].headers["user-agent"].lower()


def test_other_ways_of_trying_again_are_refused(build: Build):
    with pytest.raises(Unsupported, match="standard"):
        build("lean", None, retries={"mode": "legacy"})


def test_other_operations_are_boto3s(build: Build, serve: Callable[..., Server]):
    server = serve(says(200, {"TableNames": ["one"]}))
    client = build("lean", server.url)

    assert client.list_tables()["TableNames"] == ["one"]
    assert client.exceptions.ConditionalCheckFailedException
    assert "Botocore" in server.asked[0].headers["user-agent"]


def test_what_is_not_json_is_not_sent(build: Build, serve: Callable[..., Server]):
    server = serve()

    with pytest.raises(ParamValidationError, match="set"):
        build("lean", server.url).put_item(TableName="t", Item={"a": {"SS": {"x"}}})

    assert server.asked == []


@pytest.mark.parametrize(("transport", "lean"), [("lean", True), ("boto3", False)])
def test_the_setting_chooses_the_transport(transport: str, lean: bool):  # noqa: FBT001
    clients = Clients(EdgeBounds(transport=transport))  # type: ignore[arg-type]

    client = clients.dynamodb("eu-west-1")

    assert isinstance(client, LeanClient) is lean
    assert isinstance(clients.sqs("eu-west-1"), LeanClient) is lean
    assert not isinstance(clients.events("eu-west-1"), LeanClient)
    assert client is clients.dynamodb("eu-west-1")
    assert client.meta.region_name == "eu-west-1"
    assert client.meta.config.read_timeout == 3.0


@pytest.mark.parametrize(
    ("name", "found"),
    [("AWS_CA_BUNDLE", "a.pem"), ("REQUESTS_CA_BUNDLE", "a.pem"), ("OTHER_BUNDLE", None)],
)
def test_the_authorities_of_the_environment_are_trusted(
    name: str, found: str | None, monkeypatch: pytest.MonkeyPatch
):
    for other in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "a.pem")

    assert verify_of(botocore.session.get_session()) == (found or True)
