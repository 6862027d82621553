"""The HTTP APIs of a deployed system: addresses from its stacks, requests signed or with a token.

Signed as IAM asks of callers of an API of API Gateway, by the environment's own credentials.
"""

from functools import cache
from typing import Any

import httpx
from boto3.session import Session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from antiphon.problems import NothingListening, Problem
from infra.deploy.aws import clients_of
from infra.deploy.rollout import REGION_STACK
from infra.deploy.stacks import Stack, StackFailed
from infra.deploy.system import System

SERVICE = "execute-api"
TIMEOUT_S = 30.0


class DeployedApis:
    """Sends requests to each region of a system on AWS."""

    def __init__(self, system: System, session: Session, *, bearer: str | None = None) -> None:
        """Args: bearer: the token to show; requests are signed if it is None."""
        self.regions = system.regions
        self._session = session
        self._clients = clients_of(session)
        self._bearer = bearer
        self._address = cache(self._look_up)

    def request(self, region: str, *, method: str, path: str, **content: Any) -> httpx.Response:
        """Send one request. Raises: NothingListening, Problem."""
        with httpx.Client(base_url=self._address(region), timeout=TIMEOUT_S) as client:
            request = client.build_request(method, path, **content)
            if self._bearer is None:
                self._sign(request, region)
            else:
                request.headers["Authorization"] = f"Bearer {self._bearer}"
            try:
                return client.send(request)
            except httpx.TransportError as error:
                raise NothingListening(f"{region} does not answer: {error}") from error

    def _look_up(self, region: str) -> str:
        try:
            outputs = Stack(self._clients("cloudformation", region), REGION_STACK).outputs()
        except StackFailed as error:
            raise Problem(f"{error}; deploy first") from error
        return outputs["ApiEndpoint"]

    def _sign(self, request: httpx.Request, region: str) -> None:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise Problem("no AWS credentials; set AWS_PROFILE or sign in, or show a --token")
        signed = AWSRequest(
            method=request.method,
            url=str(request.url),
            data=request.content,
            headers={"Content-Type": request.headers.get("Content-Type", "application/json")},
        )
        SigV4Auth(credentials, SERVICE, region).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
