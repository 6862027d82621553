"""The logs that pass one contract: in memory, and a table of a real engine."""

from collections.abc import Callable

import pytest

from eventstore.commits import Commit
from eventstore.log import CommitLog, DynamoDBLog
from eventstore.memory import InMemoryLog
from tests.commits import a_commit as make_commit
from tests.dynamodb import tables


@pytest.fixture(params=["in memory", "on an engine"])
def log(request: pytest.FixtureRequest) -> CommitLog:
    if request.param == "in memory":
        return InMemoryLog()
    client = request.getfixturevalue("engine").client("dynamodb")
    return DynamoDBLog(client, table=tables.create(client, "events"))


@pytest.fixture
def a_commit() -> Callable[..., Commit]:
    return make_commit
