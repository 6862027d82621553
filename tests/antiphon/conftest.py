"""What the command line's tests share: a system over HTTP, and an honest system's tables."""

from collections.abc import Iterator

import pytest

from eventstore.commits import Commit
from tests.antiphon.honest import Tables, decided, honest_tables
from tests.antiphon.system import System


@pytest.fixture
def system() -> Iterator[System]:
    running = System()
    yield running
    running.close()


@pytest.fixture(scope="session")
def honest_commits() -> list[Commit]:
    return decided()


@pytest.fixture
def tables(honest_commits: list[Commit]) -> Tables:
    return honest_tables(honest_commits)
