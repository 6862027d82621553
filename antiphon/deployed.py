"""A deployed system: addresses from its stacks, requests that say who asks, calls of AWS.

By the token or key that the command line was told, or signed with the environment's credentials.
What operators do goes to AWS itself, by those credentials: what they allow is IAM's affair.
"""

from functools import cache
from pathlib import Path
from typing import Any

import httpx
from boto3.session import Session

from antiphon.client.signing import BearerToken, IamSignature
from antiphon.connection import CLIENTS, HTTP_TIMEOUT_S, Connection, bearer
from antiphon.network import Wan
from antiphon.problems import NothingListening, Problem
from infra.deploy.rollout import REGION_STACK
from infra.deploy.stacks import Stack, StackFailed
from infra.deploy.system import Refused, System, system_of

_NOT_THERE = "only the regions on this machine have a network that can be broken"


class DeployedConnection(Connection):
    """The regions of a system on AWS, and the clients to them."""

    def __init__(self, system: System, session: Session, *, file: Path | None = None) -> None:
        super().__init__(base_port=0, aws_port=0, regions=system.regions)
        # What says which deployment it is to whoever else is to work on it.
        self.file = file
        self._session = session
        self._auth = cache(lambda: _auth_of(session))
        self._address = cache(self._look_up)

    @property
    def aws_endpoint(self) -> str:
        """There is none: each service of a region has its own."""
        raise Problem(_NOT_THERE)

    def url(self, region: str) -> str:
        """The address of a region's HTTP API, as its stack tells it."""
        return self._address(region)

    def http(self, region: str, *, timeout_s: float = HTTP_TIMEOUT_S) -> httpx.Client:
        """Make a client of a region's HTTP API; the caller closes it."""
        return httpx.Client(base_url=self.url(region), timeout=timeout_s, auth=self._auth())

    def async_http(self, *, connections: int) -> httpx.AsyncClient:
        """Make an asynchronous client for all regions; requests carry the whole address."""
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        return httpx.AsyncClient(timeout=HTTP_TIMEOUT_S, limits=limits, auth=self._auth())

    def request(self, region: str, *, method: str, path: str, **content: Any) -> httpx.Response:
        """Send one request; raises NothingListening if the region does not answer."""
        try:
            with self.http(region) as client:
                return client.request(method, path, **content)
        except httpx.TransportError as error:
            raise NothingListening(f"{region} does not answer: {error}") from error

    def wan(self) -> Wan:
        """Tell of the network what can be known from here: nothing but who is in it."""
        return Wan(regions=self.regions)

    def change_wan(self, action: str, **_order: object) -> None:
        """Refuse: the network of a deployment is nobody's to break from here."""
        raise Problem(f"{action}: {_NOT_THERE}")

    def client(self, service: str, region: str) -> Any:
        """Make a client of any service of a region."""
        # The stubs know a client only by a literal name, which this is not.
        return self._session.client(service, region_name=region, config=CLIENTS)  # type: ignore[call-overload]

    def _look_up(self, region: str) -> str:
        try:
            return Stack(self.client("cloudformation", region), REGION_STACK).outputs()[
                "ApiEndpoint"
            ]
        except StackFailed as error:
            raise Problem(f"{error}; deploy first") from error


def deployment(file: Path) -> DeployedConnection:
    """Return the connection to what a file of `antiphon deploy` says; raises Problem."""
    try:
        return DeployedConnection(system_of(file), Session(), file=file)
    except Refused as error:
        raise Problem(str(error)) from error


def _auth_of(session: Session) -> httpx.Auth:
    if (shown := bearer()) is not None:
        return BearerToken(shown)
    credentials = session.get_credentials()
    if credentials is None:
        raise Problem("no AWS credentials; set AWS_PROFILE, sign in, or show a token by --bearer")
    return IamSignature(credentials)
