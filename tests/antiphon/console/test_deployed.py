"""The console of a deployment: what it asks, as whom, and that it changes nothing by itself."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from boto3.session import Session
from botocore.credentials import Credentials
from typer.testing import CliRunner

from antiphon.cli import app
from antiphon.connection import identify, work_on
from antiphon.console.admission import OWN_HEADER
from antiphon.console.command import settings_of
from antiphon.console.deployed import (
    DeployedLooking,
    DeployedSettings,
    endpoints_in,
    signing_with,
)
from antiphon.console.server import application
from antiphon.deployed import DeployedConnection
from antiphon.problems import Problem
from infra.deploy.system import System
from infra.local.engine_calls import EngineCalls

US, EU, AP = "us-east-1", "eu-west-1", "ap-south-1"
TOKEN = "the token of an operator"


def told_by(region: str, **more: Any) -> dict[str, Any]:
    return {
        "region": region,
        "states": {US: "active", EU: "active", AP: "draining"},
        "pending": 1,
        "oldest_due_ms": 5,
        "held": [{"commit": "sub.a.1", "due_ms": 5, "applied_at_ms": {US: 7}}],
        "lags": [
            {"region": AP, "projection": "activity", "behind": 1, "overdue_ms": 900 + len(region)}
        ],
        "unreached": [AP],
        "letters": {"waiting": 2, "by_source": {"projector": 2}},
    } | more


def serving(region: str, answer: Callable[[web.Request], web.Response]) -> web.Application:
    """Return a region's API that answers only who shows the token."""

    async def handle(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"message": "Forbidden"}, status=403)
        return answer(request)

    served = web.Application()
    served.router.add_route("*", "/{path:.*}", handle)
    return served


def with_regions(
    act: Callable[[DeployedSettings], Awaitable[None]],
    *,
    token: str = TOKEN,
    **answers: Callable[[web.Request], web.Response],
) -> None:
    """Do something with a deployment of these regions, and one that does not answer."""

    async def acting() -> None:
        servers = {
            name.replace("_", "-"): TestServer(serving(name, answer))
            for name, answer in answers.items()
        }
        for server in servers.values():
            await server.start_server()
        endpoints = {name: str(one.make_url("")).rstrip("/") for name, one in servers.items()}
        settings = DeployedSettings(
            endpoints=endpoints | {AP: "http://127.0.0.1:9"},
            credentials=lambda *_request: {"Authorization": f"Bearer {token}"},
        )
        try:
            await act(settings)
        finally:
            for server in servers.values():
                await server.close()

    asyncio.run(acting())


async def look(settings: DeployedSettings) -> dict[str, Any]:
    async with EngineCalls() as calls:
        return await DeployedLooking(settings, calls).look()


def test_each_region_tells_of_itself_and_one_that_does_not_answer_is_named_so():
    async def act(settings: DeployedSettings) -> None:
        told = await look(settings)
        by_region = {one["region"]: one for one in told["regions"]}
        assert by_region[US]["health"] == by_region[EU]["health"] == "active"
        assert by_region[AP]["health"] == "no answer"
        assert by_region[US]["pending"] == 1
        assert by_region[US]["letters"] == 2
        assert by_region[AP]["letters"] is None
        assert [one["unreached_by"] for one in told["regions"]] == [[], [], [US, EU]]
        # What two regions owe is behind by both, and as long as the oldest.
        [lag] = told["lags"]
        assert (lag["region"], lag["behind"], lag["oldest_ms"]) == (AP, 2, 909)

    with_regions(
        act,
        us_east_1=lambda _: web.json_response(told_by(US)),
        eu_west_1=lambda _: web.json_response(told_by(EU)),
    )


def test_who_is_not_allowed_is_told_so_and_what_is_no_status_is_not_taken_for_one():
    async def refused(settings: DeployedSettings) -> None:
        told = await look(settings)
        assert told["regions"][0]["health"] == "refuses us (HTTP 403)"

    with_regions(refused, token="another", us_east_1=lambda _: web.json_response(told_by(US)))

    async def garbled(settings: DeployedSettings) -> None:
        told = await look(settings)
        assert [one["health"] for one in told["regions"][:2]] == ["no status (HTTP 200)"] * 2

    with_regions(
        garbled,
        us_east_1=lambda _: web.Response(text="<html>"),
        # An address of another region.
        eu_west_1=lambda _: web.json_response(told_by(US)),
    )


