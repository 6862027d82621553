"""Three regions in one process: the real handlers on real tables, with queues a test can hold.

Each region has views and responses of its own on the engine; the log is one table for all,
which is what strong consistency makes of it. Messages between regions wait in lists until the
test delivers them, so every order of arrival can be played without any waiting.
"""

import functools
import io
import itertools
import json
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from eventstore.commits import Commit, to_image
from eventstore.errors import StoreUnavailable
from eventstore.log import DynamoDBLog
from eventstore.subject_keys import SubjectKeys
from handlers import (
    command_queue,
    commands,
    dead_letters,
    projector,
    queries,
    responder,
    sweeper,
)
from handlers.dependencies import Dependencies
from handlers.discards import Discards
from handlers.settings import Settings
from projections.control import Control
from projections.lane import lane_messages
from projections.letters import Letter
from projections.regions import ControlStore, RegionState, Topology
from projections.responder import Answer
from tests.dynamodb import tables
from tests.dynamodb.kms import InProcessKms

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
KMS_KEY = "alias/antiphon-personal"
_numbers = itertools.count()
Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

ACTIVATION = {
    "type": "ActivateSubscriber",
    "command_id": "prov-0001",
    "producer": "crm-emea",
    "occurred_at": "2026-11-23T10:00:00Z",
    "data": {
        "imsi": "262011234567890",
        "msisdn": "+4915112345678",
        "iccid": "8949020000012345670",
        "service_profile": "consumer-5g",
    },
}


class Crash(BaseException):
    """The process is gone: nothing catches this but the test."""


class Crashes:
    """Counts calls to the outside, and crashes before or after one of them."""

    def __init__(self) -> None:
        self.calls = 0
        self._planned: tuple[int, str] | None = None

    def plan(self, *, call: int, when: str) -> None:
        self.calls = 0
        self._planned = (call, when)

    def around(self, call: Callable[..., Any], *args: Any, **more: Any) -> Any:
        number, self.calls = self.calls, self.calls + 1
        if self._planned == (number, "before"):
            raise Crash
        result = call(*args, **more)
        if self._planned == (number, "after"):
            raise Crash
        return result


class CrashingClient:
    """An AWS client whose every call may be the last."""

    def __init__(self, client: Any, crashes: Crashes) -> None:
        self._client = client
        self._crashes = crashes

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)
        return functools.partial(self._crashes.around, call)


class HeldQueues:
    """Queues whose messages wait for the test; a region in `unreachable` takes none."""

    def __init__(self, network: "Network") -> None:
        self._network = network

    def send(self, region: str, queue: str, body: str, **more: Any) -> None:
        self._network.crashes.around(self._send, region, queue, body, **more)

    def _send(self, region: str, queue: str, body: str, **more: Any) -> None:
        if region in self._network.unreachable:
            raise StoreUnavailable(f"{region} cannot be reached")
        self._network.messages[region, queue].append(body)
        self._network.extras[region, queue].append(more)

    def retry_soon(self, record: Mapping[str, Any]) -> None:
        self._network.messages[record["messageId"], "retried"].append(record["body"])

    def acknowledge(self, bodies: Mapping[str, Sequence[str]]) -> frozenset[str]:
        unheard = set()
        for origin, messages in bodies.items():
            for body in messages:
                try:
                    self.send(origin, "acks", body)
                except StoreUnavailable:
                    unheard.add(origin)
        return frozenset(unheard)

    def ring(self, region: str, commit: Commit) -> None:
        for body in lane_messages([commit]):
            self.send(region, "lane", body)

    def redeliver(self, region: str, commits: Sequence[Commit]) -> None:
        for body in lane_messages(commits, again=True):
            self._network.messages[region, "later"].append(body)

    def hasten(
        self, regions: Sequence[str], commit: Commit, *, committed_at_ms: int, within_s: float
    ) -> None:
        for region in regions:
            if region not in self._network.unreachable:
                for body in lane_messages([commit], committed_at_ms=committed_at_ms):
                    self.send(region, "lane", body)


class HeldBus:
    """A bus that keeps what was published, and can refuse or lose entries."""

    def __init__(self, crashes: Crashes) -> None:
        self.published: list[Answer] = []
        self.refusing = False
        self._crashes = crashes

    def __call__(self, answers: Sequence[Answer]) -> frozenset[str]:
        published: frozenset[str] = self._crashes.around(self._publish, answers)
        return published

    def _publish(self, answers: Sequence[Answer]) -> frozenset[str]:
        if self.refusing:
            return frozenset()
        self.published += answers
        return frozenset(answer.commit_id for answer in answers)


