"""AWS's Signature Version 4 for requests of one service in one region.

The key of a day is derived once for each secret, which is most of what signing costs. Source: AWS
Identity and Access Management, "Create a signed AWS API request". Only requests with a constant
path and no query are signed here, such as DynamoDB's: nothing is normalised.
"""

import hashlib
import hmac
import time
from typing import NamedTuple

from botocore.credentials import ReadOnlyCredentials

_ALGORITHM = "AWS4-HMAC-SHA256"


class Scope(NamedTuple):
    """What a signature is valid for."""

    region: str
    service: str


class Signer:
    """Signs requests to one host. Safe to share between threads."""

    def __init__(self, scope: Scope, *, host: str, path: str) -> None:
        self._scope = scope
        self._host = host
        self._path = path
        # Replaced as a whole, so that a thread sees a key with the secret and day it is for.
        self._key: tuple[str, str, bytes] = ("", "", b"")

    def headers(
        self,
        *,
        credentials: ReadOnlyCredentials,
        target: str,
        content_type: str,
        body: bytes,
        at_s: float,
    ) -> str:
        """Return the header lines that sign a POST, the signed ones among them.

        Args:
            credentials: as they are now; a session token is signed too.
            target: the header X-Amz-Target.
            content_type: the header Content-Type.
            body: what is sent.
            at_s: seconds since 1970, on AWS's clock.

        """
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at_s))
        day = moment[:8]
        token, names = "", "content-type;host;x-amz-date;x-amz-target"
        if credentials.token:
            token = f"x-amz-security-token:{credentials.token}\n"
            names = "content-type;host;x-amz-date;x-amz-security-token;x-amz-target"
        signed = (
            f"content-type:{content_type}\nhost:{self._host}\nx-amz-date:{moment}\n"
            f"{token}x-amz-target:{target}\n"
        )
        digest = hashlib.sha256(body).hexdigest()
        canonical = f"POST\n{self._path}\n\n{signed}\n{names}\n{digest}"
        within = f"{day}/{self._scope.region}/{self._scope.service}/aws4_request"
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        to_sign = f"{_ALGORITHM}\n{moment}\n{within}\n{hashed}"
        key = self._key_of(str(credentials.secret_key), day)
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        return (
            signed.replace("\n", "\r\n")
            + f"authorization:{_ALGORITHM} Credential={credentials.access_key}/{within}, "
            f"SignedHeaders={names}, Signature={signature}\r\n"
        )

    def _key_of(self, secret: str, day: str) -> bytes:
        known_secret, known_day, key = self._key
        if (known_secret, known_day) != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, self._scope.region, self._scope.service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (secret, day, key)
        return key
