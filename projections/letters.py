"""Dead letters: what could not be processed, kept whole until somebody has dealt with it.

One item a failure: its id says the source and what it is about, so the same failure again is
the same letter with one attempt more, and never a second letter. A letter ends done or dropped;
what it held is removed then. Who dropped it, and why, stays for good. Messages are sealed: they
may tell of a subject; nothing of a forgotten one is kept.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from eventstore.aws_errors import error_code, lost_race, passing_errors_translated
from eventstore.sealing import IN_CLEAR, UNKNOWN, Cipher
from projections.bounds import READ_BOUNDS, ReadBounds
from projections.letter_messages import ATTRIBUTES, Messages, in_clear

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import ScanInputTypeDef

_MAX_ERROR = 2_000
_AUDIT = "dropped#"

# Sources whose payload is commits, which stay: they are evidence.
HOLDING_COMMITS = frozenset({"stream", "log", "superseded"})

State = Literal["open", "replaying", "done", "dropped"]
# The attributes of what failed, by the field of a Filing: kept from its first attempt on.
_TEXTS = {
    "aggregate_id": "a",
    "kept_at": "ob",
    "correlation_id": "ci",
    "traceparent": "tp",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """One failure, as its source tells it.

    Attributes:
        letter_id: the same for every failure of the same thing.
        source: what failed, such as "projector".
        error: what went wrong, without personal data: see `eventstore.errors.described`.
        aggregate_id, position: the place in the log, where it has one.
        payload: the whole message, where what failed is one.
        attributes: what stood beside the payload.
        kept_at: the object that holds the full stream records, bucket and key.
        delivery: names what was delivered: the same delivery filed again is no attempt more.

    """

    letter_id: str
    source: str
    error: str
    aggregate_id: str | None = None
    position: int | None = None
    payload: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    kept_at: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
    delivery: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One letter. Times in ms since 1970; the rest as its `Filing` says."""

    letter_id: str
    source: str
    error: str
    attempts: int
    first_at_ms: int
    last_at_ms: int
    aggregate_id: str | None = None
    position: int | None = None
    payload: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    kept_at: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
    replayed_at_ms: int | None = None
    ended_at_ms: int | None = None
    dropped_by: str | None = None
    reason: str | None = None

    @property
    def state(self) -> State:
        """Where it stands; `open` and `replaying` wait, `done` and `dropped` have ended."""
        if self.ended_at_ms is not None:
            return "dropped" if self.dropped_by is not None else "done"
        return "open" if self.replayed_at_ms is None else "replaying"

    @property
    def waits(self) -> bool:
        return self.ended_at_ms is None

    @property
    def commit_id(self) -> str | None:
        """The commit that it is about, where it is about one."""
        placed = self.aggregate_id is not None and self.position is not None
        return f"{self.aggregate_id}.{self.position}" if placed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Who dropped a letter, when (ms since 1970) and why."""

    letter_id: str
    source: str
    error: str
    dropped_by: str
    reason: str
    at_ms: int


def _untold(_filing: Filing) -> None:
    pass


class LetterStore:
    """The letters of one region (the client's)."""

    def __init__(
        self,
        client: "DynamoDBClient",
        *,
        table: str,
        bounds: ReadBounds = READ_BOUNDS,
        filed: Callable[[Filing], None] = _untold,
        cipher: Cipher = IN_CLEAR,
    ) -> None:
        """Take the table; `filed` is told of every failure that is kept."""
        self._client = client
        self._messages = Messages(cipher)
        self._table = table
        self._kept_s = bounds.letter_kept_s
        self._filed = filed

    def file(self, filing: Filing, *, at_ms: int) -> None:
        """Keep a failure: a new letter, or one more attempt at the letter that is there.

        A letter that had ended opens again, and one that is being replayed has failed again.
        """
        sets = {"sr": {"S": filing.source}, "e": {"S": filing.error[:_MAX_ERROR] or "unknown"}}
        kept: dict[str, Any] = {"t": {"N": str(at_ms)}}
        if filing.position is not None:
            kept["p"] = {"N": str(filing.position)}
        kept |= self._messages.stored(
            filing.letter_id,
            filing.payload,
            filing.attributes,
            # Commits stand here as they stand in the log: sealed.
            subject=None if filing.source in HOLDING_COMMITS else filing.aggregate_id or UNKNOWN,
        )
        for name, attribute in _TEXTS.items():
            if (text := getattr(filing, name)) is not None:
                kept[attribute] = {"S": text}
        sets["l"] = kept["t"]
        condition: dict[str, Any] = {}
        if filing.delivery is not None:
            sets["dl"] = {"S": filing.delivery}
            condition["ConditionExpression"] = "dl <> :dl"
        actions = [f"{name} = :{name}" for name in sets]
        actions += [f"{name} = if_not_exists({name}, :{name})" for name in kept]
        values = {f":{name}": value for name, value in {**sets, **kept}.items()}
        self._update(
            filing.letter_id,
            UpdateExpression=f"SET {', '.join(actions)} ADD n :one REMOVE se, ed, db, wy, expires",
            ExpressionAttributeValues={**values, ":one": {"N": "1"}},
            **condition,
        )
        self._filed(filing)

    def get(self, letter_id: str) -> Letter | None:
        """Return a letter as it is now with its message, None if there is none of this id."""
        with passing_errors_translated("read a dead letter"):
            found = self._client.get_item(
                TableName=self._table, Key={"id": {"S": letter_id}}, ConsistentRead=True
            )
        is_letter = "Item" in found and not letter_id.startswith(_AUDIT)
        return self._letter(found["Item"], opened=True) if is_letter else None

    def all(self) -> Iterator[Letter]:
        """Yield every letter, those that have ended too. They are few: each is an alarm.

        Messages that are sealed stay so: nobody needs a subject's key to see that a letter waits.
        """
        for item in self._items():
            if not item["id"]["S"].startswith(_AUDIT):
                yield self._letter(item, opened=False)

    def waiting(self) -> Iterator[Letter]:
        """Yield the letters that somebody has still to deal with."""
        return (letter for letter in self.all() if letter.waits)

    def sources_waiting(self) -> Iterator[str]:
        """Yield the source of every letter that waits; messages stay sealed."""
        for item in self._items():
            if "ed" not in item and not item["id"]["S"].startswith(_AUDIT):
                yield item["sr"]["S"]

    def dropped(self) -> Iterator[Dropped]:
        """Yield who dropped which letter, when and why: this is never removed."""
        for item in self._items():
            if item["id"]["S"].startswith(_AUDIT):
                yield _dropped(item)

    def erase(self, letter: Letter) -> bool:
        """Remove the message of a letter; False if something has happened to it since it was read.

        The letter stays as it is besides: what failed, how often and why.
        """
        return self._update(
            letter.letter_id,
            UpdateExpression=f"REMOVE {', '.join(ATTRIBUTES)}",
            ConditionExpression="n = :n",
            ExpressionAttributeValues={":n": {"N": str(letter.attempts)}},
        )

    def replaying(self, letter: Letter, *, at_ms: int) -> bool:
        """Note that a letter was sent on its way again; False if it has moved meanwhile."""
        return self._update(
            letter.letter_id,
            UpdateExpression="SET se = :se",
            **_as_read(letter, {":se": {"N": str(at_ms)}}),
        )

    def finish(self, letter: Letter, *, at_ms: int) -> bool:
        """End a letter that was dealt with; False if it has failed again since it was read."""
        return self._update(letter.letter_id, **self._ended(letter, at_ms, {}))

    def drop(self, letter: Letter, *, by: str, reason: str, at_ms: int) -> bool:
        """End a letter unprocessed, and record who wanted it and why, in one transaction.

        False if it has failed again since it was read: then nothing is dropped or recorded.
        """
        who = {"db": {"S": by}, "wy": {"S": reason}}
        audit = {
            "id": {"S": f"{_AUDIT}{at_ms:015d}#{letter.letter_id}"},
            "sr": {"S": letter.source},
            "e": {"S": letter.error},
            "ed": {"N": str(at_ms)},
            **who,
        }
        update = {"TableName": self._table, "Key": {"id": {"S": letter.letter_id}}}
        try:
            with passing_errors_translated("drop a dead letter"):
                self._client.transact_write_items(
                    TransactItems=[
                        {"Update": {**update, **self._ended(letter, at_ms, who)}},  # type: ignore[typeddict-item]
                        {"Put": {"TableName": self._table, "Item": audit}},
                    ]
                )
        except ClientError as error:
            if lost_race(error):
                return False
            raise
        return True

    def _ended(self, letter: Letter, at_ms: int, more: Mapping[str, Any]) -> dict[str, Any]:
        """Return the update that ends a letter. What it held may be personal: it goes now."""
        sets = {
            "ed": {"N": str(at_ms)},
            "expires": {"N": str(at_ms // 1000 + self._kept_s)},
            **more,
        }
        actions = ", ".join(f"{name} = :{name}" for name in sets)
        values = {f":{name}": value for name, value in sets.items()}
        return {
            "UpdateExpression": f"SET {actions} REMOVE {', '.join((*ATTRIBUTES, 'ob', 'p', 'se'))}",
            **_as_read(letter, values),
        }

    def _update(self, letter_id: str, **request: Any) -> bool:
        try:
            with passing_errors_translated("write a dead letter"):
                self._client.update_item(
                    TableName=self._table, Key={"id": {"S": letter_id}}, **request
                )
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _items(self) -> Iterator[dict[str, Any]]:
        scan: ScanInputTypeDef = {"TableName": self._table, "ConsistentRead": True}
        while True:
            with passing_errors_translated("read dead letters"):
                page = self._client.scan(**scan)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            scan["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _letter(self, item: Mapping[str, Any], *, opened: bool) -> Letter:
        texts = {
            name: item[attribute]["S"] for name, attribute in _TEXTS.items() if attribute in item
        }
        payload, attributes = self._messages.read(item) if opened else in_clear(item)
        return Letter(
            letter_id=item["id"]["S"],
            source=item["sr"]["S"],
            error=item["e"]["S"],
            attempts=int(item["n"]["N"]),
            first_at_ms=int(item["t"]["N"]),
            last_at_ms=int(item["l"]["N"]),
            position=_number(item, "p"),
            payload=payload,
            attributes=attributes,
            replayed_at_ms=_number(item, "se"),
            ended_at_ms=_number(item, "ed"),
            dropped_by=item["db"]["S"] if "db" in item else None,
            reason=item["wy"]["S"] if "wy" in item else None,
            **texts,
        )


def _as_read(letter: Letter, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the condition that nothing has happened to a letter since it was read.

    Without it, a failure that comes in meanwhile would be ended unseen.
    """
    return {
        "ConditionExpression": "n = :n AND attribute_not_exists(ed)",
        "ExpressionAttributeValues": {**values, ":n": {"N": str(letter.attempts)}},
    }


def _number(item: Mapping[str, Any], name: str) -> int | None:
    return int(item[name]["N"]) if name in item else None


def _dropped(item: Mapping[str, Any]) -> Dropped:
    return Dropped(
        letter_id=item["id"]["S"].split("#", 2)[2],
        source=item["sr"]["S"],
        error=item["e"]["S"],
        dropped_by=item["db"]["S"],
        reason=item["wy"]["S"],
        at_ms=int(item["ed"]["N"]),
    )
