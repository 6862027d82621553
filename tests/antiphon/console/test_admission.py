"""Who may talk to the console: against a real server, with the headers that browsers send."""

import asyncio
import re
from importlib import resources

import pytest
from aiohttp.test_utils import TestClient, TestServer

from antiphon.console.server import application
from antiphon.console.settings import ConsoleSettings

SETTINGS = ConsoleSettings(
    regions=("us-east-1", "eu-west-1", "ap-south-1"), base_port=1, aws_port=9
)
OWN = {"Antiphon-Console": "1"}


def ask(method: str, path: str, **headers: str) -> tuple[int, dict[str, str], str]:
    async def asking():
        async with TestClient(TestServer(application(SETTINGS))) as client:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            # The port is the test's own: what the page's origin is compared with.
            named = {name: value.replace("PORT", str(client.port)) for name, value in named.items()}
            async with client.request(method, path, headers=named) as response:
                return response.status, dict(response.headers), await response.text()

    return asyncio.run(asking())


@pytest.mark.parametrize("host", ["localhost:PORT", "127.0.0.1:PORT", "[::1]:PORT", "localhost"])
def test_this_machine_s_names_are_let_in(host: str):
    assert ask("GET", "/", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8100", ""]
)
def test_a_foreign_name_that_points_here_is_not(host: str):
    status, _, text = ask("GET", "/", Host=host)
    assert status == 403
    assert "open it as localhost" in text


def test_a_page_of_another_origin_may_order_nothing():
    headers = {"Origin": "http://evil.example", **OWN}
    assert ask("POST", "/api/network", **headers)[0] == 403
    assert ask("GET", "/api/stream", **headers)[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_cannot_even_ask(site: str):
    assert ask("GET", "/api/stream", Sec_Fetch_Site=site)[0] == 403
    # The console may be linked to from anywhere.
    assert ask("GET", "/", Sec_Fetch_Site=site)[0] == 200


def test_an_order_without_the_console_s_own_header_is_refused():
    # What a form of any page can send without being asked about it.
    assert ask("POST", "/api/network", Content_Type="text/plain")[0] == 403
    assert ask("POST", "/api/operations/verify")[0] == 403


def test_a_page_of_its_own_gets_as_far_as_the_network():
    # Nobody listens there, which the console says.
    assert ask("POST", "/api/network", Origin="http://127.0.0.1:PORT", **OWN)[0] == 502


@pytest.mark.parametrize("path", ["/", "/static/main.js", "/api/about", "/static/none.js", "/nope"])
def test_every_answer_says_what_a_page_may_do(path: str):
    _, headers, _ = ask("GET", path)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/static/..%2Fserver.py", "/static/server.py", "/static/main"])
def test_nothing_but_what_the_page_loads_is_served(path: str):
    assert ask("GET", path)[0] == 404


def test_a_region_that_there_is_not_is_not_asked():
    assert ask("GET", "/api/regions/127.0.0.1:9/health")[0] == 404


def test_the_page_loads_only_what_is_there_and_runs_nothing_inline():
    static = resources.files("antiphon.console") / "static"
    html = (static / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*src=)", html)
    loaded = set(re.findall(r'"/static/([^"]+)"', html))
    for one in [name for name in loaded if name.endswith(".js")]:
        loaded |= _imports(static, one)
    assert {(static / name).is_file() for name in loaded} == {True}
    assert {entry.name for entry in static.iterdir()} == {*loaded, "index.html"}


def _imports(static, name: str) -> set[str]:
    found = set(re.findall(r'from "\./([^"]+)"', (static / name).read_text(encoding="utf-8")))
    return found.union(*(_imports(static, one) for one in found)) if found else found
