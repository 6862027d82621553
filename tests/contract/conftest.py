"""Each contract on every engine: in this process, moto, MiniStack, AWS's DynamoDB Local.

The last two are servers, and the contracts hold on them by boto3 and by the lean client.

A test that takes `log`, `views`, `responses` or `dynamodb` is made once for each engine that is
here. A test that takes `race` runs threads against each other, and is not made for moto.
"""

import functools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import Credentials

from eventstore.identity import Keys
from eventstore.log import CommitLog, DynamoDBLog
from eventstore.memory import InMemoryLog
from handlers.lean.client import LeanClient
from projections.responses import ResponseStore
from projections.views import ViewStore
from tests.commits import a_commit as make_commit
from tests.dynamodb import tables
from tests.dynamodb.dynamodb_local import DynamoDBLocal, fetched
from tests.dynamodb.engines import (
    DYNAMODB_LOCAL,
    IN_PROCESS,
    LEAN,
    MINISTACK,
    MOTO,
    engines,
    is_server,
    why_no_dynamodb_local,
)
from tests.dynamodb.in_process import InProcessDynamoDB

REGION = "us-east-1"
MEMORY_LOG = "memory-log"
THREADS = 16


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test once for each engine."""
    racing = "race" in metafunc.fixturenames
    if "real" in metafunc.fixturenames:
        real = [one for one in engines(racing=racing) if is_server(one)]
        metafunc.parametrize("dynamodb", real, indirect=True)
    elif "dynamodb" in metafunc.fixturenames:
        metafunc.parametrize("dynamodb", engines(racing=racing), indirect=True)
    elif "log" in metafunc.fixturenames:
        metafunc.parametrize("log", [MEMORY_LOG, *engines(racing=racing)], indirect=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which engine was left out, and why."""
    if (why := why_no_dynamodb_local()) is not None:
        terminalreporter.write_line(f"DynamoDB Local was left out of the contracts: {why}")


@pytest.fixture
def dynamodb(request: pytest.FixtureRequest) -> Any:
    """A low-level client of the engine that this test is made for."""
    return _client(request)


@pytest.fixture
def log(request: pytest.FixtureRequest) -> CommitLog:
    if request.param == MEMORY_LOG:
        return InMemoryLog()
    client = _client(request)
    return DynamoDBLog(client, table=tables.create(client, "events"))


@pytest.fixture
def views(dynamodb: Any) -> ViewStore:
    keys = Keys(b"a secret of the tests")
    return ViewStore(dynamodb, table=tables.create(dynamodb, "views"), keys=keys)


@pytest.fixture
def responses(dynamodb: Any) -> ResponseStore:
    return ResponseStore(dynamodb, table=tables.create(dynamodb, "responses"))


@pytest.fixture
def a_commit() -> Callable[..., Any]:
    return make_commit


@pytest.fixture
def race() -> Iterator[Callable[[Callable[[int], Any]], Sequence[Any]]]:
    """Return what runs a function of a number in sixteen threads that start as one."""
    usual_s = sys.getswitchinterval()
    # Threads take turns so often that what is not whole is seen in pieces.
    sys.setswitchinterval(1e-6)

    def run(one: Callable[[int], Any]) -> Sequence[Any]:
        together = threading.Barrier(THREADS)

        def start(number: int) -> Any:
            together.wait(timeout=30)
            return one(number)

        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(start, range(THREADS)))

    yield run
    sys.setswitchinterval(usual_s)


def _client(request: pytest.FixtureRequest) -> Any:
    match request.param:
        case engine if engine == IN_PROCESS:
            return InProcessDynamoDB()
        case engine if engine == MOTO:
            return request.getfixturevalue("_moto")
        case engine if engine == MINISTACK:
            return request.getfixturevalue("engine").client("dynamodb", REGION)
        case engine if engine == DYNAMODB_LOCAL:
            return request.getfixturevalue("_dynamodb_local")
        case lean if lean == MINISTACK + LEAN:
            return _lean_client(request.getfixturevalue("engine").url)
        case lean if lean == DYNAMODB_LOCAL + LEAN:
            return _lean_client(request.getfixturevalue("_dynamodb_local").meta.endpoint_url)
        case other:
            raise AssertionError(f"no engine is called {other}")


@pytest.fixture
def _moto() -> Iterator[Any]:
    """moto answers every client in this process while the test lasts."""
    from moto import mock_aws  # noqa: PLC0415 - slow to import, and only these tests want it

    with mock_aws():
        yield _moto_client()


@functools.cache
def _moto_client() -> Any:
    return _boto3_client()


@pytest.fixture(scope="session")
def _dynamodb_local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    log_file = tmp_path_factory.mktemp("dynamodb-local") / "log"
    started = DynamoDBLocal(fetched(), log=log_file)
    try:
        yield _boto3_client(endpoint_url=started.url)
    finally:
        started.stop()


@functools.cache
def _lean_client(url: str) -> Any:
    client = _boto3_client(endpoint_url=url)
    return LeanClient(client, credentials=Credentials("test", "test"))


def _boto3_client(**more: Any) -> Any:
    return boto3.client(  # noqa: TID251 - the tests' own edge
        "dynamodb",
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=THREADS + 4,
        ),
        **more,
    )
