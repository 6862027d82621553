"""What comes to the dead-letter queues, as letters: by queue, each with what it is about.

A queue's dead-letter queue has its name and `-dead`. What a letter holds is the message as it
was, so that replaying it is the same message again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus

import orjson

from eventstore.commits import Commit, aggregate_of, from_item, parse_commit_id
from eventstore.errors import CorruptLog
from handlers.command_queue import CARRIED, ERROR, FIRST_RECEIVED, MESSAGE_ID
from handlers.dependencies import Dependencies
from handlers.discards import Record, UnreadableDiscard
from handlers.envelope import BadCommand, CommandReader
from projections.acknowledgements import MalformedMessage, read_message
from projections.failures import (
    ACKS,
    BUS,
    COMMANDS,
    LANE,
    MAX_PAYLOAD_BYTES,
    STREAM,
    log_changed,
    set_aside,
)
from projections.lane import read_lane
from projections.letters import Filing

DEAD = "-dead"
_GIVEN_UP = "given up by its queue after the last delivery that it allows"
GROUP = "Antiphon-Group"
Message = Mapping[str, Any]


class Intake:
    """Reads the messages of every dead-letter queue of one region."""

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._commands = CommandReader(deps.registry, max_bytes=deps.settings.body_bytes)
        settings = deps.settings
        self._readers = {
            settings.dead_commands_queue: self._command,
            settings.lane_queue + DEAD: self._lane,
            settings.acks_queue + DEAD: self._acknowledgement,
            settings.answers_queue + DEAD: self._delivery,
            settings.discarded_queue: self._discarded,
        }

    def read(self, message: Message) -> list[Filing]:
        """Return the failures that a message tells of.

        Raises:
            LookupError: the message is from a queue that none of these is.
            StoreUnavailable: what the message refers to cannot be read now.

        """
        queue = message["eventSourceARN"].rpartition(":")[2]
        if queue not in self._readers:
            raise LookupError(f"{queue} is no dead-letter queue of this region")
        return list(self._readers[queue](message))

    def _command(self, message: Message) -> Iterator[Filing]:
        told = _attributes(message)
        attributes = {name: told[name] for name in (*CARRIED, FIRST_RECEIVED) if name in told}
        # A message that SQS moved by itself, after its last delivery, does not say when it came.
        attributes.setdefault(FIRST_RECEIVED, str(_first_known_ms(message["attributes"])))
        attributes[GROUP] = message["attributes"].get("MessageGroupId", "antiphon")
        yield Filing(
            letter_id=self._named(COMMANDS, message["body"], told.get("Idempotency-Key", "")),
            source=COMMANDS,
            error=told.get(ERROR) or _GIVEN_UP,
            aggregate_id=self._aggregate_of(message["body"]),
            payload=message["body"],
            attributes=attributes,
            correlation_id=told.get("X-Correlation-Id"),
            traceparent=told.get("traceparent"),
            delivery=told.get(MESSAGE_ID, message["messageId"]),
        )

    def _aggregate_of(self, body: str) -> str | None:
        """Return the aggregate of a command, None for what is no valid command."""
        try:
            request = self._commands.read(
                body.encode(), idempotency_key=None, correlation_id=None, traceparent=None
            )
        except BadCommand:
            return None
        natural_key = request.aggregate.natural_key(request.command)
        return self._deps.keys.aggregate_id(request.aggregate.tag, natural_key)

    def _lane(self, message: Message) -> Iterator[Filing]:
        try:
            commits = read_lane(message["body"]).commits
        except MalformedMessage as error:
            yield self._message(LANE, message, f"{_GIVEN_UP}: {error}")
            return
        # The log has them: what is kept is where each aggregate stopped.
        first: dict[str, Commit] = {}
        for commit in commits:
            known = first.setdefault(commit.aggregate_id, commit)
            if commit.position < known.position:
                first[commit.aggregate_id] = commit
        for commit in first.values():
            yield set_aside(
                commit.aggregate_id,
                commit.position,
                _GIVEN_UP,
                correlation_id=commit.correlation_id,
                traceparent=commit.traceparent,
                delivery=message["messageId"],
            )

    def _acknowledgement(self, message: Message) -> Iterator[Filing]:
        error = _GIVEN_UP
        try:
            acks = read_message(message["body"]).acks
        except MalformedMessage as malformed:
            yield self._message(ACKS, message, f"{error}: {malformed}")
            return
        about = {aggregate_of(ack.commit) for ack in acks}
        filing = self._message(ACKS, message, error, about=about.pop() if len(about) == 1 else None)
        if len(acks) == 1:
            [ack] = acks
            filing = replace(filing, correlation_id=ack.correlation_id, traceparent=ack.traceparent)
        yield filing

    def _delivery(self, message: Message) -> Iterator[Filing]:
        """Read an event that EventBridge could not deliver, in EventBridge's own form."""
        told = _attributes(message)
        code, why = told.get("ERROR_CODE", "undelivered"), told.get("ERROR_MESSAGE", "")
        detail = _detail(message["body"])
        too_large = len(message["body"].encode()) > MAX_PAYLOAD_BYTES
        aggregate_id, position = parse_commit_id(detail.get("commit", "")) or (None, None)
        yield Filing(
            letter_id=self._named(BUS, detail.get("answer_id") or message["body"]),
            source=BUS,
            error=f"{code}: {why}".rstrip(": "),
            aggregate_id=aggregate_id,
            position=position,
            # What is too large for a letter is the stored body of the answer, and sent from there.
            payload=None if too_large else message["body"],
            correlation_id=detail.get("correlation_id"),
            traceparent=detail.get("traceparent"),
            delivery=message["messageId"],
        )

    def _discarded(self, message: Message) -> Iterator[Filing]:
        """Read what S3 tells of new objects: each holds records that the stream gave up."""
        for one in _objects(message["body"]):
            bucket, key = one["bucket"]["name"], unquote_plus(one["object"]["key"])
            kept_at = f"{bucket}/{key}"
            try:
                why, records = self._deps.discards.read(bucket, key)
            except UnreadableDiscard as error:
                yield Filing(
                    letter_id=self._named(STREAM, kept_at),
                    source=STREAM,
                    error=str(error),
                    kept_at=kept_at,
                    delivery=kept_at,
                )
                continue
            inserted = [record for record in records if record["eventName"] == "INSERT"]
            yield from _stopped(inserted, why=why, kept_at=kept_at)
            # What was done to the log is evidence: it does not end when the views are well.
            yield from (
                log_changed(record) for record in records if record["eventName"] != "INSERT"
            )

    def _message(
        self, source: str, message: Message, error: str, *, about: str | None = None
    ) -> Filing:
        return Filing(
            letter_id=self._named(source, message["body"]),
            source=source,
            error=error,
            aggregate_id=about,
            payload=message["body"],
            delivery=message["messageId"],
        )

    def _named(self, source: str, *parts: str) -> str:
        return f"{source}.{self._deps.keys.letter_key(source, *parts)}"


