"""AWS clients with explicit region, time-outs and retries, built once and shared.

Time-outs are short on purpose: a region that does not answer within seconds is taken for
unreachable, and everything that calls it is safe to repeat.
"""

import threading
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

CONNECT_S = 1.0
READ_S = 3.0
MAX_ATTEMPTS = 2
MAX_CONNECTIONS = 50


class Clients:
    """Clients of any region, one of each. Safe to share between threads."""

    def __init__(self) -> None:
        self._session = boto3.session.Session()
        self._lock = threading.Lock()
        self._built: dict[tuple[str, str], Any] = {}

    def dynamodb(self, region: str) -> "DynamoDBClient":
        client: DynamoDBClient = self._client("dynamodb", region)
        return client

    def sqs(self, region: str) -> "SQSClient":
        client: SQSClient = self._client("sqs", region)
        return client

    def events(self, region: str) -> "EventBridgeClient":
        client: EventBridgeClient = self._client("events", region)
        return client

    def _client(self, service: str, region: str) -> Any:
        # boto3 sessions are not safe to build clients from in two threads at once.
        with self._lock:
            client = self._built.get((service, region))
            if client is None:
                config = Config(
                    connect_timeout=CONNECT_S,
                    read_timeout=READ_S,
                    retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
                    max_pool_connections=MAX_CONNECTIONS,
                )
                client = self._session.client(service, region_name=region, config=config)  # type: ignore[call-overload]
                self._built[service, region] = client
            return client
