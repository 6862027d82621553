"""How a producer says who it is: signed with AWS credentials, or with a bearer token.

Give one of these to `Producer` as `auth`, as the deployment authorizes its callers: by IAM or
by tokens of an issuer. A token may change while a producer runs, and credentials expire: both
are asked for at every request. Neither is for anything but requests to regions of Antiphon.
"""

import re
from collections.abc import Callable, Generator

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

SERVICE = "execute-api"
_API_HOST = re.compile(rf"[a-z0-9]+\.{SERVICE}\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?")


class BearerToken(httpx.Auth):
    """Shows a token of the issuer that the deployment trusts, or a development key.

    Args:
        token: the token, or what returns the one of now.

    """

    def __init__(self, token: str | Callable[[], str]) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Put the token into a request."""
        token = self._token if isinstance(self._token, str) else self._token()
        request.headers["Authorization"] = f"Bearer {token}"
        yield request


class IamSignature(httpx.Auth):
    """Signs requests with AWS credentials (Signature Version 4).

    Args:
        credentials: as `boto3.Session().get_credentials()` returns them; they renew themselves.
        region_of: the AWS region of an API's host; needed where regions have names of your own.

    """

    requires_request_body = True

    def __init__(
        self, credentials: Credentials, *, region_of: Callable[[str], str] | None = None
    ) -> None:
        self._credentials = credentials
        self._region_of = region_of or region_of_host

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Sign a request as it is sent."""
        region = self._region_of(request.url.host)
        request.headers.update(
            signature(
                self._credentials,
                region=region,
                method=request.method,
                url=str(request.url),
                body=request.content,
            )
        )
        yield request


def signature(
    credentials: Credentials, *, region: str, method: str, url: str, body: bytes
) -> dict[str, str]:
    """Return the headers that sign a request to a region's HTTP API with credentials as of now."""
    # Once for the whole signature: credentials may be renewed between two looks.
    frozen = credentials.get_frozen_credentials()
    signed = AWSRequest(method, url, data=body)
    SigV4Auth(frozen, SERVICE, region).add_auth(signed)
    names = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")
    return {name: signed.headers[name] for name in names if name in signed.headers}


def region_of_host(host: str) -> str:
    """Return the region of an API's own address.

    Raises:
        ValueError: it is another host, so `region_of` must say where it is.

    """
    found = _API_HOST.fullmatch(host)
    if found is None:
        raise ValueError(f"{host} names no AWS region; say which with IamSignature(region_of=...)")
    return found["region"]
