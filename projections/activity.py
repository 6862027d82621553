"""The activity timeline: every command that was decided for an aggregate, refused ones too.

One row a commit, newest first; the head counts them. Rows are never changed.
"""

from typing import Any

from projections.answers import iso, told_events
from projections.projection import Change, Document, Projection


def apply(document: Document | None, change: Change) -> Document:
    """Return the head after one more commit."""
    commands = document["commands"] if document else 0
    return {"commands": commands + 1, "last_at": iso(change.commit.recorded_at_ms)}


def row(change: Change) -> Document:
    """Return what the timeline tells of one commit."""
    commit = change.commit
    told: dict[str, Any] = {
        "sequence": commit.sequence,
        "commit": commit.commit_id,
        "outcome": commit.outcome,
        "command": {
            "type": commit.command.type,
            "command_id": commit.command.command_id,
            "producer": commit.command.producer,
        },
        "events": told_events(change),
        "origin": commit.origin,
        "recorded_at": iso(commit.recorded_at_ms),
        "occurred_at": commit.command.occurred_at,
        "correlation_id": commit.correlation_id,
    }
    if commit.refusal is not None:
        told["reason"] = commit.refusal["reason"]
    return told


ACTIVITY = Projection(name="activity", version=1, tags=None, apply=apply, row=row)
