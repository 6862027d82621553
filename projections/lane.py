"""The fast lane: commits sent straight to a projector's queue, ahead of the stream.

It only makes answers sooner. The stream brings every commit anyway, and apply-if-next makes
an early, late or repeated arrival harmless; what the lane loses, nobody misses.
"""

from collections.abc import Iterable

import orjson

from eventstore.commits import Commit, from_item, to_image
from eventstore.errors import CorruptLog
from projections.acknowledgements import MalformedMessage

# An SQS message holds 256 KB; one commit has at most 128 KB of events, a third more as base64.
_FULL_BYTES = 60_000


def lane_messages(commits: Iterable[Commit]) -> list[str]:
    """Return message bodies that hold the commits, several in one while they are small."""
    messages: list[list[bytes]] = [[]]
    size = 0
    for commit in commits:
        image = orjson.dumps(to_image(commit))
        if messages[-1] and size + len(image) > _FULL_BYTES:
            messages.append([])
            size = 0
        messages[-1].append(image)
        size += len(image)
    return [f"[{b','.join(images).decode()}]" for images in messages if images]


def read_lane(body: str) -> list[Commit]:
    """Read a message of the lane; raise MalformedMessage if it is none."""
    try:
        images = orjson.loads(body)
        return [from_item(image) for image in images]
    except (orjson.JSONDecodeError, TypeError, CorruptLog) as error:
        raise MalformedMessage(f"not commits: {error}") from error
