"""Everything that a function needs, built from its settings, each part when first asked for.

A part's module is imported when the part is built: a function starts with what it uses, and what
it uses it builds before its first event (`NEEDS` of its module), while Lambda starts it.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from eventstore.aws_errors import may_pass
from eventstore.errors import StoreUnavailable
from eventstore.identity import Keys
from handlers.access import Access
from handlers.catalog import BUILT_IN
from handlers.edge import Edge, real_edge
from handlers.extension import catalog_of, load_extension
from handlers.personal_stores import PersonalStores
from handlers.queues import Queues
from handlers.regional_logs import RegionalLogs
from projections.builds import BuildStore, Registered
from projections.failures import superseded, unanswerable
from projections.known_builds import KnownBuilds
from projections.views import ViewStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from eventstore.decisions import EventStore
    from handlers.clients import Clients
    from handlers.discards import Discards
    from handlers.forwarding import Forwarding
    from handlers.settings import Settings
    from projections.applying import Applier
    from projections.owed import Laggards
    from projections.projector import Projector
    from projections.proof import Prover
    from projections.reading import Reader
    from projections.rebuild import Rebuild
    from projections.responder import Responder
    from projections.sweeper import Sweeper


class Dependencies(PersonalStores, RegionalLogs):
    """The parts of one region's installation, wired for one function.

    Args:
        settings: the function's own.
        clients: AWS, of every region.
        edge: what is not AWS; the process's own clocks and threads unless given.

    """

    def __init__(self, settings: Settings, clients: Clients, edge: Edge | None = None) -> None:
        self.settings = settings
        self.edge = edge or real_edge(threads=settings.send_threads)
        extensions = [BUILT_IN, *(load_extension(module) for module in settings.extensions)]
        self.catalog = catalog_of(extensions)
        self.registry = self.catalog.registry
        self.projections = self.catalog.projections
        self._clients = clients
        self._builds: dict[str, KnownBuilds] = {}
        self._logs = {}
        secret = settings.secret.get_secret_value().encode()
        self.keys = Keys(secret, generation=settings.generation)
        self.access = Access(settings.authorization, settings.grants, replayer=settings.replayer)

    @cached_property
    def event_store(self) -> EventStore:
        from eventstore.decisions import EventStore

        return EventStore(
            self.log,
            keys=self.keys,
            region=self.settings.region,
            clock=self.edge.clock,
            bounds=self.settings,
            snapshots=self.snapshots,
            tenures=self.homes if self.has_homes else None,
            elsewhere=self.logs_elsewhere,
            cipher=self.cipher,
        )

    @cached_property
    def forwarding(self) -> Forwarding:
        from handlers.forwarding import Forwarding

        return Forwarding(
            self._clients.functions,
            function=self.settings.commands_function,
            origin=self.settings.region,
        )

    @cached_property
    def queues(self) -> Queues:
        return Queues(self._clients, self.settings, self.edge)

    @cached_property
    def projector(self) -> Projector:
        from projections.holding import Holds
        from projections.projector import Projector

        region = self.settings.region
        holds = Holds(elapsed_s=self.edge.clock.elapsed_s, hold_s=self.settings.builds_hold_s)
        return Projector(
            region=region,
            regions=frozenset(self.settings.regions),
            topology=self.control.known,
            builds=self.builds_of(region).settled,
            break_build=partial(self.build_store.break_off, holds=holds),
            applier=self.applier,
            responses=self.responses_of(region),
            letters=self.letters,
            acknowledge=self.queues.acknowledge,
            redeliver=lambda commits: self.queues.redeliver(region, commits),
            now_ms=self.edge.now_ms,
            bounds=self.settings,
        )

    @cached_property
    def applier(self) -> Applier:
        from projections.applying import Applier
        from projections.gaps import OneOrder, OwnReplica

        settings = self.settings
        return Applier(
            gaps=OwnReplica(self.log) if self.has_homes else OneOrder(self.log),
            registry=self.registry,
            # Builds as they are named: what is written is not what readers get.
            views=ViewStore(
                self._clients.dynamodb(settings.region),
                table=settings.views_table,
                keys=self.keys,
                bounds=settings,
                cipher=self.cipher,
            ),
            cipher=self.cipher,
            bounds=settings,
        )

    @cached_property
    def responder(self) -> Responder:
        from handlers.bus import Bus
        from projections.responder import Responder

        region = self.settings.region
        return Responder(
            region=region,
            regions=frozenset(self.settings.regions),
            topology=self.control.current,
            homes_of=self.homes_of,
            log=self.log,
            registry=self.registry,
            projections=self.projections,
            views=self.views_of(region),
            responses=self.responses_of(region),
            keys=self.keys,
            publish=Bus(
                self._clients.events(region),
                name=self.settings.bus,
                pause=self.edge.clock.pause,
            ),
            now_ms=self.edge.now_ms,
            cipher=self.cipher,
            bounds=self.settings,
        )

    @cached_property
    def prover(self) -> Prover:
        from projections.proof import Prover

        return Prover(projections=self.projections, views_of=self.views_of, now_ms=self.edge.now_ms)

    def dynamodb(self, region: str) -> DynamoDBClient:
        """Return the tables of any region."""
        return self._clients.dynamodb(region)

    @cached_property
    def laggards(self) -> Laggards:
        from projections.owed import Laggards

        return Laggards(
            projections=self.projections,
            client_of=self.dynamodb,
            builds_of=self.builds_of,
            side_by_side=self.edge.side_by_side,
            table=self.settings.views_table,
        )

    @cached_property
    def sweeper(self) -> Sweeper:
        from projections.sweeper import Sweeper

        return Sweeper(
            responder=self.responder,
            commit_at=self.owed_commit,
            prover=self.prover,
            responses=self.responses_of(self.settings.region),
            given=lambda region, commit_id: self.responses_of(region).get(commit_id),
            ring=self.queues.ring,
            keep=lambda commit: self.letters.file(superseded(commit), at_ms=self.edge.now_ms()),
            now_ms=self.edge.now_ms,
            bounds=self.settings,
        )

    @cached_property
    def discards(self) -> Discards:
        from handlers.discards import Discards

        return Discards(self._clients.s3(self.settings.region))

    @cached_property
    def reader(self) -> Reader:
        from projections.reading import Reader

        return Reader(
            log=self.log,
            newest=self.newest_log,
            views=self.views_of(self.settings.region),
            registry=self.registry,
            keys=self.keys,
            elapsed_s=self.edge.clock.elapsed_s,
            pause=self.edge.clock.pause,
            cipher=self.cipher,
            bounds=self.settings,
        )

    @cached_property
    def build_store(self) -> BuildStore:
        client = self._clients.dynamodb(self.settings.region)
        return BuildStore(client, table=self.settings.views_table)

    @cached_property
    def rebuild(self) -> Rebuild:
        """The rebuilds of this region's projections: an operator's task, of no function."""
        from eventstore.scanning import LogSegments
        from projections.checkpoints import Checkpoints
        from projections.holding import Holds
        from projections.rebuild import Rebuild
        from projections.removal import BuildRemoval

        client, table = self._clients.dynamodb(self.settings.region), self.settings.views_table
        return Rebuild(
            scan=LogSegments(client, table=self.settings.events_table),
            store=self.build_store,
            checkpoints=Checkpoints(client, table=table),
            removal=BuildRemoval(client, table=table),
            registered=Registered(self.projections),
            applier=self.applier,
            now_ms=self.edge.now_ms,
            holds=Holds(elapsed_s=self.edge.clock.elapsed_s, hold_s=self.settings.builds_hold_s),
        )

    def file_unanswerable(self, errors: Mapping[str, Exception], *, source: str) -> None:
        """File a letter for each answer that cannot be made, by commit id.

        What fails in passing is none. Where filing fails the answer stays pending all the
        same, and the next sweep files it.
        """
        for commit_id, error in errors.items():
            if not may_pass(error):
                with suppress(StoreUnavailable, ClientError):
                    failure = unanswerable(commit_id, error, source=source)
                    self.letters.file(failure, at_ms=self.edge.now_ms())

    def views_of(self, region: str) -> ViewStore:
        """Return the live views of any region: the sweeper reads those of all."""
        return ViewStore(
            self._clients.dynamodb(region),
            table=self.settings.views_table,
            keys=self.keys,
            bounds=self.settings,
            builds=self.builds_of(region),
            cipher=self.cipher,
        )

    def builds_of(self, region: str) -> KnownBuilds:
        """Return what is known of any region's builds, the same for all who ask."""
        if region not in self._builds:
            store = BuildStore(self._clients.dynamodb(region), table=self.settings.views_table)
            self._builds[region] = KnownBuilds(
                store,
                Registered(self.projections),
                elapsed_s=self.edge.clock.elapsed_s,
                fresh_s=self.settings.builds_fresh_s,
            )
        return self._builds[region]
