"""Everything that a function needs, built from its settings, each part when first asked for."""

import time
from datetime import UTC, datetime
from functools import cached_property

from eventstore.decisions import Clock, EventStore
from eventstore.identity import Keys
from eventstore.log import DynamoDBLog
from eventstore.snapshots import Snapshots
from handlers.bus import Bus
from handlers.catalog import BUILT_IN
from handlers.clients import Clients
from handlers.extension import catalog_of, load_extension
from handlers.queues import Queues
from handlers.settings import Settings
from projections.letters import LetterStore
from projections.projector import Projector
from projections.proof import Prover
from projections.reading import Reader
from projections.responder import Responder
from projections.responses import ResponseStore
from projections.sweeper import Sweeper
from projections.views import ViewStore


class Dependencies:
    """The parts of one region's installation, wired for one function."""

    def __init__(self, settings: Settings, clients: Clients) -> None:
        self.settings = settings
        extensions = [BUILT_IN, *(load_extension(module) for module in settings.extensions)]
        self.catalog = catalog_of(extensions)
        self.registry = self.catalog.registry
        self.projections = self.catalog.projections
        self._clients = clients
        self.keys = Keys(settings.secret.get_secret_value().encode())

    @cached_property
    def log(self) -> DynamoDBLog:
        client = self._clients.dynamodb(self.settings.region)
        return DynamoDBLog(client, table=self.settings.events_table)

    @cached_property
    def event_store(self) -> EventStore:
        return EventStore(
            self.log,
            keys=self.keys,
            region=self.settings.region,
            clock=Clock(now=now, elapsed_s=time.monotonic, pause=time.sleep),
            bounds=self.settings,
            snapshots=self.snapshots,
        )

    @cached_property
    def queues(self) -> Queues:
        return Queues(self._clients, self.settings)

    @cached_property
    def snapshots(self) -> Snapshots:
        return Snapshots(
            self._clients.dynamodb(self.settings.region),
            table=self.settings.snapshots_table,
            window_ms=self.settings.token_window_s * 1000,
        )

    @cached_property
    def projector(self) -> Projector:
        region = self.settings.region
        return Projector(
            region=region,
            regions=frozenset(self.settings.regions),
            log=self.log,
            registry=self.registry,
            projections=self.projections,
            views=self.views_of(region),
            responses=self.responses_of(region),
            letters=LetterStore(self._clients.dynamodb(region), table=self.settings.letters_table),
            acknowledge=self.queues.acknowledge,
            redeliver=lambda commits: self.queues.redeliver(region, commits),
            now_ms=now_ms,
            bounds=self.settings,
        )

    @cached_property
    def responder(self) -> Responder:
        region = self.settings.region
        return Responder(
            region=region,
            required=frozenset(self.settings.regions),
            log=self.log,
            registry=self.registry,
            projections=self.projections,
            views=self.views_of(region),
            responses=self.responses_of(region),
            keys=self.keys,
            publish=Bus(self._clients.events(region), name=self.settings.bus),
            now_ms=now_ms,
            bounds=self.settings,
        )

    @cached_property
    def prover(self) -> Prover:
        return Prover(projections=self.projections, views_of=self.views_of, now_ms=now_ms)

    @cached_property
    def sweeper(self) -> Sweeper:
        return Sweeper(
            responder=self.responder,
            log=self.log,
            prover=self.prover,
            responses=self.responses_of(self.settings.region),
            ring=self.queues.ring,
            now_ms=now_ms,
            bounds=self.settings,
        )

    @cached_property
    def reader(self) -> Reader:
        return Reader(
            log=self.log,
            views=self.views_of(self.settings.region),
            registry=self.registry,
            keys=self.keys,
            elapsed_s=time.monotonic,
            pause=time.sleep,
            bounds=self.settings,
        )

    def views_of(self, region: str) -> ViewStore:
        """Return the views of any region: the sweeper reads those of all."""
        client = self._clients.dynamodb(region)
        table = self.settings.views_table
        return ViewStore(client, table=table, keys=self.keys, bounds=self.settings)

    def responses_of(self, region: str) -> ResponseStore:
        """Return the response items of any region: an answer's are where its command came in."""
        client = self._clients.dynamodb(region)
        table = self.settings.responses_table
        return ResponseStore(client, table=table, bounds=self.settings)


def now() -> datetime:
    """Return the wall clock, in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - the edge's clock, which everything within is given


def now_ms() -> int:
    """Return the wall clock in ms since 1970."""
    return int(time.time() * 1000)
