"""AWS as one process of a function calls it: boto's clients, over a network that can fail.

Every call is a point where the process may die, before or after; where the request or the
answer may get lost; where the service may refuse. The SDK's own tries are played, too, so a
lost answer may be hidden by a second try that meets what the first has done.
"""

from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Protocol

import orjson
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from tests.dynamodb.errors import refusal
from tests.dynamodb.kms import InProcessKms
from tests.permissions import PermittedKms, actions_of, check_of
from tests.simulation.deployment import KMS_KEY
from tests.simulation.faults import CallFault
from tests.simulation.streams import FunctionFailed

if TYPE_CHECKING:
    from tests.simulation.world import World

_RETRIED = frozenset({"ThrottlingException", "InternalServerError", "InternalFailure"})
_BACKOFF_MS = 50.0
# How long a process stands still that stalls: longer than a move waits for whoever appends.
_STALL_MS = 16_000.0
Act = Callable[[], dict[str, Any]]


class Process(Protocol):
    """Whose calls these are: one process of a function in a region."""

    function: str
    # Whose permissions it has: a function's, or those of one of the operators' policies.
    role: str
    region: str
    # Where the command came in that it is at, if it is at one.
    origin: str
    world: "World"

    def crash(self) -> None:
        """End the process here; raises `Ended` in whoever calls."""


class Calls:
    """The clients of every region, for one process: in place of `handlers.clients.Clients`."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._clients: dict[tuple[type[_Client], str], Any] = {}

    def dynamodb(self, region: str) -> Any:
        return self._client(_DynamoDB, region)

    def sqs(self, region: str) -> Any:
        return self._client(_SQS, region)

    def events(self, region: str) -> Any:
        return self._client(_Events, region)

    def functions(self, region: str) -> Any:
        return self._client(_Functions, region)

    def kms(self, region: str) -> Any:
        return PermittedKms(
            InProcessKms(KMS_KEY),
            check_of(self._process.role),
            here=region == self._process.region,
        )

    def _client(self, kind: "type[_Client]", region: str) -> Any:
        client = self._clients.get((kind, region))
        if client is None:
            client = self._clients[kind, region] = kind(self._process, region)
        return client


class _Client:
    """A client of one service in one region."""

    def __init__(self, process: Process, target: str) -> None:
        self._process = process
        self._target = target
        self._check = check_of(process.role)

    def _permit(self, action: str, resource: str) -> None:
        """Fail unless the function's role allows this, as AWS would deny it."""
        try:
            self._check(action, resource, here=self._target == self._process.region)
        except AssertionError as denied:
            # The code under test may go on after any error, and this is none of a run's.
            self._process.world.surprises.append(str(denied))
            raise

    def _call(self, site: str, act: Act) -> dict[str, Any]:
        """Make one call as the SDK makes it: with as many tries as the settings give it."""
        tries = self._process.world.settings.call_tries
        for number in range(1, tries + 1):
            try:
                return self._try(site, act)
            except (ConnectTimeoutError, ReadTimeoutError):
                if number == tries:
                    raise
            except ClientError as error:
                if number == tries or error.response["Error"]["Code"] not in _RETRIED:
                    raise
            self._process.world.time.sleep(_BACKOFF_MS * number)
        raise AssertionError("a call has at least one try")

    def _try(self, site: str, act: Act) -> dict[str, Any]:
        process, world = self._process, self._process.world
        network, sleep = world.network, world.time.sleep
        region, target = process.region, self._target
        fault = world.call_faults.next(region, process.function, site)
        if fault is not None:
            self._die_if(fault, "crash_before", site)
        if world.stalled and (region, process.function, site) in world.stalled:
            world.met(f"fault: stalled before {site}")
            sleep(_STALL_MS)
        if not network.all_open:
            self._connect()
        if fault is not None or world.throttled:
            self._refuse_if(fault, site)
        sleep(world.latency_ms(region, target))
        if fault is not None and fault.kind == "lose_request":
            self._lost(site, "request")
        if not network.is_open(region, target):
            self._lost(site, "request")
        try:
            answer = act()
        except ClientError:
            sleep(world.latency_ms(region, target))
            raise
        sleep(world.latency_ms(region, target))
        if (fault is not None and fault.kind == "lose_answer") or not network.is_open(
            region, target
        ):
            self._lost(site, "answer")
        if fault is not None:
            self._die_if(fault, "crash_after", site)
        return answer

    def _reaches(self) -> bool:
        return self._process.world.network.is_open(self._process.region, self._target)

    def _connect(self) -> None:
        world = self._process.world
        if not self._reaches():
            world.met("fault: no connection to a region")
            world.time.sleep(world.settings.connect_s * 1000)
            if not self._reaches():
                raise ConnectTimeoutError(endpoint_url=self._target)

    def _refuse_if(self, fault: CallFault | None, site: str) -> None:
        world = self._process.world
        throttled = world.is_throttled(self._target, site)
        if throttled or (fault and fault.kind == "throttle"):
            world.met(f"fault: throttled {site}")
            world.time.sleep(world.latency_ms(self._process.region, self._target) * 2)
            raise refusal(site.split(maxsplit=1)[0], "ThrottlingException", "Rate exceeded")

    def _lost(self, site: str, what: str) -> None:
        world = self._process.world
        world.met(f"fault: {what} lost {site}")
        world.time.sleep(world.settings.read_s * 1000)
        raise ReadTimeoutError(endpoint_url=self._target)

    def _die_if(self, fault: CallFault, kind: str, site: str) -> None:
        if fault.kind == kind:
            when = kind.removeprefix("crash_")
            process = self._process
            process.world.met(f"crash: {process.function} {when} {site}")
            process.crash()


