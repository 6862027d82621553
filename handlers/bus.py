"""Publishing answers on the region's EventBridge bus."""

from collections.abc import Sequence
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


class Bus:
    """A `Publisher` of answers. An entry that the bus refuses is not counted as published."""

    def __init__(self, client: "EventBridgeClient", *, name: str) -> None:
        self._client = client
        self._name = name

    def __call__(self, answers: Sequence[Answer]) -> frozenset[str]:
        published: set[str] = set()
        for batch in _batches(answers):
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
                continue
            # The request succeeds though entries in it fail: look at each.
            published |= {
                answer.commit_id
                for answer, entry in zip(batch, told["Entries"], strict=True)
                if "ErrorCode" not in entry
            }
        return frozenset(published)


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
