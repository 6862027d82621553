"""The fast lane: commits sent straight to a projector's queue, ahead of the stream.

It only makes answers sooner. The stream brings every commit anyway, and apply-if-next makes
an early, late or repeated arrival harmless; what the lane loses, nobody misses.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from eventstore.commits import LAST_MS, Commit, from_item, to_image
from eventstore.errors import CorruptLog
from projections.acknowledgements import MalformedMessage

# An SQS message holds 256 KB; one commit has at most 128 KB of events, a third more as base64.
_FULL_BYTES = 60_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """Commits that a message of the lane brought; `again` if the projector sent it itself.

    `committed_at_ms` is when they stood in the log, where the sender has just put them there.
    """

    commits: tuple[Commit, ...]
    again: bool = False
    committed_at_ms: int | None = None


def lane_messages(
    commits: Iterable[Commit], *, again: bool = False, committed_at_ms: int | None = None
) -> list[str]:
    """Return message bodies that hold the commits, several in one while they are small."""
    batches: list[list[bytes]] = [[]]
    size = 0
    for commit in commits:
        image = orjson.dumps(to_image(commit))
        if batches[-1] and size + len(image) > _FULL_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(image)
        size += len(image)
    mark = "true" if again else "false"
    told = "" if committed_at_ms is None else f'"committed":{committed_at_ms},'
    return [
        f'{{"again":{mark},{told}"commits":[{b",".join(images).decode()}]}}'
        for images in batches
        if images
    ]


def read_lane(body: str) -> Delivery:
    """Read a message of the lane; raise MalformedMessage if it is none."""
    try:
        message = orjson.loads(body)
        commits = tuple(from_item(image) for image in message["commits"])
        again = message["again"] is True
        return Delivery(commits, again=again, committed_at_ms=_time(message.get("committed")))
    except (orjson.JSONDecodeError, TypeError, KeyError, CorruptLog) as error:
        raise MalformedMessage(f"not commits: {type(error).__name__}") from None


def _time(value: Any) -> int | None:
    if value is None or (type(value) is int and 0 <= value <= LAST_MS):
        return value
    raise TypeError("a time expected")
