"""The stores that hold what is personal, of any region: all of them open and seal by one cipher.

A store that is built elsewhere would keep subjects in clear. `Dependencies` has these, and adds
everything else.
"""

from functools import cached_property

from domain.registry import Registry
from eventstore.sealing import Sealing
from eventstore.snapshots import Snapshots
from eventstore.subject_keys import SubjectKeys
from handlers.clients import Clients
from handlers.edge import Edge
from handlers.metrics import DEAD_LETTERS, Meter, counted
from handlers.settings import Settings
from handlers.shared_tables import SharedTables
from projections.builds import BuildStore, Registered
from projections.erasure import ViewErasure
from projections.letters import LetterStore
from projections.projection import Projection
from projections.responses import ResponseStore


class PersonalStores(SharedTables):
    """Builds them for one function; each of its own region once."""

    settings: Settings
    edge: Edge
    registry: Registry
    projections: tuple[Projection, ...]
    _clients: Clients

    @cached_property
    def meter(self) -> Meter:
        return Meter(
            function=self.settings.function, write=self.edge.write, now_ms=self.edge.now_ms
        )

    @cached_property
    def subject_keys(self) -> SubjectKeys:
        return self.keys_of(self.settings.region)

    @cached_property
    def cipher(self) -> Sealing:
        tags = frozenset(one.tag for one in self.registry.aggregates if one.has_personal_data)
        return Sealing(self.subject_keys, tags=tags)

    @cached_property
    def snapshots(self) -> Snapshots:
        return self.snapshots_of(self.settings.region)

    @cached_property
    def letters(self) -> LetterStore:
        return self.letters_of(self.settings.region)

    def responses_of(self, region: str) -> ResponseStore:
        """Return the response items of any region: an answer's are where its command came in."""
        client = self._clients.dynamodb(region)
        table = self.settings.responses_table
        return ResponseStore(client, table=table, bounds=self.settings, cipher=self.cipher)

    def letters_of(self, region: str) -> LetterStore:
        """Return the dead letters of any region."""
        return LetterStore(
            self._clients.dynamodb(region),
            table=self.settings.letters_table,
            bounds=self.settings,
            filed=lambda filing: self.meter.tell(counted(DEAD_LETTERS, 1, source=filing.source)),
            cipher=self.cipher,
        )

    def snapshots_of(self, region: str) -> Snapshots:
        """Return the snapshots of any region."""
        return Snapshots(
            self._clients.dynamodb(region),
            table=self.settings.snapshots_table,
            window_ms=self.settings.token_window_s * 1000,
            cipher=self.cipher,
        )

    def keys_of(self, region: str) -> SubjectKeys:
        """Return the subjects' keys as any region reaches them: an operator's affair."""
        settings = self.settings
        return SubjectKeys(
            self.shared_of(region),
            self._clients.kms(region),
            table=settings.keys_table,
            kms_key=settings.kms_key,
            elapsed_s=self.edge.clock.elapsed_s,
            fresh_s=settings.keys_fresh_s,
            random_bytes=self.edge.random_bytes,
        )

    def erasure_of(self, region: str) -> ViewErasure:
        """Return what erases views in any region: an operator's task, of no function."""
        client, table = self._clients.dynamodb(region), self.settings.views_table
        registered = Registered(self.projections)
        return ViewErasure(
            client=client,
            table=table,
            first={name: registered.first(name).label for name in registered.names},
            states=BuildStore(client, table=table).read,
        )
