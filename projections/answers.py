"""Event B: the confirmation of a command, built from a view that has applied its commit.

The id and the body depend only on the commit and the view, never on who builds them or how
often. The body is built once, stored, and published as stored.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from eventstore.commits import EPOCH_SPAN, REFUSED, Commit
from eventstore.consistency import token_of
from eventstore.identity import Keys
from projections.projection import Change
from projections.views import View

SOURCE = "antiphon"
SUPERSEDED = "superseded"
DETAIL_TYPES = {
    "accepted": "CommandAnswered",
    "rejected": "CommandRejected",
    "unchanged": "CommandUnchanged",
    "superseded": "CommandSuperseded",
}


def iso(at_ms: int) -> str:
    """Return milliseconds since 1970 as an ISO 8601 time in UTC."""
    at = datetime.fromtimestamp(at_ms / 1000, tz=UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(at: str) -> int:
    """Return milliseconds since 1970 of a time that `iso` told."""
    return round(datetime.fromisoformat(at).timestamp() * 1000)


def build_answer(
    change: Change,
    view: View,
    *,
    keys: Keys,
    applied_at_ms: Mapping[str, int],
    left_out: Sequence[str],
    answered_at_ms: int,
    bare: bool = False,
) -> str:
    """Return the body of Event B as JSON.

    Args:
        change: the decided command, with its events.
        view: the aggregate's view, read consistently in the answering region.
        keys: the installation's keys.
        applied_at_ms: when each required region had applied the commit.
        left_out: the drained regions, which may not have applied it.
        answered_at_ms: now.
        bare: leave out the events and the state: their subject is forgotten.

    """
    commit = change.commit
    # The rule of the house: never an Event B from a state older than Event A.
    assert view.has(commit.last_position), "an answer from a stale view"
    detail: dict[str, Any] = {
        "answer_id": keys.answer_id(
            token=commit.token, position=commit.position, outcome=commit.outcome
        ),
        "outcome": commit.outcome,
        **_about(commit),
        "events": [] if bare else told_events(change),
        "state": None if bare else view.document,
        "as_of_sequence": view.applied % EPOCH_SPAN,
        "regions": {region: iso(at) for region, at in sorted(applied_at_ms.items())},
        "drained": sorted(left_out),
        "consistency_token": token_of(keys, commit),
        "answered_at": iso(answered_at_ms),
    }
    if commit.refusal is not None:
        detail["reason"] = commit.refusal["reason"]
    return orjson.dumps(detail).decode()


def build_superseded(commit: Commit, *, keys: Keys, answered_at_ms: int) -> str:
    """Return the body of what tells a producer that a command was accepted in vain, as JSON.

    Nothing of it counts: sent again, the same command is decided anew.
    """
    detail = {
        "answer_id": keys.answer_id(
            token=commit.token, position=commit.position, outcome=SUPERSEDED
        ),
        "outcome": SUPERSEDED,
        **_about(commit),
        "consistency_token": token_of(keys, commit),
        "answered_at": iso(answered_at_ms),
    }
    return orjson.dumps(detail).decode()


def status_of(answer: Mapping[str, Any]) -> str:
    """Return what became of a command, by its answer."""
    outcome: str = answer["outcome"]
    return "answered" if outcome == "accepted" else outcome


def _about(commit: Commit) -> dict[str, Any]:
    """Return what every answer tells of its command."""
    return {
        "command": {
            "type": commit.command.type,
            "command_id": commit.command.command_id,
            "producer": commit.command.producer,
            "commit": commit.commit_id,
        },
        "aggregate_id": commit.aggregate_id,
        "sequence": commit.sequence,
        "origin": commit.origin,
        "correlation_id": commit.correlation_id,
        "traceparent": commit.traceparent,
        "recorded_at": iso(commit.recorded_at_ms),
    }


def told_events(change: Change) -> list[dict[str, Any]]:
    """Return a commit's events as answers and timelines tell them, in today's version.

    A refusal tells its reason as the one event that it is; a no-op has nothing to tell.
    """
    commit = change.commit
    first = commit.position % EPOCH_SPAN
    if commit.refusal is not None:
        return [{"sequence": first, "type": REFUSED, "data": commit.refusal}]
    return [
        {
            "sequence": first + offset,
            "type": type(event).__name__,
            "data": event.model_dump(mode="json"),
        }
        for offset, event in enumerate(change.events)
    ]
