"""The three regions of `network`, fresh for each test."""

from typing import Any

import pytest

from tests.handlers.network import Network


@pytest.fixture
def network(engine: Any) -> Network:
    return Network(engine)
