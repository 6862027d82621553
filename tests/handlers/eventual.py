"""Regions in one process whose log is an eventually consistent global table.

Each has a replica of its own; the rules of replication say when a change reaches another, and
which of two is kept. Time passes only when a test lets it. A link that is cut lets nothing
through: no change, no call, no message. The homes and the regions' states are strongly consistent,
and a region can be cut off from them.
"""

import io
import json
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import EndpointConnectionError

from eventstore.clock import Clock
from eventstore.commits import Commit
from eventstore.errors import StoreUnavailable
from eventstore.log import DynamoDBLog
from handlers.dependencies import Dependencies
from infra.local.replication import ROUND_TRIPS_MS, EventualReplication, Links
from projections.homes import Homes, HomesStore, KnownHomes, slot_of
from tests.dynamodb import tables
from tests.dynamodb.in_process import Change, InProcessDynamoDB
from tests.handlers.network import REGIONS, HeldQueues, Network

_BEGAN = datetime(2026, 11, 24, tzinfo=UTC)


class EventualNetwork(Network):
    """The regions, their replicas, and what is on its way between them."""

    mode = "EVENTUAL"

    def __init__(self, engine: Any, *, seed: int = 0) -> None:
        self.links = Links(REGIONS, round_trips_ms=ROUND_TRIPS_MS, chance=random.Random(seed))
        self.rules = EventualReplication(
            self.links, replicas=REGIONS, pickup_ms=200, chance=random.Random(seed)
        )
        self.replicas: dict[str, InProcessDynamoDB] = {
            r: engine.client("dynamodb", r) for r in REGIONS
        }
        self.now_ms = 0.0
        # Called with its region before a commit is put: a put may take its time.
        self.before_put: Callable[[str], None] = lambda _region: None
        self.streams: dict[str, list[Change]] = defaultdict(list)
        self._seen: dict[str, int] = defaultdict(int)
        self._chance = random.Random(seed)
        self.events = ""
        super().__init__(engine)
        self.events = self[REGIONS[0]].deps.settings.events_table
        home = self[REGIONS[0]].deps
        self.homes = HomesStore(
            self.replicas[REGIONS[0]],  # type: ignore[arg-type]
            table=home.settings.control_table,
        )
        self.homes.spread(REGIONS)

    def _clients(self, engine: Any, region: str) -> Any:
        return _Calls(self, region)

    def _queues(self, region: str) -> HeldQueues:
        return _QueuesFrom(self, region)

    def _give_log(self, deps: Dependencies) -> None:
        """Give a region its replica and its clocks: all are wrong, and no two alike."""
        skew = timedelta(seconds=self._chance.uniform(-600, 600))
        clock = Clock(
            now=lambda: _BEGAN + skew + timedelta(milliseconds=self.now_ms),
            elapsed_s=lambda: self.elapsed_s,
            pause=self._pause,
        )
        deps.edge = replace(deps.edge, clock=clock, write=lambda _line: None)
        region, events = deps.settings.region, deps.settings.events_table
        if region != REGIONS[0]:
            tables.create(self.replicas[region], "events", name=events)
        deps.__dict__["homes"] = KnownHomes(
            _HomesFrom(self, region),  # type: ignore[arg-type]
            region=region,
            regions=REGIONS,
            elapsed_s=lambda: self.elapsed_s,
            fresh_s=deps.settings.homes_fresh_s,
        )

    def _pause(self, seconds: float) -> None:
        self.elapsed_s += seconds

    def cut(self, a: str, b: str) -> None:
        self._take_writes()
        self.links.cut(a, b)
        self.rules.links_changed(now_ms=self.now_ms)

    def isolate(self, region: str) -> None:
        """Cut a region off from all others; what it knows of the homes is good for a while."""
        for other in REGIONS:
            if other != region:
                self.cut(region, other)

    def heal(self) -> None:
        self._take_writes()
        self.links.heal()
        self.rules.links_changed(now_ms=self.now_ms)
        self.without_states.clear()

    def reaches(self, a: str, b: str) -> bool:
        return a == b or not self.links.is_cut(a, b)

    def pass_ms(self, ms: float) -> None:
        """Let time pass, and changes arrive meanwhile."""
        self._take_writes()
        until_ms = self.now_ms + ms
        while True:
            region = min(REGIONS, key=self.rules.next_ms)
            if self.rules.next_ms(region) > until_ms:
                break
            self.now_ms = max(self.now_ms, self.rules.next_ms(region))
            arrival = self.rules.due(region, now_ms=self.now_ms)
            assert arrival is not None
            if self.rules.wins(region, arrival):
                self.replicas[region].put_item(TableName=self.events, Item=arrival.image)
                self._take_writes(copied_to=region)
            self.rules.arrived(region, arrival)
        self.now_ms = until_ms
        self.elapsed_s += ms / 1000

    def _take_writes(self, *, copied_to: str | None = None) -> None:
        """Tell the rules what was written in each replica, and the streams what was changed."""
        for region, replica in self.replicas.items():
            for change in replica.changes[self._seen[region] :]:
                if change.table == self.events:
                    self.streams[region].append(change)
                    if region != copied_to:
                        key = (change.key["a"]["S"], change.key["q"]["N"])
                        self.rules.wrote(region, key, change.new, now_ms=self.now_ms)
            self._seen[region] = len(replica.changes)

    def stream(self, region: str, *, most: int = 10_000) -> None:
        """Bring what is in a region's stream to its projector."""
        self._take_writes()
        changes, self.streams[region] = self.streams[region][:most], self.streams[region][most:]
        records = [
            {
                "eventSource": "aws:dynamodb",
                "eventName": change.kind,
                "dynamodb": {
                    "SequenceNumber": str(change.number),
                    "Keys": change.key,
                    **({"NewImage": change.new} if change.new else {}),
                    **({"OldImage": change.old} if change.old else {}),
                },
            }
            for change in changes
        ]
        told = self[region]._projector({"Records": records}, None) if records else {}
        failed = {one["itemIdentifier"] for one in told.get("batchItemFailures", ())}
        again = [change for change in changes if str(change.number) in failed]
        self.streams[region] = again + self.streams[region]

    def deliver(self, region: str) -> None:
        """Bring a region what is in its stream and its queues."""
        self.stream(region)
        lane = self.take(region, "lane") + self.take(region, "later")
        acks = self.take(region, "acks")
        for body in self[region].project(*lane) if lane else []:
            self.messages[region, "lane"].append(lane[int(body)])
        for body in self[region].acknowledge(*acks) if acks else []:
            self.messages[region, "acks"].append(acks[int(body)])

    def come_to_rest(self, *, without: tuple[str, ...] = ()) -> None:
        """Let everything arrive, be applied, acknowledged and answered, as far as it can be."""
        for _ in range(6):
            self.pass_ms(1_000)
            for region in REGIONS:
                if region not in without:
                    self.deliver(region)
        self.pass_ms(20_000)
        for region in REGIONS:
            if region not in without:
                self[region].sweep()
        for region in REGIONS:
            if region not in without:
                self.deliver(region)

    def log_at(self, region: str) -> DynamoDBLog:
        return DynamoDBLog(self.replicas[region], table=self.events)  # type: ignore[arg-type]

    def set_homes(self, change: Any) -> None:
        """Change the homes as an operator would, at once, and let everybody learn of it."""
        before = self.homes.read()
        assert self.homes.change(before, change(before))
        self.elapsed_s += self[REGIONS[0]].deps.settings.homes_fresh_s + 1

    def take_by_force(self, aggregate_id: str, region: str) -> None:
        """Have a region take an aggregate's slot over from a home that is out of reach."""
        self.without_states.add(self.homes.read().of(aggregate_id).home)
        self._move(aggregate_id, region, by_force=True)

    def move_as_planned(self, aggregate_id: str, region: str) -> None:
        """Move an aggregate's slot once all regions have everything."""
        self._move(aggregate_id, region, by_force=False)

    def _move(self, aggregate_id: str, region: str, *, by_force: bool) -> None:
        number = slot_of(aggregate_id)
        self.set_homes(lambda before: before.moving({number: region}, by_force=by_force))
        if not by_force:
            self.come_to_rest()
        self.set_homes(lambda before: before.moved([number], by_force=by_force))


