"""An installation in this process, each of whose functions may call only what its role allows.

The real handlers, each with settings and clients of its own; regions that share their global
tables at once; queues that a test empties. Every call is put to the templates first, and what was
needed is remembered: nothing here judges what the functions do.
"""

import importlib
import io
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import botocore.session
from botocore.exceptions import ClientError, EndpointConnectionError
from botocore.paginate import Paginator

from eventstore.commits import with_text_binaries
from handlers.dependencies import Dependencies
from handlers.edge import Edge, real_edge
from handlers.settings import Settings
from infra.deploy.stacks import template_of
from projections.homes import HomesStore
from tests.dynamodb.errors import MODEL, refusal
from tests.dynamodb.kms import InProcessKms
from tests.permissions import FUNCTIONS, Check, PermittedKms, actions_of, check_of, declared
from tests.simulation.deployment import (
    ACCOUNT,
    GLOBAL_TABLES,
    KMS_KEY,
    REGIONAL_TABLES,
    settings_of,
)
from tests.simulation.engine import Engine
from tests.simulation.plan import Mode

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
BUCKET = "DiscardedBucket"
_numbers = itertools.count(1)


class Installation:
    """Three regions, and what waits in their queues, buckets and on their buses."""

    def __init__(self, mode: Mode = "STRONG") -> None:
        self.mode = mode
        self.shared = Engine(GLOBAL_TABLES)
        self.tables = {region: Engine(REGIONAL_TABLES) for region in REGIONS}
        self.messages: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self.objects: dict[str, bytes] = {}
        # What operators read as a function's environment.
        self.variables: dict[str, str] = {}
        self.published: list[dict[str, Any]] = []
        self.kms = InProcessKms(KMS_KEY)
        # Regions whose queues take nothing, and tables that are throttled.
        self.unreachable: set[str] = set()
        self.throttled: set[str] = set()
        # Regions whose own replica of the log shows nothing yet.
        self.hidden: set[str] = set()
        # Done once, before the next call of this operation on this table.
        self.meanwhile: dict[tuple[str, str], Callable[[], object]] = {}
        # What every clock of the installation is ahead of the machine's.
        self.ahead_ms = 0
        self._dependencies: dict[tuple[str, str], Dependencies] = {}
        self._handlers: dict[tuple[str, str], Any] = {}
        self._streamed = dict.fromkeys(REGIONS, 0)
        self.homes = HomesStore(self.shared, table="antiphon-control")  # type: ignore[arg-type]
        if mode == "EVENTUAL":
            self.homes.spread(REGIONS)

    def invoke(self, region: str, function: str, event: Mapping[str, Any]) -> Any:
        """Invoke a function: as warm as its last invocation has left it."""
        if (region, function) not in self._handlers:
            deps = self.dependencies(region, function)
            module = importlib.import_module(f"handlers.{function}")
            self._handlers[region, function] = module.make_handler(deps)
        return self._handlers[region, function](event, None)

    def dependencies(self, region: str, function: str) -> Dependencies:
        """Return what a function goes by, with clients that ask its role."""
        if (region, function) not in self._dependencies:
            clients: Any = Clients(self, region=region, check=check_of(function))
            self._dependencies[region, function] = Dependencies(
                settings(function, region, self.mode), clients, self._edge()
            )
        return self._dependencies[region, function]

    def cool(self) -> None:
        """Have every function start anew: what was in memory is gone."""
        self._dependencies, self._handlers = {}, {}

    def _edge(self) -> Edge:
        edge = real_edge(threads=4)
        now = edge.clock.now
        clock = replace(
            edge.clock,
            now=lambda: now() + timedelta(milliseconds=self.ahead_ms),
            pause=lambda _seconds: None,
        )
        return replace(edge, clock=clock, write=lambda _line: None)

    def post(self, region: str, command: Mapping[str, Any], **headers: str) -> dict[str, Any]:
        """Send a command to a region's API; return the body of the reply."""
        event = {"body": json.dumps(command), "headers": headers}
        told: dict[str, Any] = json.loads(self.invoke(region, "commands", event)["body"])
        return told

    def get(self, region: str, function: str, path: str, **query: str) -> dict[str, Any]:
        """Ask a region's API; `function` is the one that its route goes to."""
        event = {
            "version": "2.0",
            "rawPath": path,
            "headers": {},
            "queryStringParameters": query or None,
            "requestContext": {"http": {"method": "GET", "path": path}, "stage": "$default"},
        }
        answer = self.invoke(region, function, event)
        assert answer["statusCode"] == 200, answer
        told: dict[str, Any] = json.loads(answer["body"])
        return told

    def stream(
        self, region: str, *items: Mapping[str, Any], event_name: str = "INSERT"
    ) -> Sequence[str]:
        """Bring items of the log to a region's projector as the stream does."""
        records = records_of(*items, event_name=event_name)
        told = self.invoke(region, "projector", {"Records": records})
        return [one["itemIdentifier"] for one in told["batchItemFailures"]]

    def _bring_streams(self) -> None:
        """Bring what is new to every region: in EVENTUAL mode no lane does."""
        changes = [one for one in self.shared.changes if one.table == "antiphon-events"]
        for region in REGIONS:
            new = [one.new for one in changes[self._streamed[region] :] if one.new]
            self._streamed[region] = len(changes)
            assert not new or self.stream(region, *new) == []

    def send(self, region: str, queue: str, body: str, **attributes: str) -> None:
        """Put a message into a queue, as who is no function of ours."""
        url = f"https://sqs.{region}.amazonaws.com/{ACCOUNT}/{queue}"
        told = {
            name.replace("_", "-"): {"DataType": "String", "StringValue": text}
            for name, text in attributes.items()
        }
        _Queues(self, region, _anything).send_message(
            QueueUrl=url, MessageBody=body, MessageAttributes=told, MessageGroupId="g"
        )

    @property
    def log(self) -> list[dict[str, Any]]:
        """Every item of the log, in the order of its keys."""
        return [dict(item) for item in self.shared.items("antiphon-events")]

    def commit(self, commit_id: str) -> dict[str, Any]:
        """Return the item of a commit."""
        aggregate_id, _, position = commit_id.rpartition(".")
        wanted = ({"S": aggregate_id}, {"N": position})
        return next(one for one in self.log if (one["a"], one["q"]) == wanted)

    def letters(self, region: str) -> list[str]:
        """The ids of a region's letters."""
        return [item["id"]["S"] for item in self.tables[region].items("antiphon-letters")]

    def deliver(self, *, without: frozenset[str] = frozenset()) -> None:
        """Bring every message to the function of its queue, until none is left."""
        mapped = mappings()
        for _ in range(50):
            if self.mode == "EVENTUAL":
                self._bring_streams()
            waiting = [
                place
                for place, messages in self.messages.items()
                if messages and place[1] in mapped and place[1] not in without
            ]
            if not waiting:
                return
            for region, queue in waiting:
                records = self.messages.pop((region, queue))
                told = self.invoke(region, mapped[queue], {"Records": records})
                assert told["batchItemFailures"] == []
        raise AssertionError("the queues are never empty")


