"""Both transports, built alike, against servers that follow a script."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver, Credentials

from handlers.lean.client import LeanClient
from tests.handlers.lean.certificates import Authority
from tests.handlers.lean.server import Server, Step

TRIES = 2
READ_S = 0.4
NOBODYS = object()  # Credentials, where there are none.
Build = Callable[..., Any]


class _Given(CredentialProvider):
    METHOD = "given"

    def __init__(self, credentials: Any) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Any:
        return self._credentials


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that either transport would have waited before another try."""
    seconds: list[float] = []
    # Where boto3 waits it takes nothing that could be given to it.
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=seconds.append))
    return seconds


@pytest.fixture
def build(paused: list[float]) -> Iterator[Build]:
    """Return what builds the client of a transport for an address."""
    built: list[Any] = []

    def make(
        transport: str,
        url: str | None,
        *,
        credentials: Any = None,
        verify: bool | str = True,
        tries: int = TRIES,
        service: str = "dynamodb",
        now_s: Callable[[], float] | None = None,
        **config: Any,
    ) -> Any:
        if credentials is None:
            credentials = Credentials("key", "secret", "session/token=")
        elif credentials is NOBODYS:
            credentials = None
        core = botocore.session.get_session()
        core.register_component("credential_provider", CredentialResolver([_Given(credentials)]))
        settings = {
            "retries": {"mode": "standard", "total_max_attempts": tries},
            "connect_timeout": READ_S,
            "read_timeout": READ_S,
        }
        client = boto3.session.Session(botocore_session=core).client(
            service,
            region_name="eu-west-1",
            endpoint_url=url,
            verify=verify,
            config=Config(**(settings | config)),
        )
        if transport == "lean":
            clock = {} if now_s is None else {"now_s": now_s}
            client = LeanClient(
                client, credentials=credentials, verify=verify, pause=paused.append, **clock
            )
        built.append(client)
        return client

    yield make
    for client in built:
        client.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Return what starts a server with the steps of its script."""
    started: list[Server] = []

    def start(*script: Step, **more: Any) -> Server:
        started.append(Server(script, **more))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))
