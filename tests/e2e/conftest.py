"""Three real regions for the whole run: templates, handlers, streams, queues, bus, WAN."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from typer.testing import CliRunner, Result

from antiphon.cli import app
from antiphon.connection import Connection
from antiphon.installation import dependencies_of
from antiphon.up import CONSOLE
from handlers.dependencies import Dependencies
from infra.local.regions import LocalConfig, LocalRegions
from tests.chromium import browser, page

__all__ = ["browser", "page"]

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
# A log can only be restored where the secret is the same.
SECRET = "the secret of all regions of these tests"


def free_block(size: int, *, since: int = 21_000) -> int:
    """Return the first of `size` neighbouring ports that nobody listens on.

    Who runs in another worker at the same time asks `since` another port: between looking here
    and listening a port can be lost.
    """
    for first in range(since, since + 3_000, 20):
        with ExitStack() as taken:
            try:
                for port in range(first, first + size):
                    listener = taken.enter_context(socket.socket())
                    listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports")


@dataclass(frozen=True)
class Running:
    """The running regions, as a producer, an operator and an engineer reach them."""

    base_port: int
    aws_port: int
    directory: Path = Path()
    regions: tuple[str, ...] = REGIONS

    def url(self, region: str) -> str:
        return f"http://127.0.0.1:{self.base_port + 1 + self.regions.index(region)}"

    def post(self, region: str, body: Any, **headers: str) -> httpx.Response:
        content = {"json": body} if isinstance(body, dict) else {"content": body}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(
            f"{self.url(region)}/commands",
            headers={"Content-Type": "application/json", **named},
            timeout=40,
            **content,
        )

    def get(self, region: str, path: str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.get(self.url(region) + path, headers=named, timeout=40)

    def aws(self, service: str, region: str) -> Any:
        return boto3.client(  # noqa: TID251 - the tests' own edge
            service,
            region_name=region,
            endpoint_url=f"http://127.0.0.1:{self.aws_port}",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def wired(self, region: str) -> Dependencies:
        """Return the parts of a region's functions, as an operator uses them."""
        connection = Connection.open(base_port=self.base_port, aws_port=self.aws_port)
        return dependencies_of(connection, region)

    def cli(self, *words: str) -> Result:
        ports = ["--aws-port", str(self.aws_port)]
        if words[0] != "wan":
            ports += ["--base-port", str(self.base_port)]
        return CliRunner().invoke(app, [*words, *ports])


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    first = free_block(6)
    directory: Path = tmp_path_factory.mktemp("regions")
    config = LocalConfig(
        base_port=first,
        aws_port=first + 5,
        directory=directory,
        console=CONSOLE,
        secret=SECRET,
        # Every state of a region is held for longer than this, and each hold is waited for.
        settings={
            "ANTIPHON_APPEND_S": "4",
            "ANTIPHON_CONTROL_FRESH_S": "2",
            "ANTIPHON_BUILDS_HOLD_S": "5",
        },
    )
    progress: Callable[[str], None] = lambda _: None  # noqa: E731
    with LocalRegions(config, progress=progress):
        yield Running(first, first + 5, directory)
