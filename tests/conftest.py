"""What several packages' tests share: a real engine, and who runs beside whom.

`make test` runs three tests at a time, each worker with an engine of its own. Regions take the
whole machine and ports of their own: one set of them at a time, in one worker. Nobody waits
for a time to pass, always for what is to come about, so sharing the processor breaks nothing.
"""

import functools
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from infra.local.engines import start_engine, wait_until_ready
from infra.local.lifeline import Lifeline
from infra.local.ports import take_any_port

REGION = "us-east-1"
# Tests that start regions by the command line, or as a child.
_START_REGIONS = ("test_run", "test_processes", "test_ports")
_REGIONS = frozenset({"running", "started", "free_ports"})


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Say which tests belong together in one worker, the longest first."""
    for item in items:
        if _starts_regions(item):
            item.add_marker(pytest.mark.xdist_group("regions"))
        elif "browser" in item.fixturenames:
            item.add_marker(pytest.mark.xdist_group("browser"))
        elif any(one[-1].scope == "module" for one in item._fixtureinfo.name2fixturedefs.values()):
            # What a module makes once is made in one worker, once.
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse a pytest whose tests pytest-xdist cannot tell to belong together, as 9.2 is."""
    grouped = [item for item in session.items if item.get_closest_marker("xdist_group")]
    if hasattr(session.config, "workerinput") and not all("@" in item.nodeid for item in grouped):
        raise pytest.UsageError("pytest-xdist spreads groups with this version of pytest")


def _starts_regions(item: pytest.Function) -> bool:
    folder = item.path.parent.name
    named = item.path.stem in _START_REGIONS or folder in {"e2e", "faults"}
    return named or (folder == "local" and bool(_REGIONS & set(item.fixturenames)))


@dataclass(frozen=True)
class RealEngine:
    """An AWS engine on this machine, with clients that retry nothing."""

    url: str

    @functools.cache  # noqa: B019 - one engine lives as long as the run
    def client(self, service: str, region: str = REGION) -> Any:
        return boto3.client(  # noqa: TID251 - the tests' own edge
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=40),
        )


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealEngine]:
    """One engine for the whole run; tests make tables of their own."""
    directory: Path = tmp_path_factory.mktemp("engine")
    listener: socket.socket = take_any_port()
    lifeline = Lifeline()
    started = start_engine(
        name="tests",
        region=REGION,
        listener=listener,
        functions={},
        lifeline=lifeline,
        run_directory=directory,
        log_directory=directory,
    )
    try:
        wait_until_ready(started.child, f"{started.url}/_ministack/health")
        yield RealEngine(started.url)
    finally:
        lifeline.cut()
        started.child.wait_or_kill()
