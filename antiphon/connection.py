"""Where the regions are, and the clients that reach them.

The only place in the command line that builds HTTP or AWS clients: regions, time-outs
and retries are explicit here. AWS calls go to the local endpoint with credentials that
protect nothing; it takes the region from the signature. `deployed` has the regions of AWS.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import typer
from boto3.session import Session
from botocore.config import Config
from pydantic import ValidationError

from antiphon.network import Wan
from antiphon.problems import NothingListening, Problem
from eventstore.subject_keys import Kms

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

DEFAULT_BASE_PORT = 8100
DEFAULT_AWS_PORT = 4566
HOST = "127.0.0.1"
WAN_PATH = "/_antiphon/wan"
BAD_GATEWAY = 502

HTTP_TIMEOUT_S = 30.0
CONTROL_TIMEOUT_S = 5.0
# Until the functions of a killed region are ready again, on a busy machine.
RESTART_TIMEOUT_S = 90.0
AWS_CONNECT_TIMEOUT_S = 5
# Longer than the longest receive of a queue that this command line asks for.
AWS_READ_TIMEOUT_S = 30
AWS_ATTEMPTS = 5
CLIENTS = Config(
    connect_timeout=AWS_CONNECT_TIMEOUT_S,
    read_timeout=AWS_READ_TIMEOUT_S,
    retries={"total_max_attempts": AWS_ATTEMPTS, "mode": "standard"},
    max_pool_connections=10,
)

BasePort = Annotated[
    int,
    typer.Option(
        "--base-port",
        min=1,
        max=65_000,
        help="The regions listen on the ports after this one.",
    ),
]
AwsPort = Annotated[
    int,
    typer.Option("--aws-port", min=1, max=65_535, help="The AWS endpoint's port, for all regions."),
]
RegionOption = Annotated[
    str | None, typer.Option("--region", help="The region to ask; the first one if left out.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

_bearer: ContextVar[str | None] = ContextVar("bearer", default=None)
_elsewhere: ContextVar["Callable[[], Connection] | None"] = ContextVar("elsewhere", default=None)


class Connection:
    """The regions of one running system and the clients to them."""

    def __init__(self, *, base_port: int, aws_port: int, regions: tuple[str, ...]) -> None:
        """Take the addresses as they are; `open` asks the system for its regions first."""
        # Here, not at each request: those may be made in any thread.
        self._headers = credentials()
        self.base_port = base_port
        self.aws_port = aws_port
        self.regions = regions

    @classmethod
    def open(cls, *, base_port: int, aws_port: int) -> "Connection":
        """Ask the running system for its regions; that of `work_on`, if it was called.

        Raises NothingListening if no AWS endpoint answers at `aws_port`.
        """
        if (elsewhere := _elsewhere.get()) is not None:
            return elsewhere()
        wan = cls(base_port=base_port, aws_port=aws_port, regions=()).wan()
        return cls(base_port=base_port, aws_port=aws_port, regions=wan.regions)

    @property
    def aws_endpoint(self) -> str:
        """The address of the AWS endpoint."""
        return f"http://{HOST}:{self.aws_port}"

    def region_named(self, name: str | None) -> str:
        """Return `name` if it is a region here, the first region if it is None."""
        if name is None:
            return self.regions[0]
        if name not in self.regions:
            raise Problem(f"no region {name} here; there are {', '.join(self.regions)}")
        return name

    def url(self, region: str) -> str:
        """The address of a region's HTTP API: the ports follow the order of the regions."""
        return f"http://{HOST}:{self.base_port + 1 + self.regions.index(region)}"

    def http(self, region: str, *, timeout_s: float = HTTP_TIMEOUT_S) -> httpx.Client:
        """Make a client of a region's HTTP API; the caller closes it."""
        return httpx.Client(
            base_url=self.url(region), timeout=timeout_s, headers=self._headers, trust_env=False
        )

    def async_http(self, *, connections: int) -> httpx.AsyncClient:
        """Make an asynchronous client for all regions; requests carry the whole address."""
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        return httpx.AsyncClient(
            timeout=HTTP_TIMEOUT_S, limits=limits, headers=self._headers, trust_env=False
        )

    def request(self, region: str, *, method: str, path: str, **content: Any) -> httpx.Response:
        """Send one request to a region; raises NothingListening if it does not answer."""
        try:
            with self.http(region) as client:
                return client.request(method, path, **content)
        except httpx.TransportError as error:
            address = self.url(region).removeprefix("http://")
            raise NothingListening(
                f"region {region} does not answer at {address} ({type(error).__name__}); "
                "see: antiphon status"
            ) from error

    def wan(self) -> Wan:
        """Read the network's state; raises NothingListening if nothing answers."""
        response = self._control("GET", None)
        try:
            return Wan.model_validate_json(response.content)
        except ValidationError as error:
            raise self._not_ours() from error

    def change_wan(
        self, action: str, *, timeout_s: float = CONTROL_TIMEOUT_S, **order: object
    ) -> None:
        """Order one of the actions; raises Problem with the reason if it was refused."""
        self._control("POST", {"action": action, **order}, timeout_s=timeout_s)

    def _control(
        self,
        method: str,
        content: dict[str, object] | None,
        *,
        timeout_s: float = CONTROL_TIMEOUT_S,
    ) -> httpx.Response:
        try:
            response = httpx.request(
                method,
                self.aws_endpoint + WAN_PATH,
                json=content,
                timeout=timeout_s,
                trust_env=False,
            )
        except httpx.TimeoutException as error:
            raise NothingListening(
                f"the regions at {HOST}:{self.aws_port} did not answer within {timeout_s:g} s; "
                "the machine may be busy: try again"
            ) from error
        except httpx.TransportError as error:
            raise NothingListening(
                f"no regions answer at {HOST}:{self.aws_port}; start them with: antiphon up"
            ) from error
        refused = response.is_client_error or response.status_code == BAD_GATEWAY
        if refused and content is not None:
            raise Problem(f"the WAN refused: {_reason(response)}")
        if not response.is_success:
            raise self._not_ours()
        return response

    def _not_ours(self) -> NothingListening:
        return NothingListening(
            f"what listens at {HOST}:{self.aws_port} is not Antiphon's AWS endpoint; "
            "free the port, or say where the endpoint is with --aws-port"
        )

    def dynamodb(self, region: str) -> "DynamoDBClient":
        """Make a client of a region's tables."""
        client: DynamoDBClient = self.client("dynamodb", region)
        return client

    def sqs(self, region: str) -> "SQSClient":
        """Make a client of a region's queues."""
        client: SQSClient = self.client("sqs", region)
        return client

    def events(self, region: str) -> "EventBridgeClient":
        """Make a client of a region's event bus."""
        client: EventBridgeClient = self.client("events", region)
        return client

    def kms(self, region: str) -> Kms:
        """Make a client of a region's keys."""
        client: Kms = self.client("kms", region)
        return client

    def functions(self, region: str) -> "LambdaClient":
        """Make a client of a region's functions."""
        client: LambdaClient = self.client("lambda", region)
        return client

    def client(self, service: str, region: str) -> Any:
        """Make a client of any service of a region."""
        # The stubs know a client only by a literal name, which this is not.
        return _session().client(  # type: ignore[call-overload]
            service,
            region_name=region,
            endpoint_url=self.aws_endpoint,
            config=CLIENTS,
        )


