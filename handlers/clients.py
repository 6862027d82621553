"""AWS clients with explicit region, time-outs and retries, built once and shared.

Time-outs are short on purpose: a region that does not answer within seconds is taken for
unreachable, and everything that calls it is safe to repeat. DynamoDB and SQS are called by lean
clients unless the settings say boto3: both behave alike, and one suite of tests holds them to it.
A client of boto3's is botocore's: importing boto3 itself, with its transfers to S3, would only make
every function start later.
"""

import threading
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config

from eventstore.subject_keys import Kms
from handlers.lean.client import SERVICES, LeanClient
from handlers.lean.target import verify_of
from handlers.service_models import read_fast
from handlers.settings import EdgeBounds

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient


class Clients:
    """Clients of any region, one of each. Safe to share between threads."""

    def __init__(self, bounds: EdgeBounds) -> None:
        self._bounds = bounds
        self._session = botocore.session.get_session()
        read_fast(self._session)
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

    def functions(self, region: str) -> "LambdaClient":
        client: LambdaClient = self._client("lambda", region)
        return client

    def kms(self, region: str) -> Kms:
        client: Kms = self._client("kms", region)
        return client

    def s3(self, region: str) -> "S3Client":
        client: S3Client = self._client("s3", region)
        return client

    def _client(self, service: str, region: str) -> Any:
        # Sessions are not safe to build clients from in two threads at once.
        with self._lock:
            client = self._built.get((service, region))
            if client is None:
                config = Config(
                    connect_timeout=self._bounds.connect_s,
                    read_timeout=self._bounds.read_s,
                    retries={
                        "mode": "standard",
                        "total_max_attempts": self._bounds.call_tries,
                    },
                    max_pool_connections=self._bounds.connections,
                )
                client = self._session.create_client(service, region_name=region, config=config)
                if service in SERVICES and self._bounds.transport == "lean":
                    credentials = self._session.get_credentials()
                    verify = verify_of(self._session)
                    client = LeanClient(client, credentials=credentials, verify=verify)
                self._built[service, region] = client
            return client
