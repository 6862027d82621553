"""Problem bodies (RFC 9457): every error that a caller can get, with its stable code."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from eventstore.errors import (
    Conflict,
    DependencyNotReached,
    EventStoreError,
    ExpectationNotMet,
    InvalidToken,
    KeyReused,
    NotHome,
    StoreUnavailable,
    SubjectForgotten,
    Superseded,
    TooLarge,
)
from handlers.access import Refused
from projections.reading import NotCaughtUp
from projections.regions import NotServing

RETRY_AFTER_S = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, for the caller: `code` is stable, `detail` is for people."""

    status: int
    code: str
    detail: str
    errors: Sequence[dict[str, str]] = ()

    def body(self) -> str:
        """Return the JSON of this problem."""
        told: dict[str, Any] = {
            "type": "about:blank",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.errors:
            told["errors"] = list(self.errors)
        return orjson.dumps(told).decode()

    def headers(self) -> dict[str, str]:
        """Return the headers besides the content type."""
        if self.status == _UNAUTHENTICATED:
            return {"WWW-Authenticate": "Bearer"}
        again = self.status == _UNAVAILABLE or self.code == "dependency_not_reached"
        return {"Retry-After": str(RETRY_AFTER_S)} if again else {}


_UNAVAILABLE = 503
_UNAUTHENTICATED = 401
CONTENT_TYPE = "application/problem+json"
BAD_COMMANDS = {"malformed": 400, "too_large": 413, "invalid": 422}

_PROBLEMS: dict[type[Exception], tuple[int, str]] = {
    KeyReused: (422, "key_reused"),
    InvalidToken: (422, "invalid_token"),
    Conflict: (409, "conflict"),
    ExpectationNotMet: (409, "conflict"),
    DependencyNotReached: (409, "dependency_not_reached"),
    TooLarge: (413, "too_large"),
    SubjectForgotten: (410, "forgotten"),
    StoreUnavailable: (_UNAVAILABLE, "unavailable"),
    NotServing: (_UNAVAILABLE, "unavailable"),
    NotHome: (_UNAVAILABLE, "unavailable"),
    Superseded: (409, "superseded"),
    NotCaughtUp: (_UNAVAILABLE, "not_caught_up"),
}


def problem_of_caller(refused: Refused) -> Problem:
    """Return the problem to tell a caller that is unknown, or not granted what it asks for."""
    status = _UNAUTHENTICATED if refused.code == "unauthenticated" else 403
    return Problem(status, refused.code, refused.detail)


def problem_of(error: EventStoreError | NotCaughtUp) -> Problem | None:
    """Return the problem to tell a caller, None if the error is not the caller's affair."""
    known = _PROBLEMS.get(type(error))
    if known is None:
        return None
    status, code = known
    if type(error) is StoreUnavailable:
        # What failed inside is for the log; the caller needs to know what to do.
        told = "the outcome may be unknown; sending the same command again is always safe"
        return Problem(status, code, told)
    return Problem(status, code, str(error))
