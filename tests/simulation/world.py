"""Three regions in one process and in virtual time: the real functions on AWS as it can be.

A world plays one plan and is used once. It knows nothing of what is right: it lets things
happen, has them recorded, and at the end lets everything calm down.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from eventstore.errors import StoreUnavailable, described
from handlers.settings import Settings
from infra.local.shard import Discarded
from projections.homes import HomesStore
from tests.dynamodb.in_process import Change
from tests.simulation.bus import Bus
from tests.simulation.chances import Chances
from tests.simulation.clients import Clients
from tests.simulation.deployment import (
    GLOBAL_TABLES,
    REGIONAL_TABLES,
    SHARDS,
    queues_of,
    stream_mapping,
)
from tests.simulation.engine import Engine
from tests.simulation.eventual_tables import EventualTables
from tests.simulation.faults import CallFaults
from tests.simulation.functions import Functions, Sandbox
from tests.simulation.history import KeptMessage
from tests.simulation.mappings import Minutely, QueueMapping
from tests.simulation.network import Network
from tests.simulation.observer import Observer
from tests.simulation.opening import Opening
from tests.simulation.operators import Operator
from tests.simulation.plan import Chore, Op, Plan
from tests.simulation.queues import Message, Queue, QueueWeather
from tests.simulation.regional_tables import RegionalTables
from tests.simulation.streams import Stream, StreamWeather
from tests.simulation.strong_tables import StrongTables
from tests.simulation.virtual_time import VirtualTime

# 2027-01-15, a Friday: true time at the start of every run.
EPOCH_MS = 1_800_000_000_000.0
_EVENTS = "antiphon-events"
_GLOBAL = frozenset(f"antiphon-{name}" for name in GLOBAL_TABLES)


class World:
    """Everything of one run."""

    def __init__(self, plan: Plan, sandboxes: Sequence[Sandbox]) -> None:
        self.plan = plan
        self.settings: Settings = sandboxes[0].settings
        self.regions = self.settings.regions
        self._chances = Chances(plan.seed)
        self.time = VirtualTime(self._chances.of("ties"))
        self.observer = Observer(self.time)
        self.met = self.observer.met
        self.network = Network(self.regions)
        self.weather = plan.climate
        self.call_faults = CallFaults(plan.call_faults)
        self.throttled: list[tuple[str, str]] = []
        self.refusing: list[str] = []
        # Region, function and call before which its processes stand still.
        self.stalled: list[tuple[str, str, str]] = []
        self.kept: list[KeptMessage] = []
        self.surprises: list[str] = []
        self.operators: list[Operator] = []
        self._latency = self._chances.of("latency")
        self._queue_weather = QueueWeather(
            repeats=plan.climate.message_repeats, delays=plan.climate.message_delays
        )
        self._stream_weather = StreamWeather(
            repeats=plan.climate.stream_repeats,
            reorders=plan.climate.stream_reorders,
            delay_ms=plan.climate.stream_delay_ms,
        )
        self.queues = queues_of(taken_in=any(one.kind == "replay" for one in plan.chores))
        self._make_tables()
        self.functions = Functions(self, sandboxes, self._chances.of("sandboxes"))
        self._make_messaging()
        self.clients = Clients(self, self._chances.of("clients"))

    def _make_tables(self) -> None:
        self.journal = Engine(GLOBAL_TABLES)
        self.observer.in_clear = Opening(self.journal)
        self.strong = StrongTables(
            self.time,
            self.network,
            journal=self.journal,
            replicas={region: Engine(GLOBAL_TABLES) for region in self.regions},
            appended=self.observer.appended,
            shown=self._shown,
            lag_ms=self._replica_lag_ms,
            read_lag_ms=self.plan.climate.read_lag_ms,
            chance=self._chances.of("reads of replicas"),
        )
        self.eventual = self._eventual_tables() if self.plan.mode == "EVENTUAL" else None
        self.tables = {
            region: RegionalTables(
                self.time,
                Engine(REGIONAL_TABLES),
                chance=self._chances.of(f"tables {region}"),
                lags=self.plan.climate.eventual_lags,
                epoch_ms=EPOCH_MS,
                changed=partial(self._changed, region),
            )
            for region in self.regions
        }

    def _eventual_tables(self) -> EventualTables:
        """Return the event table's replicas; every slot gets its first home beside them."""
        homes = HomesStore(self.journal, table="antiphon-control")  # type: ignore[arg-type]
        homes.spread(self.regions)
        self.observer.appended("", self.journal.changes[-1])
        return EventualTables(
            self.time,
            self.network,
            table=_EVENTS,
            replicas={region: Engine(("events",)) for region in self.regions},
            shown=self._changed_in_replica,
            # What a replica of the other mode lags behind in all is here only the way to the road.
            pickup_ms=10 * self.plan.climate.replica_lag_ms,
            chance=self._chances.of("replication"),
        )

    def _changed_in_replica(self, region: str, change: Change) -> None:
        self.observer.appended(region, change)
        self._shown(region, change)

    def _make_messaging(self) -> None:
        self._queues = {
            (region, terms.name): Queue(
                self.time,
                terms,
                region=region,
                chance=self._chances.of(f"queue {terms.name} {region}"),
                weather=self._queue_weather,
                wall_ms=lambda: int(EPOCH_MS + self.time.now_ms),
                bury=partial(self._bury, region),
                met=self.met,
            )
            for region in self.regions
            for terms in self.queues
        }
        self._mappings = {
            (region, terms.name): QueueMapping(
                self.time,
                self._queues[region, terms.name],
                chance=self._chances.of(f"polling {terms.name} {region}"),
                invoke=partial(self.functions.invoke, region, function),
                met=self.met,
            )
            for region in self.regions
            for terms in self.queues
            if (function := terms.function)
        }
        self._streams = {
            region: [self._stream(region, shard) for shard in range(SHARDS)]
            for region in self.regions
        }
        self._sweepers = {
            region: Minutely(
                self.time,
                invoke=partial(self.functions.invoke, region, "sweeper"),
                has_work=partial(self.owes_answers, region),
            )
            for region in self.regions
        }
        self._buses = {
            region: Bus(
                chance=self._chances.of(f"bus {region}"),
                refuses=partial(self._refuses, region),
                accepted=partial(self.observer.published, region),
                met=self.met,
            )
            for region in self.regions
        }

    def _stream(self, region: str, shard: int) -> Stream:
        return Stream(
            self.time,
            stream_mapping(region),
            chance=self._chances.of(f"stream {region} {shard}"),
            weather=self._stream_weather,
            invoke=partial(self.functions.invoke, region, "projector"),
            wall_ms=lambda: int(EPOCH_MS + self.time.now_ms),
            given_up=partial(self._given_up, region),
            met=self.met,
        )

    # What functions call.

    def dynamodb(
        self, region: str, operation: str, table: str, request: dict[str, Any]
    ) -> dict[str, Any]:
        """Serve a call to DynamoDB in a region."""
        if self.eventual is not None and table == _EVENTS:
            return self.eventual.call(operation, request, region=region)
        if table in _GLOBAL:
            return self.strong.call(operation, request, region=region)
        return self.tables[region].call(operation, request)

    def queue(self, region: str, name: str) -> Queue:
        """Return a queue of a region."""
        return self._queues[region, name]

    def bus(self, region: str) -> Bus:
        """Return the bus of a region."""
        return self._buses[region]

    def latency_ms(self, a: str, b: str) -> float:
        """Return how long a request or an answer takes from one region to another."""
        chance = self._latency
        tail_ms = chance.expovariate(1 / 300) if chance.random() < self.weather.slow_calls else 0.0
        return self.network.one_way_ms(a, b) + 0.5 + 2.0 * chance.random() + tail_ms

    def random_bytes(self, count: int) -> bytes:
        """Return what keys are made of: the same in every run of a seed."""
        return self._chances.of("keys").randbytes(count)

    def _replica_lag_ms(self) -> float:
        mean_ms = self.weather.replica_lag_ms
        return self._chances.of("replicas").expovariate(1 / mean_ms) if mean_ms else 0.0

    def elapsed_ms(self, region: str) -> float:
        """Return how long a region's processes take it to be since the start of the run."""
        return self.time.now_ms * (1 + self.plan.drifts.get(region, 0.0))

    def wall_ms(self, region: str) -> float:
        """Return what a region's clock says: true time and its error."""
        return EPOCH_MS + self.time.now_ms + self.plan.skews_ms.get(region, 0.0)

    def is_throttled(self, region: str, site: str) -> bool:
        """Say whether calls of a kind are throttled in a region now."""
        return bool(self.throttled) and (region, site) in self.throttled

    def raised(self, function: str, region: str, error: Exception) -> None:
        """Take what a handler raised, which Lambda would log."""
        self.met(f"raised: {function} {type(error).__name__}")
        if not isinstance(error, StoreUnavailable):
            self.surprises.append(f"{function} in {region}: {described(error)}")

    # What happens by itself.

    def _shown(self, region: str, change: Change) -> None:
        if change.table != _EVENTS:
            return
        aggregate_id = change.key["a"]["S"]
        self._streams[region][zlib.crc32(aggregate_id.encode()) % SHARDS].show(change)

    def _changed(self, region: str, change: Change) -> None:
        self.observer.changed(region, change)
        if change.table == "antiphon-responses" and "pending" in (change.new or {}):
            self._sweepers[region].ring()

    def _refuses(self, region: str) -> bool:
        return region in self.refusing and self._chances.of("refusals").random() < 0.7

    def _bury(self, region: str, queue: str, message: Message) -> None:
        self.queue(region, queue).put_aside(message)

    def _given_up(self, region: str, discarded: Discarded) -> None:
        body = orjson.dumps({"Records": discarded.records}).decode()
        self.kept.append(KeptMessage(region=region, place="stream", body=body))

    # What operators, clients and outages do.

    def begin(self, op: Op) -> None:
        """Let a client begin with an operation."""
        self.time.start(partial(self.clients.do, op))

    def employ(self, chore: Chore) -> None:
        """Let an operator begin with a chore."""
        operator = Operator(self, chore)
        self.operators.append(operator)
        self.time.start(operator.run)

    def kill(self, region: str) -> None:
        """Let a region die: its processes are gone, its tables and queues stay, unreachable."""
        if region in self.network.down:
            return
        self.network.take_down(region)
        for one in self._of(region):
            one.stopped = True
        self.functions.end_all(region)

    def revive(self, region: str) -> None:
        """Start a region that was killed; it goes on with what its tables and queues hold."""
        if region not in self.network.down:
            return
        self.network.bring_up(region)
        for one in self._of(region):
            one.stopped = False
            one.ring()

    def _of(self, region: str) -> list[Any]:
        mappings = [one for (where, _), one in self._mappings.items() if where == region]
        return [*mappings, *self._streams[region], self._sweepers[region]]

    def calm_down(self) -> None:
        """End every fault: from now on all that was begun can come to its end."""
        self.weather = replace(self.weather, slow_calls=0.0)
        self._queue_weather.repeats = self._queue_weather.delays = 0.0
        self._stream_weather.repeats = 0.0

    # What is left.

    def owes_answers(self, region: str) -> bool:
        """Say whether the region has an answer that is still to be published."""
        engine = self.tables[region].engine
        return engine.holds_index("antiphon-responses", "pending")

    def under_way(self) -> list[str]:
        """Return what still moves, or will: empty once everything has come to rest."""
        left = [f"operator: {one.chore.kind}" for one in self.operators if one.busy]
        left += [f"answers owed by {r}" for r in self.regions if self.owes_answers(r)]
        left += [
            f"stream of {r}" for r, s in self._streams.items() if not all(o.is_quiet for o in s)
        ]
        left += [
            f"messages of {terms.name} in {region}"
            for region in self.regions
            for terms in self.queues
            if terms.function and self.queue(region, terms.name).messages
        ]
        left += (
            [f"{self.strong.pending(self.regions)} copies"]
            if self.strong.pending(self.regions)
            else []
        )
        if self.eventual is not None and (pending := self.eventual.pending()):
            left.append(f"{pending} commits on their way")
        return left
