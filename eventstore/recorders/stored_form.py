"""How the library's stored events and our commits map onto each other. Permanent.

- An originator is the aggregate `es.<26 characters>`, a keyed hash of application, purpose and
  id: no id stands in a key, and no `domain` aggregate has this tag. A UUID and its text are one.
- The events of one `insert_events` are one commit: event i of it is at its position + i.
- Positions start at 1, the library's versions where the application likes: every commit keeps
  the version of its first event as its command's id. Version minus position is the same in
  all commits of an originator, so a range of versions is a range of positions.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    StoredEvent,
)

from eventstore.commits import (
    MAX_EVENT_BYTES,
    MAX_EVENTS,
    CommandStamp,
    Commit,
    RecordedEvent,
    size_of,
)
from eventstore.errors import CorruptLog
from eventstore.identity import Keys, canonical_json

TAG = "es"
COMMAND = "insert_events"
# The mapper of the library keeps the version of an event's class inside its state.
_EVENT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredForm:
    """Makes the commits of one application and reads them back.

    `now` gives the time in UTC, `new_token` 16 bytes that never come twice.
    """

    keys: Keys
    application: str
    region: str
    now: Callable[[], datetime]
    new_token: Callable[[], bytes]
    purpose: str = "events"

    def aggregate_id(self, originator_id: UUID | str) -> str:
        """Return the partition key of an originator."""
        parts = [self.application, self.purpose, str(originator_id)]
        return self.keys.aggregate_id(TAG, canonical_json(parts).decode())

    def commit(self, events: Sequence[StoredEvent], *, position: int) -> Commit:
        """Return the commit of events that `refuse_unfit` let pass, behind `position` - 1.

        Each call makes another commit with a token of its own: put one again to learn whether
        it was stored, never a second one.
        """
        recorded = tuple(
            RecordedEvent(event.topic, _EVENT_VERSION, event.state) for event in events
        )
        content = [[event.topic, hashlib.sha256(event.data).hexdigest()] for event in recorded]
        first_version = events[0].originator_version
        token = self.new_token()
        return Commit(
            aggregate_id=self.aggregate_id(events[0].originator_id),
            position=position,
            predecessor=position - 1,
            events=recorded,
            token=token,
            content_hash=self.keys.content_hash(COMMAND, content, first_version),
            command=CommandStamp(
                type=COMMAND,
                command_id=str(first_version),
                producer=self.application,
                occurred_at=None,
            ),
            origin=self.region,
            recorded_at_ms=int(self.now().timestamp() * 1000),
            correlation_id=token.hex(),
        )


def refuse_unfit(events: Sequence[StoredEvent]) -> None:
    """Raise for what cannot be one commit, before anything is written.

    Raises:
        NotSupportedError: the events are of several originators.
        IntegrityError: a version occurs twice.
        ProgrammingError: the versions are not contiguous and ascending.
        DataError: the events are too many or too large.

    """
    if len({str(event.originator_id) for event in events}) > 1:
        raise NotSupportedError(
            "the events of several originators cannot be stored together: a commit is one item "
            "of one originator, and a strongly consistent global table has no transactions; "
            "save each aggregate on its own"
        )
    versions = [event.originator_version for event in events]
    if len(set(versions)) < len(versions):
        raise IntegrityError(f"a version occurs twice in one call: {versions}")
    if versions != list(range(versions[0], versions[0] + len(versions))):
        raise ProgrammingError(f"versions in one call must ascend one by one, not {versions}")
    size = size_of([RecordedEvent(event.topic, _EVENT_VERSION, event.state) for event in events])
    if len(events) > MAX_EVENTS or size > MAX_EVENT_BYTES:
        raise DataError(
            f"{len(events)} events of {size} bytes are too many for one call: it takes "
            f"{MAX_EVENTS} events and {MAX_EVENT_BYTES} bytes; save the aggregate more often"
        )


def opening_version(commit: Commit) -> int:
    """Return the version of the originator's first event, which every commit of it implies.

    Raises:
        CorruptLog: the commit was not made by these recorders.

    """
    if commit.command.type != COMMAND:
        raise CorruptLog(f"{commit.commit_id} is a {commit.command.type}, not of this library")
    try:
        return int(commit.command.command_id) - commit.position + 1
    except ValueError as error:
        raise CorruptLog(f"{commit.commit_id} has no originator version") from error


def stored_events(commit: Commit, originator_id: UUID | str) -> list[StoredEvent]:
    """Return the events of a commit under the id that they were asked for by."""
    first_version = opening_version(commit) + commit.position - 1
    return [
        StoredEvent(
            originator_id=originator_id,
            originator_version=first_version + index,
            topic=event.topic,
            state=event.data,
        )
        for index, event in enumerate(commit.events)
    ]