def _stopped(records: list[Record], *, why: str, kept_at: str) -> Iterator[Filing]:
    """Return one failure an aggregate: the first of its records, and where all of them are."""
    first: dict[str, tuple[int, Record]] = {}
    for record in records:
        key = record["dynamodb"]["Keys"]
        aggregate_id, position = key["a"]["S"], int(key["q"]["N"])
        if aggregate_id not in first or position < first[aggregate_id][0]:
            first[aggregate_id] = (position, record)
    for aggregate_id, (position, record) in first.items():
        text = orjson.dumps(record).decode()
        commit = _readable(record)
        yield Filing(
            letter_id=f"{STREAM}.{aggregate_id}",
            source=STREAM,
            error=why,
            aggregate_id=aggregate_id,
            position=position,
            payload=text if len(text) <= MAX_PAYLOAD_BYTES else None,
            kept_at=kept_at,
            correlation_id=commit.correlation_id if commit else None,
            traceparent=commit.traceparent if commit else None,
            delivery=kept_at,
        )


def _readable(record: Record) -> Commit | None:
    try:
        return from_item(record["dynamodb"].get("NewImage", {}))
    except CorruptLog:
        return None


def _objects(body: str) -> list[Any]:
    """Return the objects that an event of S3 names; none in the test that S3 sends first."""
    return [one["s3"] for one in orjson.loads(body).get("Records", [])]


def _detail(body: str) -> dict[str, str]:
    """Return what an event says of its answer; nothing, if it is not one of ours."""
    try:
        detail = orjson.loads(body)["detail"]
        told = {name: detail.get(name) for name in ("answer_id", "correlation_id", "traceparent")}
        told["commit"] = detail["command"]["commit"]
        return {name: text for name, text in told.items() if isinstance(text, str)}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return {}


def _first_known_ms(attributes: Mapping[str, str]) -> int:
    """Return the earliest time that SQS tells of a message, in ms since 1970.

    Too early costs a longer look for the command's first decision; too late could miss it.
    """
    names = ("SentTimestamp", "ApproximateFirstReceiveTimestamp")
    return min(int(attributes[name]) for name in names if name in attributes)


def _attributes(message: Message) -> dict[str, str]:
    told = message.get("messageAttributes") or {}
    return {name: value["stringValue"] for name, value in told.items() if "stringValue" in value}