def records_of(*items: Mapping[str, Any], event_name: str = "INSERT") -> list[dict[str, Any]]:
    """Return stream records of items of the log."""
    image = "NewImage" if event_name == "INSERT" else "OldImage"
    return [
        {
            "eventSource": "aws:dynamodb",
            "eventName": event_name,
            "dynamodb": {
                "SequenceNumber": str(number),
                "Keys": {"a": item["a"], "q": item["q"]},
                image: with_text_binaries(dict(item)),
            },
        }
        for number, item in enumerate(items)
    ]


def _anything(_action: str, _resource: str) -> None:
    """Allow a call: it is none of a function's."""


def settings(function: str, region: str, mode: Mode) -> Settings:
    """Return a function's settings; waits of a test are short."""
    told = settings_of(function, region, REGIONS, mode=mode)
    return told.model_copy(update={"prove_after_ms": 0, "answer_poll_ms": 1})


@cache
def mappings() -> dict[str, str]:
    """Return the function of each queue, as the template maps them."""
    resources = template_of("region.yaml")["Resources"]
    return {
        resources[event["Properties"]["Queue"]["Fn::GetAtt"][0]]["Properties"][
            "QueueName"
        ]: function
        for function in FUNCTIONS
        for event in declared(function).get("Events", {}).values()
        if event["Type"] == "SQS"
    }


