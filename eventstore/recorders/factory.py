"""Builds the recorders of one application from its environment: the edge of this package.

The only place here that makes clients, clocks and tokens. `PERSISTENCE_MODULE` names the
package; `settings` tells what else an environment must say.
"""

import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NoReturn, TypeVar

from boto3.session import Session
from botocore.config import Config
from eventsourcing.persistence import (
    InfrastructureFactory,
    InfrastructureFactoryError,
    NotSupportedError,
    Transcoder,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic

from eventstore.identity import Keys
from eventstore.log import DynamoDBLog
from eventstore.recorders.events import (
    NO_TRANSACTIONS,
    DynamoDBAggregateRecorder,
    DynamoDBApplicationRecorder,
)
from eventstore.recorders.library_errors import library_errors
from eventstore.recorders.patience import Patience
from eventstore.recorders.ranges import CommitRanges
from eventstore.recorders.regional import RegionalTable
from eventstore.recorders.settings import RecorderSettings
from eventstore.recorders.snapshots import DynamoDBSnapshotRecorder
from eventstore.recorders.stored_form import StoredForm
from eventstore.recorders.tables import make_event_table, make_regional_table
from eventstore.recorders.tracking import DynamoDBTrackingRecorder
from eventstore.recorders.transcoder import OrjsonTranscoder

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CONNECT_S = 1.0
READ_S = 3.0
MAX_ATTEMPTS = 2
MAX_CONNECTIONS = 50
TOKEN_BYTES = 16

EventRecorder = TypeVar("EventRecorder", bound=DynamoDBAggregateRecorder)


class DynamoDBFactory(InfrastructureFactory[DynamoDBTrackingRecorder]):
    """Makes what an `Application` is built of, on an event table and a regional table."""

    def __init__(self, env: Environment | EnvType | None) -> None:
        """Read the settings and make the client.

        Raises:
            InfrastructureFactoryError: a setting is missing or wrong.

        """
        super().__init__(env)
        self.settings = RecorderSettings.read(self.env)
        self.client = _client(self.settings)
        self._patience = Patience(
            elapsed_s=time.monotonic,
            pause=time.sleep,
            tries=self.settings.write_tries,
            total_s=self.settings.write_s,
            pause_s=self.settings.write_pause_s,
        )

    def transcoder(self) -> Transcoder:
        """Return the transcoder of `TRANSCODER_TOPIC`, else the one that loses no types."""
        return super().transcoder() if self.env.get(self.TRANSCODER_TOPIC) else OrjsonTranscoder()

    def aggregate_recorder(
        self, purpose: str = "events"
    ) -> DynamoDBAggregateRecorder | DynamoDBSnapshotRecorder:
        """Return a recorder of events, or of snapshots for the purpose `snapshots`."""
        if purpose == "snapshots":
            return DynamoDBSnapshotRecorder(
                self._regional_table(), form=self._form(purpose), new_token=_new_token
            )
        return self._event_recorder(DynamoDBAggregateRecorder, purpose)

    def application_recorder(self) -> DynamoDBApplicationRecorder:
        """Return a recorder of events whose methods for an application sequence raise."""
        topic = self.env.get(self.APPLICATION_RECORDER_TOPIC)
        chosen: type[DynamoDBApplicationRecorder] = (
            resolve_topic(topic) if topic else DynamoDBApplicationRecorder
        )
        return self._event_recorder(chosen, "events")

    def tracking_recorder(
        self, tracking_recorder_class: type[DynamoDBTrackingRecorder] | None = None
    ) -> DynamoDBTrackingRecorder:
        """Return a tracking recorder of this class, else of `TRACKING_RECORDER_TOPIC`."""
        topic = self.env.get(self.TRACKING_RECORDER_TOPIC)
        chosen = tracking_recorder_class or (
            resolve_topic(topic) if topic else DynamoDBTrackingRecorder
        )
        return chosen(self._regional_table(), application=self.env.name, new_token=_new_token)

    def process_recorder(self) -> NoReturn:
        """Raise NotSupportedError: events and tracking would need one transaction."""
        raise NotSupportedError(NO_TRANSACTIONS)

    def close(self) -> None:
        """Close the connections; the recorders made here are of no use afterwards."""
        self.client.close()

    def _event_recorder(self, chosen: type[EventRecorder], purpose: str) -> EventRecorder:
        table = self.settings.events_table
        if self.settings.create_tables:
            with library_errors("make the event table"):
                make_event_table(self.client, table)
        return chosen(
            log=DynamoDBLog(self.client, table=table),
            ranges=CommitRanges(self.client, table=table),
            form=self._form(purpose),
            patience=self._patience,
            known_tails=self.settings.known_tails,
            strong_reads=self.settings.reads == "strong",
        )

    def _regional_table(self) -> RegionalTable:
        name = self.settings.regional_table
        if name is None:
            raise InfrastructureFactoryError(
                "snapshots and tracking need ANTIPHON_RECORDER_REGIONAL_TABLE"
            )
        if self.settings.create_tables:
            with library_errors("make the regional table"):
                make_regional_table(self.client, name)
        return RegionalTable(self.client, name=name, patience=self._patience)

    def _form(self, purpose: str) -> StoredForm:
        return StoredForm(
            keys=Keys(self.settings.secret.get_secret_value().encode()),
            application=self.env.name,
            region=self.settings.region,
            now=_now,
            new_token=_new_token,
            purpose=purpose,
        )


def _client(settings: RecorderSettings) -> "DynamoDBClient":
    client: DynamoDBClient = Session().client(
        "dynamodb",
        region_name=settings.region,
        endpoint_url=settings.endpoint_url,
        config=Config(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
            max_pool_connections=MAX_CONNECTIONS,
        ),
    )
    return client


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the factory is the edge of an application


def _new_token() -> bytes:
    return secrets.token_bytes(TOKEN_BYTES)
