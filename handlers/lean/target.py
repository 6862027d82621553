"""Where a boto3 client would send its requests, asked of the client itself.

So every rule of botocore's about endpoints holds: settings, profiles, FIPS, dual stack, the
account's own endpoint. What a lean client cannot do as botocore would is named and refused.
"""

import os
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from botocore.httpsession import get_cert_path
from botocore.utils import get_environ_proxies

from handlers.lean.connections import Server
from handlers.lean.signing import Scope

if TYPE_CHECKING:
    from botocore.session import Session

# An operation without parameters, which could change the endpoint.
_LISTING = {"dynamodb": "list_tables", "sqs": "list_queues"}
_PORTS = {"http": 80, "https": 443}
_ALGORITHM = ["AWS4-HMAC-SHA256"]
_SCOPE_PARTS = 5


class Unsupported(Exception):
    """The client is one whose requests a lean client cannot send as it would."""


class Target:
    """Where requests go and what their signatures are for.

    Attributes:
        url: as botocore's errors name the endpoint.
        authority: the header Host, the port only where it is not the usual one.
        path: the path of every request.

    """

    def __init__(self, client: Any) -> None:
        """Ask the client.

        Raises:
            Unsupported: by what the message says.
            BotoCoreError: what a call of the client would raise, such as NoCredentialsError.

        """
        service = client.meta.service_model.service_id.hyphenize()
        # A URL signed by the client is made without a request, by all rules of the client's.
        asked = urlsplit(client.generate_presigned_url(_LISTING[service]))
        told = parse_qs(asked.query)
        if told.get("X-Amz-Algorithm") != _ALGORITHM:
            raise Unsupported("requests are not signed by Signature Version 4 with one key")
        scope = told["X-Amz-Credential"][0].split("/")[-_SCOPE_PARTS + 1 :]
        if asked.scheme not in _PORTS or asked.hostname is None:
            raise Unsupported(f"requests go to {asked.scheme}, not to HTTP or HTTPS")
        self.scope = Scope(region=scope[1], service=scope[2])
        self.authority, self.path = asked.netloc, asked.path or "/"
        self.host, self.scheme = asked.hostname, asked.scheme
        self.port = asked.port or _PORTS[asked.scheme]
        self.url = f"{asked.scheme}://{asked.netloc}{self.path}"
        usual = f":{_PORTS[asked.scheme]}"
        self.authority = asked.netloc.removesuffix(usual)
        config = client.meta.config
        if get_environ_proxies(self.url) or config.proxies:
            raise Unsupported("requests go through a proxy")
        if config.client_cert is not None:
            raise Unsupported("requests are made with a certificate of the client's")

    def server(self, client: Any, *, verify: bool | str) -> Server:
        """Return what to connect to.

        Args:
            client: whose time-outs hold.
            verify: whether certificates are checked, or the file of the authorities to trust.

        """
        config = client.meta.config
        return Server(
            host=self.host,
            port=self.port,
            tls=_tls(verify=verify) if self.scheme == "https" else None,
            connect_s=config.connect_timeout,
            read_s=config.read_timeout,
            url=self.url,
        )


def verify_of(session: "Session") -> bool | str:
    """Return whether a session's clients check certificates, or the authorities they trust."""
    bundle: str | None = session.get_config_variable("ca_bundle")
    # The second is botocore's too, for want of the first; nothing of ours reads it.
    return bundle or os.environ.get("REQUESTS_CA_BUNDLE") or True  # noqa: TID251


def _tls(*, verify: bool | str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(verify if isinstance(verify, str) else get_cert_path(verify))
    return context