class Bucket:
    """An S3 client of objects that a test has put."""

    class exceptions:  # noqa: N801 - as boto3 calls it
        NoSuchKey = KeyError

    def __init__(self, objects: Mapping[tuple[str, str], bytes]) -> None:
        self._objects = objects

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803 - as boto3's
        return {"Body": io.BytesIO(self._objects[Bucket, Key])}


REPLAYER = "AROAREPLAYER"


class Region:
    """One region's handlers, each made when a test first calls it."""

    def __init__(self, deps: Dependencies, bus: HeldBus, queues: HeldQueues) -> None:
        self.name = deps.settings.region
        self.deps = deps
        self.bus = bus
        # cached properties: what is set here is what the handlers find.
        deps.__dict__["queues"] = queues
        object.__setattr__(deps.responder, "publish", bus)

    @functools.cached_property
    def _commands(self) -> Handler:
        return commands.make_handler(self.deps)

    @functools.cached_property
    def _command_queue(self) -> Handler:
        return command_queue.make_handler(self.deps)

    @functools.cached_property
    def _projector(self) -> Handler:
        return projector.make_handler(self.deps)

    @functools.cached_property
    def _responder(self) -> Handler:
        return responder.make_handler(self.deps)

    @functools.cached_property
    def _sweeper(self) -> Handler:
        return sweeper.make_handler(self.deps)

    @functools.cached_property
    def _dead_letters(self) -> Handler:
        return dead_letters.make_handler(self.deps)

    @functools.cached_property
    def _queries(self) -> Handler:
        return queries.make_handler(self.deps)

    def post(
        self, body: Any, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        text = body if isinstance(body, str) else json.dumps(body)
        answer = self._commands({"body": text, "headers": dict(headers or {})}, None)
        return answer["statusCode"], json.loads(answer["body"])

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, **query: str
    ) -> tuple[int, dict[str, Any]]:
        answer = self._queries(
            {
                "version": "2.0",
                "rawPath": path,
                "headers": dict(headers or {}),
                "queryStringParameters": query or None,
                "requestContext": {"http": {"method": "GET", "path": path}, "stage": "$default"},
            },
            None,
        )
        return answer["statusCode"], json.loads(answer["body"])

    def take_from_queue(self, *records: Mapping[str, Any]) -> list[str]:
        told = self._command_queue({"Records": list(records)}, None)
        return [failure["itemIdentifier"] for failure in told["batchItemFailures"]]

    def stream(
        self,
        *commits: Commit,
        event_name: str = "INSERT",
        spoil: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> list[str]:
        """Bring commits to the projector as the stream does; return what failed.

        `spoil` puts other attributes into the images of some records, by their number.
        """
        records = [
            {
                "eventSource": "aws:dynamodb",
                "eventName": event_name,
                "dynamodb": {
                    "SequenceNumber": str(number),
                    "Keys": {"a": {"S": c.aggregate_id}, "q": {"N": str(c.position)}},
                    "NewImage": to_image(c) | dict((spoil or {}).get(number, {})),
                },
            }
            for number, c in enumerate(commits)
        ]
        told = self._projector({"Records": records}, None)
        return [failure["itemIdentifier"] for failure in told["batchItemFailures"]]

    def project(self, *bodies: str) -> list[str]:
        """Bring lane messages to the projector; return what failed."""
        return self._from_queue(self._projector, bodies)

    def acknowledge(self, *bodies: str) -> list[str]:
        """Bring acknowledgements to the responder; return what failed."""
        return self._from_queue(self._responder, bodies)

    def later(self, *, ms: int) -> None:
        """Let time pass, for this region alone."""
        for part in (self.deps.projector, self.deps.responder, self.deps.sweeper):
            object.__setattr__(part, "now_ms", _shifted(part.now_ms, ms))
        edge = self.deps.edge
        now = edge.clock.now
        clock = replace(edge.clock, now=lambda: now() + timedelta(milliseconds=ms))
        self.deps.edge = replace(edge, clock=clock)

    def bury(self, queue: str, body: str, **more: Any) -> list[str]:
        """Bring a message of a dead-letter queue to the dead letters; return what failed."""
        record = {
            "messageId": f"m{next(_numbers)}",
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{self.name}:000000000000:{queue}",
            "body": body,
            "attributes": {"SentTimestamp": "1700000000000"},
            **more,
        }
        told = self._dead_letters({"Records": [record]}, None)
        return [failure["itemIdentifier"] for failure in told["batchItemFailures"]]

    def order(self, order: str, letter: str, **more: str) -> tuple[str, str]:
        """Have an order on a letter carried out; return its outcome and what was told."""
        told = self._dead_letters({"order": order, "letter": letter, **more}, None)
        return told["outcome"], told["detail"]

    def settle_letters(self) -> dict[str, Any]:
        """Let the schedule of the dead letters come."""
        settled: dict[str, Any] = self._dead_letters({"source": "aws.events"}, None)
        return settled

    @property
    def letters(self) -> dict[str, Letter]:
        ids = [letter.letter_id for letter in self.deps.letters.all()]
        return {one: letter for one in ids if (letter := self.deps.letters.get(one))}

    def sweep(self) -> dict[str, Any]:
        swept: dict[str, Any] = self._sweeper({}, None)
        return swept

    def _from_queue(self, handler: Any, bodies: Sequence[str]) -> list[str]:
        records = [
            {"eventSource": "aws:sqs", "messageId": str(number), "body": body}
            for number, body in enumerate(bodies)
        ]
        told = handler({"Records": records}, None)
        return [failure["itemIdentifier"] for failure in told["batchItemFailures"]]

    @property
    def answers(self) -> list[dict[str, Any]]:
        return [json.loads(answer.body) for answer in self.bus.published]


def _shifted(now_ms: Callable[[], int], ms: int) -> Callable[[], int]:
    return lambda: now_ms() + ms


class Network:
    """The regions and the messages between them."""

    mode = "STRONG"
    # Who may what; tests of anything else let everyone do everything.
    authorization = "NONE"
    grants: Mapping[str, Sequence[str]] = {}

    def __init__(self, engine: Any, *, extensions: str = "") -> None:
        self._extensions = extensions
        self.crashes = Crashes()
        self.kms = InProcessKms(KMS_KEY)
        self.messages: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.extras: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        self.unreachable: set[str] = set()
        self.discards: dict[tuple[str, str], bytes] = {}
        number = next(_numbers)
        events = f"events-h{number}"
        _make_tables(engine, events=events, number=number)
        client = CrashingClient(engine.client("dynamodb"), self.crashes)
        self.log = DynamoDBLog(client, table=events)  # type: ignore[arg-type]
        self.states = ControlStore(client, table=f"control-h{number}", regions=REGIONS)  # type: ignore[arg-type]
        # The clock by which states grow old: it stands still until a test lets time pass.
        self.elapsed_s = 0.0
        self.without_states: set[str] = set()
        self.regions = {name: self._region(engine, name, events, number) for name in REGIONS}

    def _region(self, engine: Any, name: str, events: str, number: int) -> Region:
        settings = Settings.of(
            {
                "ANTIPHON_FUNCTION": "commands",
                "ANTIPHON_REGIONS": ",".join(REGIONS),
                "ANTIPHON_MODE": self.mode,
                "ANTIPHON_AUTHORIZATION": self.authorization,
                "ANTIPHON_GRANTS": json.dumps(self.grants),
                "ANTIPHON_REPLAYER": REPLAYER,
                "ANTIPHON_PROVE_AFTER_MS": "50",
                # One read in a test: what is counted does not depend on how long it takes.
                "ANTIPHON_BUILDS_FRESH_S": "60",
                "ANTIPHON_BUILDS_HOLD_S": "300",
                "ANTIPHON_EXTENSIONS": self._extensions,
                "ANTIPHON_SECRET": "a secret of the tests",
                "ANTIPHON_ACCOUNT": "000000000000",
                "ANTIPHON_EVENTS_TABLE": events,
                "ANTIPHON_VIEWS_TABLE": f"views-h{number}",
                "ANTIPHON_RESPONSES_TABLE": f"responses-h{number}",
                "ANTIPHON_SNAPSHOTS_TABLE": f"snapshots-h{number}",
                "ANTIPHON_LETTERS_TABLE": f"letters-h{number}",
                "ANTIPHON_CONTROL_TABLE": f"control-h{number}",
                "ANTIPHON_KEYS_TABLE": f"keys-h{number}",
                "ANTIPHON_KMS_KEY": KMS_KEY,
                "ANTIPHON_BUS": "antiphon",
                "ANTIPHON_LANE_QUEUE": "lane",
                "ANTIPHON_ACKS_QUEUE": "acks",
                "ANTIPHON_DEAD_COMMANDS_QUEUE": "dead",
                "ANTIPHON_COMMANDS_QUEUE": "commands",
                "ANTIPHON_ANSWERS_QUEUE": "answers",
                "ANTIPHON_DISCARDED_QUEUE": "discarded",
            },
            region=name,
        )
        deps = Dependencies(settings, self._clients(engine, name))
        self._give_log(deps)
        deps.__dict__["subject_keys"] = SubjectKeys(
            self.log._client,
            self.kms,  # type: ignore[arg-type]
            table=settings.keys_table,
            kms_key=KMS_KEY,
            elapsed_s=lambda: self.elapsed_s,
            fresh_s=settings.keys_fresh_s,
            random_bytes=os.urandom,
        )
        deps.__dict__["control"] = Control(
            StatesFrom(self, name),  # type: ignore[arg-type]
            elapsed_s=lambda: self.elapsed_s,
            fresh_s=settings.control_fresh_s,
            assumed=Topology.all_active(REGIONS),
        )
        deps.__dict__["discards"] = Discards(Bucket(self.discards))  # type: ignore[arg-type]
        return Region(deps, HeldBus(self.crashes), self._queues(name))

    def _clients(self, engine: Any, _region: str) -> Any:
        return _EngineClients(engine, self.crashes, self.kms)

    def _queues(self, _region: str) -> HeldQueues:
        return HeldQueues(self)

    def _give_log(self, deps: Dependencies) -> None:
        deps.__dict__["log"] = self.log

    def __getitem__(self, name: str) -> Region:
        return self.regions[name]

    def move(self, region: str, *states: RegionState, adopter: str | None = None) -> None:
        """Move a region from state to state; functions learn of it once their time is over."""
        for state in states:
            before = self.states.read()
            after = before.moved(region, state, at_ms=1, adopter=adopter)
            assert self.states.change(before, after)

    def states_grow_old(self) -> None:
        """Let pass what a function may go by what it has read."""
        self.elapsed_s += self[REGIONS[0]].deps.settings.control_fresh_s

    def take(self, region: str, queue: str) -> list[str]:
        """Return the messages waiting in a queue, and empty it."""
        return self.messages.pop((region, queue), [])

    def posted(self, **fields: Any) -> Commit:
        """Have a command decided in the first region; its messages stay where they are."""
        _, told = self[REGIONS[0]].post({**ACTIVATION, **fields})
        aggregate_id, _, position = told["commit"].rpartition(".")
        commit = self.log.get(aggregate_id, int(position), consistent=True)
        assert commit is not None
        return commit

    def settle(self, *, without: Sequence[str] = ()) -> None:
        """Deliver everything, again and again, until nothing is on its way."""
        for _ in range(20):
            busy = False
            for name in self.regions:
                if name in without:
                    continue
                lane, acks = self.take(name, "lane"), self.take(name, "acks")
                busy = busy or bool(lane or acks)
                assert not (self[name].project(*lane) if lane else [])
                assert not (self[name].acknowledge(*acks) if acks else [])
            if not busy:
                return
        raise AssertionError("the regions do not come to rest")


class StatesFrom:
    """The regions' states as one region reads them, unless it cannot."""

    def __init__(self, network: Network, region: str) -> None:
        self._network = network
        self._region = region

    def read(self) -> Topology:
        if self._region in self._network.without_states:
            raise StoreUnavailable("the states cannot be read")
        return self._network.states.read()


class _EngineClients:
    def __init__(self, engine: Any, crashes: Crashes, kms: InProcessKms) -> None:
        self._engine = engine
        self._crashes = crashes
        self._kms = kms

    def kms(self, region: str) -> Any:
        return self._kms

    def dynamodb(self, region: str) -> Any:
        return CrashingClient(self._engine.client("dynamodb", region), self._crashes)

    def events(self, region: str) -> Any:
        # A HeldBus stands in the bus's place before anything is published.
        return None


def _make_tables(engine: Any, *, events: str, number: int) -> None:
    tables.create(engine.client("dynamodb", REGIONS[0]), "events", name=events)
    tables.create(engine.client("dynamodb", REGIONS[0]), "control", name=f"control-h{number}")
    tables.create(engine.client("dynamodb", REGIONS[0]), "keys", name=f"keys-h{number}")
    for region in REGIONS:
        client = engine.client("dynamodb", region)
        for table in ("views", "responses", "snapshots", "letters"):
            tables.create(client, table, name=f"{table}-h{number}")
