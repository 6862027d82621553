"""A console beside a network that pretends, one for all tests of the directory."""

from collections.abc import Iterator

import pytest

from tests.antiphon.console.pretended import Pretended, pretending
from tests.chromium import browser, page
from tests.e2e.conftest import free_block

__all__ = ["browser", "page"]


@pytest.fixture
def pretended() -> Iterator[Pretended]:
    with pretending(free_block(6, since=17_000)) as one:
        yield one
