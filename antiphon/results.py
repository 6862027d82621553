"""What an HTTP response to a command means to a player: final or not, and its receipt.

Pure. Whatever a region sends, even nonsense, becomes a receipt that can be judged.
"""

from collections.abc import Mapping
from typing import Any

import httpx

from antiphon.ledger import Receipt

TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500
MAX_RETRY_AFTER_S = 30.0
NO_RESPONSE = "no_response"
CONFLICT = "conflict"
MAX_SENDS_IN_CONFLICT = 8
ATTEMPTS_HEADER = "Antiphon-Attempts"

# `answered` is what a region says that held the response until the answer.
RECORDED_STATUSES = {
    "accepted": "accepted",
    "answered": "accepted",
    "unchanged": "unchanged",
    "rejected": "rejected",
}


def body_of(response: httpx.Response | None) -> Mapping[str, Any]:
    """Return the JSON object of a response, empty if it has none."""
    if response is None:
        return {}
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def code_of(response: httpx.Response | None) -> str:
    """Return the problem's code, or what stands for it when the response has none."""
    if response is None:
        return NO_RESPONSE
    return str(body_of(response).get("code") or f"http_{response.status_code}")


def may_send_again(response: httpx.Response | None, *, expect: frozenset[str], sends: int) -> bool:
    """Say whether a command is not decided yet: nothing came, overload, a lost race.

    A code that the feed expects is final, so that a feed can ask for it. A conflict that
    does not pass is an `expected_sequence` that is not met, so it is not tried for ever.
    """
    if response is None:
        return True
    code = code_of(response)
    if code in expect:
        return False
    busy = response.status_code == TOO_MANY_REQUESTS or response.status_code >= SERVER_ERROR
    return busy or (code == CONFLICT and sends < MAX_SENDS_IN_CONFLICT)


def conflicts_in(response: httpx.Response | None) -> int:
    """Count the appends that lost against another writer while this response was made."""
    if response is None:
        return 0
    attempts = response.headers.get(ATTEMPTS_HEADER, "1")
    lost = max(int(attempts) - 1, 0) if attempts.isdecimal() else 0
    return lost + (code_of(response) == CONFLICT)


def retry_after_s(response: httpx.Response | None) -> float:
    """Return how long the region asks to wait, in s, bounded; 0 if it does not say."""
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    return min(float(asked), MAX_RETRY_AFTER_S) if asked.isdecimal() else 0.0


def receipt_of(
    response: httpx.Response | None, *, region: str, sends: int, conflicts: int
) -> Receipt:
    """Read the final result of sending a command to a region."""
    body = body_of(response)
    outcome = RECORDED_STATUSES.get(str(body.get("status")))
    commit = body.get("commit")
    if outcome is None or not isinstance(commit, str):
        return Receipt(
            region=region,
            outcome=code_of(response),
            reason=_text(body.get("detail")),
            sends=sends,
            conflicts=conflicts,
        )
    sequence = body.get("sequence")
    return Receipt(
        region=region,
        outcome=outcome,
        commit=commit,
        sequence=sequence if isinstance(sequence, int) else None,
        token=_text(body.get("consistency_token")),
        duplicate=body.get("duplicate") is True,
        reason=_text(body.get("reason")),
        sends=sends,
        conflicts=conflicts,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
