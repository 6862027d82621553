"""Read a command from what a producer sent, by HTTP or by queue: the same rules for both.

What cannot be decided is refused here, before anything is written, with the field and the
reason. The models are also the schema of `POST /commands` in the OpenAPI document.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    create_model,
)

from domain.registry import Registry
from eventstore.requests import CommandRequest
from handlers.tracing import traceparent_of

Label = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]


class BadCommand(ValueError):
    """A command that cannot be decided: `code` is stable, `errors` name the fields."""

    def __init__(self, code: str, detail: str, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = errors or []


class Envelope(BaseModel):
    """What stands around the data of every command."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command_id: Annotated[Label, Field(description="The producer's own id of this command")]
    producer: Annotated[Label, Field(description="Who sends it")]
    occurred_at: Annotated[
        AwareDatetime | None, Field(description="When it happened at the producer, with offset")
    ] = None
    depends_on: Annotated[
        str | None, Field(max_length=256, description="A consistency token that must be reached")
    ] = None
    expected_sequence: Annotated[
        int | None,
        Field(ge=0, lt=10**12, strict=True, description="The last change that you have seen"),
    ] = None


class CommandReader:
    """Reads the commands of a registry."""

    def __init__(self, registry: Registry, *, max_bytes: int) -> None:
        self._registry = registry
        self._max_bytes = max_bytes
        self.adapter: TypeAdapter[Any] = TypeAdapter(_union(registry))

    def read(
        self,
        body: str | bytes,
        *,
        idempotency_key: str | None,
        correlation_id: str | None,
        traceparent: str | None,
        xray: str | None = None,
        first_received_ms: int | None = None,
    ) -> CommandRequest:
        """Return a valid command.

        Raises:
            BadCommand: `too_large`, `malformed` (not JSON) or `invalid` (each field is named).

        """
        if len(body) > self._max_bytes:
            raise BadCommand("too_large", f"a command has at most {self._max_bytes} bytes")
        try:
            raw = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BadCommand("malformed", f"the body is not JSON: {error}") from error
        if idempotency_key is not None and not _is_label(idempotency_key):
            raise BadCommand("invalid", "Idempotency-Key: 1 to 128 visible ASCII characters")
        try:
            envelope = self.adapter.validate_python(raw)
        except ValidationError as error:
            raise BadCommand("invalid", "the command is not valid", field_errors(error)) from error
        aggregate, _ = self._registry.aggregate_of_command(envelope.type)
        occurred_at: datetime | None = envelope.occurred_at
        return CommandRequest(
            aggregate=aggregate,
            command=envelope.data,
            command_id=envelope.command_id,
            producer=envelope.producer,
            correlation_id=_correlation_id(correlation_id),
            occurred_at=occurred_at.isoformat() if occurred_at else None,
            idempotency_key=idempotency_key,
            expected_sequence=envelope.expected_sequence,
            depends_on=envelope.depends_on,
            traceparent=traceparent_of(traceparent, xray=xray),
            first_received_ms=first_received_ms,
        )


def field_errors(error: ValidationError) -> list[dict[str, str]]:
    """Return each invalid field with what is wrong, without repeating what was sent."""
    told = []
    for one in error.errors(include_url=False, include_input=False):
        # The tag of the union is the command type: it is no field of the body.
        place = [str(part) for part in one["loc"]]
        if place and place[0][:1].isupper():
            place = place[1:]
        field = "type" if one["type"].startswith("union_tag") else ".".join(place) or "body"
        told.append({"field": field, "message": _in_words(one["type"], one.get("ctx"), one["msg"])})
    return told


def _in_words(kind: str, context: Mapping[str, Any] | None, message: str) -> str:
    """Return an error as a sentence of ours where the library's speaks of its own insides."""
    match kind:
        case "union_tag_invalid" if context:
            return f"unknown command {context['tag']!r}; there are {context['expected_tags']}"
        case "union_tag_not_found" | "missing":
            return "required"
        case "model_attributes_type" | "model_type" | "dict_type":
            return "must be a JSON object"
        case "extra_forbidden":
            return "there is no such field"
        case "string_pattern_mismatch":
            return "1 to 128 visible ASCII characters"
        case _:
            return message


def _union(registry: Registry) -> Any:
    """Return the union of all envelopes, told apart by `type`."""
    models = [
        create_model(
            f"{command.__name__}Command",
            __base__=Envelope,
            __doc__=command.__doc__,
            type=(Literal[command.__name__], ...),
            data=(command, ...),
        )
        for aggregate in registry.aggregates
        for command in aggregate.commands
    ]
    return Annotated[reduce(or_, models), Field(discriminator="type")]


def _correlation_id(given: str | None) -> str:
    """Return the caller's correlation id if it is a label, else a new one."""
    return given if given is not None and _is_label(given) else secrets.token_hex(16)


def _is_label(text: str) -> bool:
    return 1 <= len(text) <= 128 and all("!" <= c <= "~" for c in text)  # noqa: PLR2004 - Label's
