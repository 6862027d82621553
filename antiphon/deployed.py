"""The HTTP APIs of a deployed system: addresses from its stacks, requests that say who asks.

By the token or key that the command line was told, or signed with the environment's credentials.
"""

from functools import cache
from typing import Any

import httpx
from boto3.session import Session

from antiphon.client.signing import BearerToken, IamSignature
from antiphon.connection import HTTP_TIMEOUT_S, bearer
from antiphon.problems import NothingListening, Problem
from infra.deploy.aws import clients_of
from infra.deploy.rollout import REGION_STACK
from infra.deploy.stacks import Stack, StackFailed
from infra.deploy.system import System


class DeployedApis:
    """Sends requests to each region of a system on AWS."""

    def __init__(self, system: System, session: Session) -> None:
        self.regions = system.regions
        self._clients = clients_of(session)
        self._auth = _auth_of(session)
        self._address = cache(self._look_up)

    def request(self, region: str, *, method: str, path: str, **content: Any) -> httpx.Response:
        """Send one request; raises NothingListening if the region does not answer."""
        try:
            with httpx.Client(
                base_url=self._address(region), timeout=HTTP_TIMEOUT_S, auth=self._auth
            ) as client:
                return client.request(method, path, **content)
        except httpx.TransportError as error:
            raise NothingListening(f"{region} does not answer: {error}") from error

    def _look_up(self, region: str) -> str:
        try:
            return Stack(self._clients("cloudformation", region), REGION_STACK).outputs()[
                "ApiEndpoint"
            ]
        except StackFailed as error:
            raise Problem(f"{error}; deploy first") from error


def _auth_of(session: Session) -> httpx.Auth:
    if (shown := bearer()) is not None:
        return BearerToken(shown)
    credentials = session.get_credentials()
    if credentials is None:
        raise Problem("no AWS credentials; set AWS_PROFILE, sign in, or show a token by --bearer")
    return IamSignature(credentials)
