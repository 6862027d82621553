"""Publishing answers on the region's EventBridge bus."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from eventstore.aws_errors import passing_errors_translated
from eventstore.errors import StoreUnavailable
from projections.answers import SOURCE
from projections.responder import Answer

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

# EventBridge's own bounds of one request: entries, and bytes of them all.
_ENTRIES = 10
_BYTES = 900_000
# Puts of an entry that is refused in passing, and the seconds between, times the puts so far.
_TRIES = 4
_PAUSE_S = 0.1
_PASSING = frozenset({"ThrottlingException", "InternalException", "InternalFailure"})
_OUT_OF_REACH = "OutOfReach"


class Bus:
    """A `Publisher` of answers. An entry that the bus refuses is not counted as published.

    Entries refused in passing are put again, a few times: their acknowledgements would come
    again only minutes later. `pause` waits seconds.
    """

    def __init__(
        self, client: "EventBridgeClient", *, name: str, pause: Callable[[float], None]
    ) -> None:
        self._client = client
        self._name = name
        self._pause = pause

    def __call__(self, answers: Sequence[Answer]) -> frozenset[str]:
        published: set[str] = set()
        for batch in _batches(answers):
            left: Sequence[Answer] = batch
            for tried in range(_TRIES):
                if tried:
                    self._pause(_PAUSE_S * tried)
                refused = self._put(left)
                published |= {a.commit_id for a in left} - refused.keys()
                left = [a for a in left if refused.get(a.commit_id) in _PASSING]
                if not left:
                    break
        return frozenset(published)

    def _put(self, batch: Sequence[Answer]) -> dict[str, str]:
        """Put entries; return the codes of those that were refused, by commit id."""
        try:
            with passing_errors_translated("publish answers"):
                told = self._client.put_events(
                    Entries=[
                        {
                            "EventBusName": self._name,
                            "Source": SOURCE,
                            "DetailType": answer.detail_type,
                            "Detail": answer.body,
                        }
                        for answer in batch
                    ]
                )
        except StoreUnavailable:
            # The client has tried again itself.
            return {answer.commit_id: _OUT_OF_REACH for answer in batch}
        # The request succeeds though entries in it fail: look at each.
        return {
            answer.commit_id: entry["ErrorCode"]
            for answer, entry in zip(batch, told["Entries"], strict=True)
            if "ErrorCode" in entry
        }


def _batches(answers: Sequence[Answer]) -> list[list[Answer]]:
    batches: list[list[Answer]] = [[]]
    size = 0
    for answer in answers:
        answer_bytes = len(answer.body.encode())
        if len(batches[-1]) == _ENTRIES or (batches[-1] and size + answer_bytes > _BYTES):
            batches.append([])
            size = 0
        batches[-1].append(answer)
        size += answer_bytes
    return batches
