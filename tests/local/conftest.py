"""Regions that run sample functions, for the tests which need real engines."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from boto3.session import Session
from botocore.config import Config

from infra.local.regions import LocalConfig, LocalRegions

FUNCTION_PACKAGE = Path(__file__).parent / "function_package"


def find_free_ports() -> tuple[int, int]:
    """A base port whose next three are free, and an AWS port."""
    for base in range(21_000, 29_000, 10):
        with ExitStack() as stack:
            try:
                for port in range(base, base + 5):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return base, base + 4
    raise AssertionError("no free ports")


class Running:
    """The running regions, as callers of different places see them."""

    def __init__(self, config: LocalConfig, recordings: Path) -> None:
        self.config = config
        self.regions = config.regions
        self._recordings = recordings
        self._clients: dict[tuple[str, str, str | None], object] = {}
        self._session = Session(aws_access_key_id="antiphon", aws_secret_access_key="local")
        self._http = httpx.Client(timeout=40)
        self._endpoints: dict[str, str] = {}

    @staticmethod
    def eventually(condition, *, within_s: float) -> Any:
        """Wait for a condition of the running regions; returns what it gave."""
        deadline = time.monotonic() + within_s
        while not (found := condition()):
            assert time.monotonic() < deadline, f"did not come about within {within_s} s"
            time.sleep(0.02)
        return found

    def front(self, region: str) -> str:
        return f"http://127.0.0.1:{self.config.base_port + 1 + self.regions.index(region)}"

    def http(self, region: str, path: str = "/", **request: Any) -> httpx.Response:
        """Call a region's HTTP API: GET, or whatever `method` says."""
        method = request.pop("method", "GET")
        return self._http.request(method, f"{self.front(region)}{path}", **request)

    def client(self, service: str, region: str, *, caller: str | None = None):
        """A client that calls `region`, from another region or from outside."""
        key = (service, region, caller)
        if key not in self._clients:
            self._clients[key] = self._session.client(
                service,
                region_name=region,
                endpoint_url=self._endpoint(caller),
                config=Config(
                    retries={"total_max_attempts": 1},
                    read_timeout=30,
                    max_pool_connections=20,
                    s3={"addressing_style": "path"},
                ),
            )
        return self._clients[key]

    def dynamodb(self, region: str, *, inside: bool = False):
        return self.client("dynamodb", region, caller=region if inside else None)

    def wan(self, **order: Any) -> tuple[int, Any]:
        """Give the WAN an order, or look at its state."""
        url = f"http://127.0.0.1:{self.config.aws_port}/_antiphon/wan"
        answer = self._http.post(url, json=order) if order else self._http.get(url)
        return answer.status_code, answer.json()

    def invocations(self, region: str, function: str) -> list[dict]:
        file = self._recordings / f"{region}.{function}.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def stream_records(self, region: str, aggregate: str) -> list[dict]:
        """The records of an aggregate in the order in which the projector was given them."""
        return [
            record
            for invocation in self.invocations(region, "projector")
            for record in invocation["event"]["Records"]
            if record.get("dynamodb", {}).get("Keys", {}).get("a", {}).get("S") == aggregate
        ]

    def behave(self, region: str, function: str, **behaviour: Any) -> None:
        file = self._recordings / f"{region}.{function}.behaviour"
        # Replaced at once, since the function may be reading it.
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps(behaviour))
        draft.replace(file)

    def close(self) -> None:
        self._http.close()
        for client in self._clients.values():
            client.close()

    def _endpoint(self, caller: str | None) -> str:
        if caller is None:
            return f"http://127.0.0.1:{self.config.aws_port}"
        if caller not in self._endpoints:
            self._endpoints[caller] = self.http(caller).json()["endpoint"]
        return self._endpoints[caller]


def sample_config(directory: Path) -> LocalConfig:
    """Regions that run the sample functions, which record into `directory`."""
    (directory / "recording.py").write_text(f"DIRECTORY = {str(directory)!r}\n")
    base_port, aws_port = find_free_ports()
    return LocalConfig(
        base_port=base_port,
        aws_port=aws_port,
        directory=directory,
        builder="sample_functions:build_handler",
        builder_path=(FUNCTION_PACKAGE, directory),
    )


@pytest.fixture
def free_ports() -> tuple[int, int]:
    """A base port and an AWS port for a test's own regions."""
    return find_free_ports()


@pytest.fixture(scope="session")
def started(tmp_path_factory) -> Iterator[Running]:
    """One set of regions for all tests that do not stop them."""
    directory = tmp_path_factory.mktemp("regions")
    config = sample_config(directory)
    with LocalRegions(config, progress=lambda _step: None) as local:
        running = Running(config, directory)
        yield running
        running.close()
        local.check()


@pytest.fixture
def running(started) -> Iterator[Running]:
    """The regions with a whole network, and functions that do as they should."""
    yield started
    started.wan(action="heal")
    for region in started.regions:
        started.behave(region, "projector")


@pytest.fixture
def fresh(request) -> str:
    """An aggregate id that no other test uses."""
    return f"sub.{request.node.name}"