class Clients:
    """AWS as one function calls it, or an operator, who is in no region."""

    def __init__(self, installation: Installation, *, region: str, check: Check) -> None:
        self._installation = installation
        self._region = region
        self._check = check

    def _may(self, target: str, action: str, resource: str) -> None:
        self._check(action, resource, here=target == self._region)

    def dynamodb(self, region: str) -> Any:
        return _Tables(self._installation, region, partial(self._may, region))

    def sqs(self, region: str) -> Any:
        return _Queues(self._installation, region, partial(self._may, region))

    def events(self, region: str) -> Any:
        return _Bus(self._installation, partial(self._may, region))

    def functions(self, region: str) -> Any:
        return _Functions(self._installation, region, partial(self._may, region))

    def kms(self, region: str) -> Any:
        return PermittedKms(self._installation.kms, self._check, here=region == self._region)

    def s3(self, region: str) -> Any:
        return _Bucket(self._installation, partial(self._may, region))


May = Callable[[str, str], None]


class _Tables:
    # Who meters a client asks for its events; nothing is ever told.
    meta = SimpleNamespace(events=SimpleNamespace(register=lambda *_: None))

    def __init__(self, installation: Installation, region: str, may: May) -> None:
        self._installation = installation
        self._region = region
        self._shared, self._own = installation.shared, installation.tables[region]
        self._may = may

    def get_paginator(self, operation: str) -> Any:
        """Return botocore's own paginator, each of whose calls asks."""
        model = botocore.session.get_session().get_paginator_model("dynamodb")
        name = "".join(part.title() for part in operation.split("_"))
        return Paginator(
            getattr(self, operation), model.get_paginator(name), MODEL.operation_model(name)
        )

    def describe_table(self, **request: Any) -> Any:
        """Tell how many items there are, as DynamoDB does with some delay, and how it is copied."""
        self._may("dynamodb:DescribeTable", request["TableName"])
        copied = {"MultiRegionConsistency": "STRONG"}
        return {"Table": {"ItemCount": len(self._installation.log), **copied}}

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        name = "".join(part.title() for part in operation.split("_"))
        return partial(self._call, operation, name)

    def _call(self, operation: str, name: str, **request: Any) -> Any:
        needed = list(actions_of(name, request))
        for action, resource in needed:
            self._may(action, resource)
        table = needed[0][1].partition("/")[0].removeprefix("antiphon-")
        if (meanwhile := self._installation.meanwhile.pop((table, operation), None)) is not None:
            meanwhile()
        if table in self._installation.throttled:
            raise refusal(name, "ThrottlingException", "Rate exceeded")
        if table == "events" and self._region in self._installation.hidden:
            return {"Items": [], "Count": 0} if operation == "query" else {}
        engine = self._shared if table in GLOBAL_TABLES else self._own
        return getattr(engine, operation)(**request)


