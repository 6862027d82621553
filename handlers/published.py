"""What producers are told, as models: replies to commands, Event B, problems.

They are the published form: `antiphon schemas` makes JSON Schemas of them, the OpenAPI document
shows them, and the producers' client reads with them. Readers ignore fields that they do not
know, so a field may be added at any time; nothing may be taken away or change its meaning.
"""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Published(BaseModel):
    """Something that producers are told."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class AnsweredCommand(Published):
    """The command that an answer is for."""

    type: str
    command_id: str = Field(description="The producer's own id")
    producer: str
    commit: str = Field(description="Opaque; `GET /commands/{commit}` in any region")


class AnsweredEvent(Published):
    """One event that a command led to."""

    sequence: int
    type: str
    data: dict[str, Any]


class Answer(Published):
    """Event B: what a command led to, applied in every required region."""

    answer_id: str = Field(description="The same however often the answer is made or delivered")
    outcome: Literal["accepted", "unchanged", "rejected"]
    command: AnsweredCommand
    aggregate_id: str = Field(description="Opaque")
    sequence: int = Field(description="Of the command's last event")
    events: list[AnsweredEvent]
    state: dict[str, Any] | None = Field(description="Null if there never was one")
    as_of_sequence: int = Field(description="Of `state`; never smaller than `sequence`")
    regions: dict[str, datetime] = Field(
        description="When each required region was known to have applied the command"
    )
    drained: list[str] = Field(description="Regions out of service that were not waited for")
    origin: str = Field(description="The region that the command came in at")
    consistency_token: str
    correlation_id: str
    traceparent: str | None
    recorded_at: datetime
    answered_at: datetime
    reason: str | None = Field(default=None, description="Of a refusal: a stable code")


class Reply(Published):
    """What a region says to a command that is in the log."""

    status: Literal["accepted", "answered", "unchanged", "rejected"]
    aggregate_id: str = Field(description="Opaque")
    sequence: int = Field(description="Of the command's last event")
    commit: str = Field(description="Opaque; `GET /commands/{commit}` in any region")
    consistency_token: str = Field(description="For reads that are at least as fresh as this")
    region: str
    duplicate: bool = Field(description="Whether this is the first result of an earlier command")
    answer: Answer | None = Field(description="Event B, if it came within the wait")
    reason: str | None = Field(default=None, description="Of a refusal: a stable code")
    message: str | None = Field(default=None, description="Of a refusal: for people")


class FieldError(Published):
    """One field that is wrong."""

    field: str
    message: str


class Problem(Published):
    """Why a command is not in the log, or a query not answered (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str = Field(description="Stable")
    detail: str = Field(description="For people")
    errors: list[FieldError] = Field(default=[], description="Each field that is wrong")


class Item(Published):
    """One subscriber, network element or the like, with its own fields beside these."""

    model_config = ConfigDict(extra="allow")

    applied_sequence: int = Field(description="The last change that is in it")
    region: str
    consistency_token: str | None = Field(description="For reads that are at least as fresh")
    stale: bool | None = Field(
        description="Whether it is older than was asked for; null where nothing was asked"
    )


class Page(Published):
    """A page of a list."""

    items: list[dict[str, Any]]
    next: str | None = Field(description="The `cursor` of the next page; null on the last")
    region: str


class PastEvent(Published):
    """One event, as the log has it."""

    sequence: int
    type: str
    data: dict[str, Any]
    commit: str
    recorded_at: datetime


class History(Published):
    """What something was at a sequence or time, and the events up to there."""

    state: dict[str, Any] | None
    as_of_sequence: int
    recorded_at: datetime | None
    events: list[PastEvent]
    earlier_events: int = Field(description="How many there are before the first of `events`")
    region: str


class CommandStatus(Published):
    """What became of a command."""

    status: Literal["accepted", "answered", "unchanged", "rejected", "superseded"]
    commit: str
    aggregate_id: str
    sequence: int
    consistency_token: str
    origin: str
    region: str
    recorded_at: datetime
    acknowledgements: dict[str, datetime] = Field(description="When each region applied it")
    answer: dict[str, Any] | None = Field(description="Event B, once it is given")
    origin_reachable: bool = Field(description="Whether the region that answers could be asked")
    forgotten: bool = Field(default=False, description="Whether its answer is gone for good")


class Health(Published):
    """Whether a region serves: 200, or 503 if it does not."""

    status: Literal["ok", "not serving"]
    state: str
    region: str
    regions: list[str]
    serving: list[str]
    mode: str


class Status(Published):
    """How a region is."""

    model_config = ConfigDict(extra="allow")

    region: str
    regions: list[str]
    mode: str
    states: dict[str, str]
    serving: list[str]
    pending: int
    held: list[dict[str, Any]]
    lags: list[dict[str, Any]]
    unreached: list[str]
    letters: dict[str, Any]
