"""What a response item says of the answer to one commit: its form, and how it is read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eventstore.commits import aggregate_of
from eventstore.sealing import Cipher
from projections.ways import Way

Item = dict[str, Any]

# What the names of a region's acknowledgement begins with.
ACK = "ack#"
WAY = "way#"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The answer to one commit, as far as it is known. Times in ms since 1970.

    `first_due_ms` is when it was first due, `ways` the commit's way through each region, as far
    as that was told.
    `lost`: a body was stored, and cannot be read again, since its subject is forgotten.
    """

    commit_id: str
    applied_at_ms: Mapping[str, int]
    body: str | None
    stored_at_ms: int | None
    published_at_ms: int | None
    first_due_ms: int | None = None
    ways: Mapping[str, Way] = field(default_factory=dict)
    lost: bool = False
    # The body as it is stored, sealed where it tells of a subject: only to copy it.
    kept: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    def lacks(self, required: frozenset[str]) -> frozenset[str]:
        """Return the required regions that have not acknowledged yet."""
        return required - self.applied_at_ms.keys()


def read_response(item: Mapping[str, Any], cipher: Cipher) -> Response:
    """Return what a response item says."""
    body = opened_body(item, cipher)
    return Response(
        commit_id=item["c"]["S"],
        applied_at_ms={
            name.removeprefix(ACK): int(value["N"])
            for name, value in item.items()
            if name.startswith(ACK)
        },
        body=body,
        stored_at_ms=int(item["body_at"]["N"]) if "body_at" in item else None,
        published_at_ms=int(item["published"]["N"]) if "published" in item else None,
        first_due_ms=int(item["first_due"]["N"]) if "first_due" in item else None,
        ways={
            name.removeprefix(WAY): Way.read(value["S"])
            for name, value in item.items()
            if name.startswith(WAY)
        },
        lost="body" in item and body is None,
        kept=item.get("body"),
    )


def opened_body(item: Mapping[str, Any], cipher: Cipher) -> str | None:
    """Return the body of a response item; None if it has none, or none that can be read again."""
    commit_id, stored = item["c"]["S"], item.get("body", {})
    if "B" not in stored:
        body: str | None = stored.get("S")
        return body
    sealed, place = bytes(stored["B"]), f"answer {commit_id}"
    clear = cipher.open(aggregate_of(commit_id), sealed, place=place)
    return None if clear is None else clear.decode()