def work_on(elsewhere: "Callable[[], Connection] | None") -> None:
    """Have every connection that is opened from here on be this one; None for the local regions."""
    _elsewhere.set(elsewhere)


def worked_on() -> "Connection | None":
    """Return the connection that `work_on` said, None for the local regions."""
    elsewhere = _elsewhere.get()
    return None if elsewhere is None else elsewhere()


def identify(shown: str | None) -> None:
    """Have every connection that is made from here on say that this token or key asks."""
    _bearer.set(shown)


def bearer() -> str | None:
    """Return the token or key that this process was told to show, None if there is none."""
    return _bearer.get()


def credentials() -> dict[str, str]:
    """Return the headers that say to the regions who asks, as `antiphon --bearer` was told it."""
    return {} if (shown := bearer()) is None else {"Authorization": f"Bearer {shown}"}


@cache
def _session() -> Session:
    # One for all clients: it keeps the services' models, which are slow to read. Clients are
    # safe to use in any thread; build them in one.
    return Session(aws_access_key_id="antiphon", aws_secret_access_key="local")  # noqa: S106 - the local endpoint checks no credentials


def _reason(response: httpx.Response) -> str:
    """What a refusal says: the `message` of a JSON body, else the text itself."""
    try:
        content = response.json()
    except ValueError:
        return response.text.strip()
    return str(content.get("message", content)) if isinstance(content, dict) else str(content)
