"""A command goes on to the region that appends to its aggregate, by one hop and no more.

In EVENTUAL mode only. The home decides it as its own commands, with the region that it came in at
as its origin, and the origin takes that decision for its own: so it answers it, too. Whatever is
lost on the way is safe to send again: the command's token makes it the same command.
"""

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import ClientError

from eventstore.aws_errors import passing_errors_translated
from eventstore.commits import from_item, to_image
from eventstore.errors import (
    Conflict,
    CorruptLog,
    DependencyNotReached,
    EventStoreError,
    ExpectationNotMet,
    InvalidToken,
    KeyReused,
    StoreUnavailable,
    Superseded,
    TooLarge,
)
from eventstore.requests import CommandRequest, Decision

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# What a producer is told of by its own code; anything else is an unknown outcome to the origin.
_TOLD: dict[str, type[EventStoreError]] = {
    error.__name__: error
    for error in (
        Conflict,
        DependencyNotReached,
        ExpectationNotMet,
        InvalidToken,
        KeyReused,
        Superseded,
        TooLarge,
    )
}


class Forwarding:
    """Sends commands on from one region, their origin.

    Args:
        functions: calls functions of a region.
        function: the name of the one that decides commands, in every region.
        origin: the own region.

    """

    def __init__(
        self, functions: Callable[[str], "LambdaClient"], *, function: str, origin: str
    ) -> None:
        self._functions = functions
        self._function = function
        self._origin = origin

    def decide(self, home: str, request: CommandRequest, body: bytes) -> Decision:
        """Have a command decided by its home; `body` is it as it came in.

        Raises:
            StoreUnavailable: the home does not answer; the outcome may be unknown.
            EventStoreError: as `EventStore.decide`.

        """
        sent = {
            "origin": self._origin,
            "body": base64.b64encode(body).decode(),
            "idempotency_key": request.idempotency_key,
            "correlation_id": request.correlation_id,
            "traceparent": request.traceparent,
            "first_received_ms": request.first_received_ms,
        }
        try:
            with passing_errors_translated(f"send a command on to {home}"):
                answer = self._functions(home).invoke(
                    FunctionName=self._function, Payload=orjson.dumps({"forwarded": sent})
                )
                told: Any = orjson.loads(answer["Payload"].read())
        except (ClientError, orjson.JSONDecodeError) as error:
            raise StoreUnavailable(f"could not send a command on to {home}") from error
        if "FunctionError" in answer or not isinstance(told, dict):
            raise StoreUnavailable(f"{home} could not decide a command that was sent on to it")
        if "refused" in told:
            # A region of another version may refuse with what is not known here.
            raise _TOLD.get(str(told["refused"]), StoreUnavailable)(str(told.get("message")))
        try:
            commit, attempts = from_item(told["commit"]), int(told["attempts"])
            return Decision(commit, bool(told["duplicate"]), attempts)
        except (KeyError, TypeError, ValueError, OverflowError, CorruptLog) as error:
            raise StoreUnavailable(f"{home} answered with no decision") from error


def told_of(decision: Decision) -> dict[str, Any]:
    """Return what the home answers the origin."""
    return {
        "commit": to_image(decision.commit),
        "duplicate": decision.duplicate,
        "attempts": decision.attempts,
    }


def told_of_error(error: EventStoreError) -> dict[str, Any]:
    """Return what the home answers the origin where it has not decided."""
    return {"refused": type(error).__name__, "message": str(error)}
