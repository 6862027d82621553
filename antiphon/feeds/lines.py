"""The format of a feed: one JSON object a line, with what may come of the command.

A line names regions by their place in the region list, so one feed plays on any list. Who
plays it sends the lines of one subject one after another, those of one burst together, and
different subjects side by side. `expect` holds under that rule and no other.
"""

from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

BUNDLED = "operators.jsonl"

# What may come of a command that is recorded; a feed may also ask for a problem's code.
Outcome = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class BadFeed(ValueError):
    """A feed that cannot be played; the message names the line."""


class FeedCommand(BaseModel):
    """The body of `POST /commands`, not checked further: a feed may hold bad commands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    command_id: str
    producer: str
    occurred_at: str | None = None
    depends_on: str | None = None
    expected_sequence: int | None = None
    data: dict[str, Any]


class FeedLine(BaseModel):
    """One command to send.

    Args:
        regions: places in the region list; several mean the same command to each at once.
        burst: equal for lines of one subject that are sent at the same time.
        expect: every outcome that is right, the likely ones and the unlikely.
        command: the body.
        idempotency_key: the `Idempotency-Key` header, or none.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    regions: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]
    burst: int | None = None
    expect: Annotated[list[Outcome], Field(min_length=1)]
    command: FeedCommand
    idempotency_key: str | None = None

    @property
    def subject(self) -> str:
        """Return what the line's order is about: the IMSI or element id, else the command."""
        data = self.command.data
        return str(data.get("imsi") or data.get("element_id") or self.command.command_id)

    def body(self) -> bytes:
        """Return what is sent: the same bytes whenever the same command is sent."""
        return orjson.dumps(self.command.model_dump())


def read_feed(lines: Iterable[bytes | str]) -> Iterator[FeedLine]:
    """Read a feed line by line; empty lines are left out.

    Raises:
        BadFeed: a line is not JSON or not a line of a feed.

    """
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            yield FeedLine.model_validate(orjson.loads(text))
        except orjson.JSONDecodeError as error:
            raise BadFeed(f"line {number} is not JSON: {error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the line"
            raise BadFeed(
                f"line {number} is no command of a feed: {place}: {first['msg']}"
            ) from error


def write_line(line: FeedLine) -> bytes:
    """Return the one spelling of a line, with its end."""
    return orjson.dumps(line.model_dump(), option=orjson.OPT_APPEND_NEWLINE)


def bundled_feed() -> Iterator[FeedLine]:
    """Read the feed that comes with Antiphon."""
    return read_feed(files(__package__).joinpath(BUNDLED).read_bytes().splitlines())
