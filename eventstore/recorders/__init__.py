"""Recorders for the Python `eventsourcing` library, on the log's own stored form.

`PERSISTENCE_MODULE=eventstore.recorders` lets an `Application` of that library keep its events
as commits: one `insert_events` is one put where nothing is. Needs the extra `eventsourcing`.
Give these events a table of their own: no aggregate of `domain` answers to their tag, so a
projector that met them would take them for a corrupt log.
"""

from eventstore.recorders.events import DynamoDBAggregateRecorder, DynamoDBApplicationRecorder
from eventstore.recorders.factory import DynamoDBFactory
from eventstore.recorders.snapshots import DynamoDBSnapshotRecorder
from eventstore.recorders.tracking import DynamoDBTrackingRecorder
from eventstore.recorders.transcoder import OrjsonTranscoder

__all__ = [
    "DynamoDBAggregateRecorder",
    "DynamoDBApplicationRecorder",
    "DynamoDBFactory",
    "DynamoDBSnapshotRecorder",
    "DynamoDBTrackingRecorder",
    "OrjsonTranscoder",
]
