"""Three real regions for all the faults: templates, handlers, streams, queues, bus, WAN."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from infra.local.regions import LocalConfig, LocalRegions
from tests.faults.playing import System

REGIONS = LocalConfig().regions
PORTS = len(REGIONS) + 2


def free_block() -> int:
    """The first of some neighbouring ports that nobody listens on."""
    for first in range(12_100, 12_500, 10):
        with ExitStack() as taken:
            try:
                for port in range(first, first + PORTS):
                    taken.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports")


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    first = free_block()
    config = LocalConfig(
        base_port=first, aws_port=first + PORTS - 1, directory=tmp_path_factory.mktemp("regions")
    )
    with LocalRegions(config, progress=lambda _step: None) as regions:
        yield System(base_port=config.base_port, aws_port=config.aws_port)
        # Whoever was killed was killed on purpose; nothing else has died.
        regions.check()