class _Queues:
    def __init__(self, installation: Installation, region: str, may: May) -> None:
        self._installation = installation
        self._region = region
        self._may = may

    def send_message(self, **request: Any) -> dict[str, Any]:
        queue = request["QueueUrl"].rpartition("/")[2]
        self._may("sqs:SendMessage", queue)
        if self._region in self._installation.unreachable:
            raise EndpointConnectionError(endpoint_url=request["QueueUrl"])
        message_id = f"m{next(_numbers)}"
        self._installation.messages[self._region, queue].append(
            {
                "messageId": message_id,
                "receiptHandle": message_id,
                "body": request["MessageBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{self._region}:{ACCOUNT}:{queue}",
                "attributes": {
                    "SentTimestamp": "1700000000000",
                    "MessageGroupId": request.get("MessageGroupId", ""),
                },
                "messageAttributes": {
                    name: {"stringValue": told["StringValue"], "dataType": "String"}
                    for name, told in request.get("MessageAttributes", {}).items()
                },
            }
        )
        return {"MessageId": message_id}

    def change_message_visibility(self, **request: Any) -> dict[str, Any]:
        self._may("sqs:ChangeMessageVisibility", request["QueueUrl"].rpartition("/")[2])
        return {}

    # What only operators ask of a queue.

    def get_queue_url(self, **request: Any) -> dict[str, Any]:
        self._may("sqs:GetQueueUrl", request["QueueName"])
        return {"QueueUrl": f"https://sqs/{ACCOUNT}/{request['QueueName']}"}

    def list_queues(self, **_request: Any) -> dict[str, Any]:
        self._may("sqs:ListQueues", "*")
        return {"QueueUrls": [f"https://sqs/{ACCOUNT}/{name}" for name in sorted(mappings())]}

    def get_queue_attributes(self, **request: Any) -> dict[str, Any]:
        queue = request["QueueUrl"].rpartition("/")[2]
        self._may("sqs:GetQueueAttributes", queue)
        count = len(self._installation.messages[self._region, queue])
        counts = dict.fromkeys(request["AttributeNames"], "0")
        return {"Attributes": counts | {"ApproximateNumberOfMessages": str(count)}}

    def receive_message(self, **request: Any) -> dict[str, Any]:
        queue = request["QueueUrl"].rpartition("/")[2]
        self._may("sqs:ReceiveMessage", queue)
        records = self._installation.messages.pop((self._region, queue), [])
        return {"Messages": [{"Body": o["body"], "ReceiptHandle": o["messageId"]} for o in records]}

    def delete_message(self, **request: Any) -> dict[str, Any]:
        self._may("sqs:DeleteMessage", request["QueueUrl"].rpartition("/")[2])
        return {}


class _Bus:
    def __init__(self, installation: Installation, may: May) -> None:
        self._installation = installation
        self._may = may

    def put_events(self, **request: Any) -> dict[str, Any]:
        for entry in request["Entries"]:
            self._may("events:PutEvents", entry["EventBusName"])
            self._installation.published.append(json.loads(entry["Detail"]))
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in request["Entries"]]}


class _Functions:
    def __init__(self, installation: Installation, region: str, may: May) -> None:
        self._installation = installation
        self._region = region
        self._may = may

    def get_function_configuration(self, **request: Any) -> dict[str, Any]:
        name = request["FunctionName"]
        self._may("lambda:GetFunctionConfiguration", f"function:{name}")
        return {"Environment": {"Variables": self._installation.variables}}

    def invoke(self, **request: Any) -> dict[str, Any]:
        name = request["FunctionName"]
        self._may("lambda:InvokeFunction", f"function:{name}")
        function = name.removeprefix("antiphon-").replace("-", "_")
        told = self._installation.invoke(self._region, function, json.loads(request["Payload"]))
        return {"Payload": io.BytesIO(json.dumps(told).encode())}


class _Bucket:
    class exceptions:  # noqa: N801 - as boto3 calls it
        class NoSuchKey(ClientError):
            """There is no such object, told to who may list the bucket."""

    def __init__(self, installation: Installation, may: May) -> None:
        self._objects = installation.objects
        self._may = may

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - as boto3's
        self._may("s3:GetObject", f"{Bucket}/*")
        if Key not in self._objects:
            # Without this right S3 answers 403 in place of 404.
            self._may("s3:ListBucket", Bucket)
            raise self.exceptions.NoSuchKey({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        return {"Body": io.BytesIO(self._objects[Key])}
