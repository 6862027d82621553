"""The dead letters of all regions, as the command line finds, shows and orders about them.

Reads their tables raw; replays and drops are orders to the region's own function, so nothing
here needs the right to send or to change anything. What a letter holds may be personal data:
it is shown only where that is asked for.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from antiphon.connection import Connection
from antiphon.installation import dependencies_of
from antiphon.problems import Problem
from antiphon.terminal import MS_PER_S, print_table
from projections.letters import Letter, LetterStore

LETTERS_TABLE = "antiphon-letters"
FUNCTION = "antiphon-dead-letters"

_SPAN = re.compile(r"(\d{1,6})([smhd])")
_SPAN_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_ERROR_WIDTH = 80


@dataclass(frozen=True, kw_only=True)
class Found:
    """A letter and the region that keeps it."""

    region: str
    letter: Letter


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which letters are meant; None means all of them."""

    source: str | None = None
    aggregate: str | None = None
    since_ms: int | None = None

    def take(self, letter: Letter) -> bool:
        return (
            (self.source is None or letter.source == self.source)
            and (self.aggregate is None or letter.aggregate_id == self.aggregate)
            and (self.since_ms is None or letter.last_at_ms >= self.since_ms)
        )

    @property
    def narrow(self) -> bool:
        """Whether they leave anything out."""
        return self != Filters()


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a region's function said to an order."""

    region: str
    letter: str
    outcome: str
    detail: str


def store_of(connection: Connection, region: str) -> LetterStore:
    """Open the letters of a region, for what does not look into their messages."""
    return LetterStore(connection.dynamodb(region), table=LETTERS_TABLE)


def find(
    connection: Connection, *, region: str | None, filters: Filters, ended: bool = False
) -> list[Found]:
    """Return the letters that wait, oldest failure first; with `ended` those that do not too."""
    regions = connection.regions if region is None else (connection.region_named(region),)
    found = [
        Found(region=name, letter=letter)
        for name in regions
        for letter in store_of(connection, name).all()
        if filters.take(letter) and (ended or letter.waits)
    ]
    return sorted(found, key=lambda one: (one.letter.first_at_ms, one.region))


def named(connection: Connection, letter_id: str, *, region: str | None) -> list[Found]:
    """Return the letters of one id: each region keeps its own.

    Raises Problem if no region has one.
    """
    regions = connection.regions if region is None else (connection.region_named(region),)
    found = [
        Found(region=name, letter=letter)
        for name in regions
        if (letter := dependencies_of(connection, name).letters.get(letter_id)) is not None
    ]
    if not found:
        raise Problem(f"no letter {letter_id} in {', '.join(regions)}; see: antiphon dlq list")
    return found


class Orders:
    """Gives orders to the functions of the regions."""

    def __init__(self, connection: Connection) -> None:
        self._clients = {name: connection.functions(name) for name in connection.regions}

    def give(self, found: Found, what: str, **more: str) -> Told:
        """Have the letter's region carry out an order; raises Problem if its function fails."""
        request = {"order": what, "letter": found.letter.letter_id, **more}
        answer = self._clients[found.region].invoke(
            FunctionName=FUNCTION, Payload=orjson.dumps(request)
        )
        told = orjson.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise Problem(
                f"{FUNCTION} in {found.region} failed with {told.get('errorType', 'an error')}; "
                "see its log"
            )
        return Told(
            region=found.region,
            letter=found.letter.letter_id,
            outcome=told["outcome"],
            detail=told["detail"],
        )


def since_ms(text: str | None, *, now_ms: int) -> int | None:
    """Read a time span such as 90s, 30m, 2h or 3d, or a time with its offset.

    Raises Problem if it is neither.
    """
    if text is None:
        return None
    if (span := _SPAN.fullmatch(text.strip())) is not None:
        return now_ms - int(span[1]) * _SPAN_MS[span[2]]
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Problem(
            f"--since {text} is no time; say 90s, 30m, 2h, 3d or 2026-11-24T10:00:00+00:00"
        )
    return int(at.timestamp() * MS_PER_S)


def as_json(found: Found, *, reveal: bool = False) -> dict[str, Any]:
    """Return a letter for `--json`; what it holds only if it is to be revealed."""
    letter = found.letter
    shown: dict[str, Any] = {
        "region": found.region,
        "letter": letter.letter_id,
        "source": letter.source,
        "state": letter.state,
        "aggregate_id": letter.aggregate_id,
        "commit": letter.commit_id,
        "error": letter.error,
        "attempts": letter.attempts,
        "first_at": moment(letter.first_at_ms),
        "last_at": moment(letter.last_at_ms),
        "replayed_at": moment(letter.replayed_at_ms),
        "ended_at": moment(letter.ended_at_ms),
        "dropped_by": letter.dropped_by,
        "reason": letter.reason,
        "kept_at": letter.kept_at,
        "correlation_id": letter.correlation_id,
        "traceparent": letter.traceparent,
        "payload_bytes": len((letter.payload or "").encode()),
    }
    if reveal:
        shown |= {"payload": letter.payload, "attributes": dict(letter.attributes)}
    return shown


def moment(at_ms: int | None) -> str | None:
    """Show a time as people and programs both read it."""
    if at_ms is None:
        return None
    at = datetime.fromtimestamp(at_ms / MS_PER_S, UTC)
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def print_letters(letters: Iterable[Found]) -> None:
    """Print letters for reading, one a line, without what they hold."""
    print_table(
        ("region", "letter", "state", "attempts", "first", "last", "error"),
        [
            (
                one.region,
                one.letter.letter_id,
                one.letter.state,
                one.letter.attempts,
                moment(one.letter.first_at_ms),
                moment(one.letter.last_at_ms),
                _short(one.letter.error),
            )
            for one in letters
        ],
        numbers=("attempts",),
    )


def print_told(told: Iterable[Told]) -> None:
    """Print what came of orders."""
    rows = [(one.region, one.letter, one.outcome, one.detail) for one in told]
    print_table(("region", "letter", "outcome", "what came of it"), rows)


def _short(error: str) -> str:
    return error if len(error) <= _ERROR_WIDTH else f"{error[: _ERROR_WIDTH - 1]}…"
