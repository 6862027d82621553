"""The three regions of `network`, fresh for each test.

They stand on the DynamoDB in this process, which the contracts hold against real ones. The
way of one Event A is gone on a real engine too.
"""

from typing import Any

import pytest

from tests.dynamodb.engines import IN_PROCESS, MINISTACK
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.network import Network

ON_MINISTACK_TOO = ("test_one_event_a",)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test once for each engine that it runs on."""
    if "network" in metafunc.fixturenames:
        both = metafunc.module.__name__.endswith(ON_MINISTACK_TOO)
        engines = [IN_PROCESS, MINISTACK] if both else [IN_PROCESS]
        metafunc.parametrize("network", engines, indirect=True)


@pytest.fixture
def network(request: pytest.FixtureRequest) -> Network:
    engine: Any = InProcessRegions()
    if request.param == MINISTACK:
        engine = request.getfixturevalue("engine")
    return Network(engine)
