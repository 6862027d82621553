"""The lean client: a boto3 client of DynamoDB or SQS whose hot operations cost little CPU.

Calls, answers and errors are those of the boto3 client it stands on, which serves everything else
(`create_table`, paginators, `exceptions`, `meta`). Parameters are not checked before they are sent:
the service does. Binary values are bytes, never text; tables are given by name, not by ARN.
"""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.exceptions import (
    HTTPClientError,
    NoCredentialsError,
)
from botocore.handlers import add_recursion_detection_header

from handlers.lean.connections import Answer, Connections, Server
from handlers.lean.json_form import to_wire
from handlers.lean.outcomes import REDIRECT, Outcomes, read, skew_of
from handlers.lean.signing import Signer
from handlers.lean.target import Target, Unsupported

if TYPE_CHECKING:
    from botocore.credentials import Credentials, ReadOnlyCredentials

# The operations that are sent here, by service and method.
_SENT = {
    "dynamodb": {
        "batch_get_item": "BatchGetItem",
        "delete_item": "DeleteItem",
        "get_item": "GetItem",
        "put_item": "PutItem",
        "query": "Query",
        "scan": "Scan",
        "transact_get_items": "TransactGetItems",
        "transact_write_items": "TransactWriteItems",
        "update_item": "UpdateItem",
    },
    "sqs": {"send_message": "SendMessage"},
}
SERVICES = frozenset(_SENT)


class _Route(NamedTuple):
    """The way to the service, for credentials of one account."""

    account: str | None
    server: Server
    connections: Connections
    signer: Signer
    fixed: str


class LeanClient:
    """A client of one of `SERVICES`. Safe to share between threads.

    Args:
        client: what it stands on; region, time-outs, retries and endpoint are those of it.
        credentials: those of the client; asked before every try, so that refreshing works.
        verify: whether certificates are checked, or the file of the authorities to trust.
        now_s: seconds since 1970.
        pause: what waits for a number of seconds before another try.

    Raises:
        Unsupported: the client retries in another mode than "standard".

    """

    def __init__(
        self,
        client: Any,
        *,
        credentials: "Credentials | None",
        verify: bool | str = True,
        now_s: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        config, model = client.meta.config, client.meta.service_model
        retries: Mapping[str, Any] = config.retries or {}
        if retries.get("mode") != "standard":
            raise Unsupported("lean clients retry in the mode 'standard' only: set it in Config")
        self._client = client
        self._credentials = credentials
        self._kept = config.max_pool_connections
        self._verify = verify
        self._now_s = now_s
        self._pause = pause
        self._outcomes = Outcomes(client)
        self._lock = threading.Lock()
        self._route: _Route | None = None
        self._left_to_boto3 = False
        self._ahead_s = 0.0
        self._target = model.metadata["targetPrefix"]
        self._content_type = f"application/x-amz-json-{model.metadata['jsonVersion']}"
        # Asks for the errors' codes of the service's older protocol, which boto3's callers know.
        compatible = "awsQueryCompatible" in model.metadata
        self._more_headers = "x-amzn-query-mode: true\r\n" if compatible else ""
        for method, operation in _SENT[model.service_id.hyphenize()].items():
            setattr(self, method, self._sender(method, operation))

    def __getattr__(self, name: str) -> Any:
        """Leave everything else to boto3."""
        return getattr(self._client, name)

    def close(self) -> None:
        """Close the connections that are idle."""
        if self._route is not None:
            self._route.connections.close()
        self._client.close()

    def _sender(self, method: str, operation: str) -> Callable[..., dict[str, Any]]:
        def send(**request: Any) -> dict[str, Any]:
            if not self._left_to_boto3:
                try:
                    return self._call(operation, request)
                except Unsupported:
                    # Nothing was sent, and nothing will change about it.
                    self._left_to_boto3 = True
            answer: dict[str, Any] = getattr(self._client, method)(**request)
            return answer

        return send

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation == "TransactWriteItems" and "ClientRequestToken" not in request:
            # A try again must find the transaction that may have been done, not do it twice.
            request["ClientRequestToken"] = str(uuid.uuid4())  # noqa: TID251 - botocore does so
        body = to_wire(request)
        context: dict[str, Any] = {}
        tries = 0
        # Bounded by the client's own tries, which the retry handlers count.
        while True:
            tries += 1
            failure: Exception | tuple[Answer, dict[str, Any]]
            try:
                answer = self._try(operation, body)
                if answer.status_code < REDIRECT:
                    result = read(answer)
                    self._outcomes.succeeded(operation, answer, context)
                    result["ResponseMetadata"] = _metadata(answer, tries)
                    return result
                parsed = self._outcomes.refusal(operation, answer)
                failure = (answer, parsed)
            except (BotoConnectionError, HTTPClientError) as error:
                failure = error
            delay_s = self._outcomes.retry_after_s(
                operation, tries=tries, context=context, failure=failure
            )
            if delay_s is None and not self._was_skewed(failure, tries):
                if isinstance(failure, Exception):
                    raise failure
                parsed["ResponseMetadata"]["RetryAttempts"] = tries - 1
                raise self._outcomes.error(operation, parsed)
            self._pause(delay_s or 0)

    def _try(self, operation: str, body: bytes) -> Answer:
        if self._credentials is None:
            raise NoCredentialsError
        credentials = self._credentials.get_frozen_credentials()
        route = self._route_for(credentials)
        signed = route.signer.headers(
            credentials=credentials,
            target=f"{self._target}.{operation}",
            content_type=self._content_type,
            body=body,
            at_s=self._now_s() + self._ahead_s,
        )
        traced: dict[str, str] = {}
        add_recursion_detection_header({"headers": traced})
        trace = "".join(f"{name}: {value}\r\n" for name, value in traced.items())
        head = f"{route.fixed}{signed}{trace}content-length: {len(body)}\r\n\r\n"
        return route.connections.exchange(head.encode() + body)

    def _route_for(self, credentials: "ReadOnlyCredentials") -> _Route:
        route = self._route
        if route is not None and route.account == credentials.account_id:
            return route
        with self._lock:
            if self._route is not None and self._route.account == credentials.account_id:
                return self._route
            target = Target(self._client)
            server = target.server(self._client, verify=self._verify)
            route = _Route(
                account=credentials.account_id,
                server=server,
                connections=Connections(server, kept=self._kept),
                signer=Signer(target.scope, host=target.authority, path=target.path),
                fixed=f"POST {target.path} HTTP/1.1\r\nuser-agent: antiphon-lean\r\n"
                f"accept-encoding: identity\r\n{self._more_headers}",
            )
            self._route = route
            return route

    def _was_skewed(self, failure: Any, tries: int) -> bool:
        """Follow AWS's clock if ours is why the request was refused, once a call."""
        if tries > 1 or isinstance(failure, Exception):
            return False
        answer, parsed = failure
        found = skew_of(
            answer, parsed["Error"]["Code"], now_s=self._now_s(), offset_s=self._ahead_s
        )
        if found is None:
            return False
        self._ahead_s = found
        return True


def _metadata(answer: Answer, tries: int) -> dict[str, Any]:
    return {
        "RequestId": answer.headers.get("x-amzn-requestid", ""),
        "HTTPStatusCode": answer.status_code,
        "HTTPHeaders": answer.headers,
        "RetryAttempts": tries - 1,
    }