class _Calls:
    """The AWS clients of one region's functions, as far as its links let them call."""

    def __init__(self, network: EventualNetwork, caller: str) -> None:
        self._network = network
        self._caller = caller

    def dynamodb(self, region: str) -> Any:
        return _Cuttable(self._network, self._caller, region)

    def events(self, region: str) -> Any:
        return None

    def functions(self, region: str) -> Any:
        return _Functions(self._network, self._caller, region)


class _Cuttable:
    def __init__(self, network: EventualNetwork, caller: str, region: str) -> None:
        self._network = network
        self._ends = caller, region

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._network.replicas[self._ends[1]], name)

        def checked(**request: Any) -> Any:
            if not self._network.reaches(*self._ends):
                raise EndpointConnectionError(endpoint_url=self._ends[1])
            if name in {"put_item", "transact_write_items"} and self._network.events in str(
                request
            ):
                self._network.before_put(self._ends[0])
            return call(**request)

        return checked


class _Functions:
    def __init__(self, network: EventualNetwork, caller: str, region: str) -> None:
        self._network = network
        self._ends = caller, region

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803 - boto3's
        assert FunctionName == "antiphon-commands"
        if not self._network.reaches(*self._ends):
            raise EndpointConnectionError(endpoint_url=self._ends[1])
        told = self._network[self._ends[1]]._commands(json.loads(Payload), None)
        return {"Payload": io.BytesIO(json.dumps(told).encode())}


class _QueuesFrom(HeldQueues):
    """The queues of all regions, as far as one region's links let it send."""

    def __init__(self, network: EventualNetwork, caller: str) -> None:
        super().__init__(network)
        self._eventual = network
        self._caller = caller

    def _send(self, region: str, queue: str, body: str, **more: Any) -> None:
        if not self._eventual.reaches(self._caller, region):
            raise StoreUnavailable(f"{region} cannot be reached")
        super()._send(region, queue, body, **more)


class _HomesFrom:
    """The homes as one region reads them, unless it cannot."""

    def __init__(self, network: EventualNetwork, region: str) -> None:
        self._network = network
        self._region = region

    def read(self) -> Homes:
        if self._region in self._network.without_states:
            raise StoreUnavailable("the homes cannot be read")
        return self._network.homes.read()


def commit_of(network: EventualNetwork, told: dict[str, Any]) -> Commit:
    """Return the commit that a reply names, from wherever it is."""
    aggregate_id, _, position = told["commit"].rpartition(".")
    for region in REGIONS:
        if found := network.log_at(region).get(aggregate_id, int(position), consistent=True):
            return found
    raise AssertionError("no replica has it")