def test_commands_go_with_the_token_and_nothing_else_can_be_changed():
    got: list[web.Request] = []

    def answer(request: web.Request) -> web.Response:
        got.append(request)
        return web.json_response({"status": "accepted"}, status=202)

    async def act(settings: DeployedSettings) -> None:
        async with TestClient(TestServer(application(settings))) as client:
            own = {OWN_HEADER: "1", "Authorization": "Bearer of the page"}
            sent = await client.post(f"/api/regions/{US}/commands", json={}, headers=own)
            assert sent.status == 202
            assert "Bearer" not in str(sent.headers) + await sent.text()
            for path in ("network", "operations/drain", "operations/letters"):
                refused = await client.post(f"/api/{path}", json={"region": US}, headers=own)
                assert refused.status == 404
            about = await (await client.get("/api/about")).json()
            assert about["is_local"] is about["operates"] is False
            assert TOKEN not in str(about)

    with_regions(act, us_east_1=answer)
    assert [(one.method, one.path) for one in got] == [("POST", "/commands")]


@pytest.mark.parametrize(
    "given",
    [
        ["https://example.org"],
        ["us-east-1="],
        ["us-east-1=https://example.org?x=1"],
        ["us-east-1=http://example.org"],
        ["us-east-1=ftp://localhost"],
        ["us-east-1=https://a.example", "us-east-1=https://b.example"],
    ],
)
def test_an_address_that_is_none_or_would_show_the_token_is_refused(given: list[str]):
    with pytest.raises(Problem, match="--endpoint"):
        endpoints_in(given)
    words = [word for one in given for word in ("--endpoint", one)]
    assert CliRunner().invoke(app, ["console", *words]).exit_code == 2


def test_addresses_are_taken_in_their_order_without_a_slash_at_the_end():
    found = endpoints_in(["us-east-1=https://a.example/", "eu-west-1=http://localhost:8102"])
    assert list(found.items()) == [(US, "https://a.example"), (EU, "http://localhost:8102")]


def test_with_iam_each_request_is_signed_for_its_own_region():
    sign = signing_with(Credentials("AKIA", "secret", "session"))
    headers = sign(EU, "POST", "https://a.example/commands", b"{}")
    assert (
        f"Credential=AKIA/{headers['X-Amz-Date'][:8]}/{EU}/execute-api/" in headers["Authorization"]
    )
    assert headers["X-Amz-Security-Token"] == "session"
    assert headers != sign(EU, "POST", "https://a.example/commands", b"[]")


def test_who_asks_is_said_in_one_way():
    words = ["console", "--endpoint", "us-east-1=https://a.example", "--iam"]
    refused = CliRunner().invoke(app, ["--bearer", TOKEN, *words])
    assert refused.exit_code == 2
    assert "not by both" in refused.stderr


def test_with_the_file_of_a_deployment_operators_commands_are_run_on_it_and_no_others(
    tmp_path: Path,
):
    file = tmp_path / "none.yaml"

    async def act(settings: DeployedSettings) -> None:
        of_a_file = replace(settings, file=file)
        async with TestClient(TestServer(application(of_a_file))) as client:
            own = {OWN_HEADER: "1"}
            about = await (await client.get("/api/about")).json()
            assert (about["is_local"], about["operates"]) == (False, True)
            told = await client.post("/api/operations/letters", json={}, headers=own)
            first, *_, last = [json.loads(one) for one in (await told.text()).splitlines()]
            assert first == {"command": f"antiphon --on {file} dlq list --json"}
            assert last == {"ended": 2}, "there is no such file, which the command itself says"
            for path, status in (("network", 404), ("operations/play", 400)):
                refused = await client.post(
                    f"/api/{path}", json={"scenario": "bad-weather"}, headers=own
                )
                assert refused.status == status

    with_regions(act, us_east_1=lambda _: web.json_response({}))


def test_the_console_of_a_file_looks_its_addresses_up_and_no_file_needs_them():
    def refused(*words: str) -> str:
        told = CliRunner().invoke(app, list(words))
        assert told.exit_code == 2
        return " ".join(told.stderr.split())

    assert "antiphon --on FILE console, or every --endpoint" in refused("console")

    class Looked(DeployedConnection):
        def url(self, region: str) -> str:
            return f"https://{region}.example"

    system, file = System(regions=(US, EU, AP), mode="strong"), Path("antiphon.yaml")
    work_on(lambda: Looked(system, Session(), file=file))
    identify(TOKEN)
    try:
        found = settings_of((), iam=False)
        assert found.endpoints == {one: f"https://{one}.example" for one in (US, EU, AP)}
        assert found.operations == ("--on", "antiphon.yaml")
        assert found.credentials(US, "GET", "", b"") == {"Authorization": f"Bearer {TOKEN}"}
        with pytest.raises(Problem, match="leave --endpoint out"):
            settings_of(["us-east-1=https://a.example"], iam=False)
    finally:
        work_on(None)
        identify(None)