class _DynamoDB(_Client):
    """A low-level DynamoDB client."""

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        if operation.startswith("_"):
            raise AttributeError(operation)
        made = partial(self._request, operation, "".join(p.title() for p in operation.split("_")))
        self.__dict__[operation] = made
        return made

    def _request(self, operation: str, name: str, **request: Any) -> dict[str, Any]:
        table = _table_of(request)
        for action, resource in actions_of(name, request):
            self._permit(action, resource)
        world, process = self._process.world, self._process

        def act() -> dict[str, Any]:
            try:
                answer = world.dynamodb(self._target, operation, table, request)
            except ClientError as error:
                world.observer.refused(process, operation, table, request, error)
                raise
            world.observer.answered(process, operation, table, request, answer)
            return answer

        return self._call(f"{name} {table.removeprefix('antiphon-')}", act)


def _table_of(request: dict[str, Any]) -> str:
    if "TableName" in request:
        return str(request["TableName"])
    if "RequestItems" in request:
        return str(next(iter(request["RequestItems"])))
    [entry] = request["TransactItems"][0].values()
    return str(entry["TableName"])


class _SQS(_Client):
    """A client of SQS."""

    def send_message(self, **request: Any) -> dict[str, Any]:
        name = self._name(request)
        self._permit("sqs:SendMessage", name)
        queue = self._process.world.queue(self._target, name)
        act = partial(queue.send, request["MessageBody"], request)
        return self._call(f"SendMessage {name.removeprefix('antiphon-')}", act)

    def change_message_visibility(self, **request: Any) -> dict[str, Any]:
        name = self._name(request)
        self._permit("sqs:ChangeMessageVisibility", name)
        queue = self._process.world.queue(self._target, name)
        act = partial(
            queue.change_visibility, request["ReceiptHandle"], request["VisibilityTimeout"]
        )
        return self._call(f"ChangeMessageVisibility {name.removeprefix('antiphon-')}", act)

    @staticmethod
    def _name(request: dict[str, Any]) -> str:
        return str(request["QueueUrl"]).rpartition("/")[2]


class _Events(_Client):
    """A client of EventBridge."""

    def put_events(self, **request: Any) -> dict[str, Any]:
        world = self._process.world
        self._permit("events:PutEvents", "antiphon")
        return self._call("PutEvents", lambda: world.bus(self._target).put(request["Entries"]))


class _Functions(_Client):
    """A client of Lambda."""

    def invoke(self, **request: Any) -> dict[str, Any]:
        self._permit("lambda:InvokeFunction", f"function:{request['FunctionName']}")
        name = str(request["FunctionName"]).removeprefix("antiphon-")
        event = orjson.loads(request["Payload"])
        return self._call(f"Invoke {name}", partial(self._invoked, name, event))

    def _invoked(self, name: str, event: dict[str, Any]) -> dict[str, Any]:
        """Have the function run in a task of its own: it goes on where its caller dies."""
        world, told = self._process.world, list[Any]()
        world.observer.forwarded(self._process, self._target)
        waiting = world.time.current
        assert waiting is not None, "only a task can invoke"
        ticket = waiting.ticket

        def run() -> None:
            try:
                answer = world.functions.invoke(self._target, name, event)
                if answer.get("refused") == "NotHome":
                    world.met("command sent on to who is not home")
                told.append({"Payload": BytesIO(orjson.dumps(answer))})
            except FunctionFailed:
                told.append({"Payload": BytesIO(b"{}"), "FunctionError": "Unhandled"})
            waiting.wake(ticket)

        world.time.start(run)
        world.time.wait(within_ms=world.settings.read_s * 1000)
        if not told:
            world.met(f"fault: no answer in time Invoke {name}")
            raise ReadTimeoutError(endpoint_url=self._target)
        answered: dict[str, Any] = told[0]
        return answered
