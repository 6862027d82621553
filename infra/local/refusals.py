"""What AWS's services say beyond a quota, each in the form of its own protocol.

Only makes answers; whether a call is refused is `faults`' to say.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import orjson
from multidict import CIMultiDict

from infra.local.engine_calls import Answer

PUT_EVENTS = "AWSEvents.PutEvents"
_SAYS = {
    "dynamodb": (
        "com.amazonaws.dynamodb.v20120810#ThrottlingException",
        "Rate of requests exceeds the allowed throughput.",
    ),
    "sqs": ("com.amazonaws.sqs#RequestThrottled", "The request was denied due to throttling."),
    "events": ("com.amazonaws.events#ThrottlingException", "Rate exceeded"),
}


def throttled(service: str) -> Answer:
    """The answer of a service that refuses a call as one too many."""
    kind, message = _SAYS[service]
    headers = CIMultiDict({"Content-Type": "application/x-amz-json-1.0"})
    if service == "sqs":
        # Clients that grew up with SQS's older protocol look here for the error's name.
        headers["x-amzn-query-error"] = "RequestThrottled;Sender"
    body = orjson.dumps({"__type": kind, "message": message})
    return Answer(status=HTTPStatus.BAD_REQUEST, headers=headers, body=body)


def without(entries: list[Any], refused: Callable[[], bool]) -> tuple[list[Any], list[bool]]:
    """Choose the entries of a PutEvents that the bus refuses.

    Returns: those that it takes, and for each one given whether it is refused.
    """
    chosen = [refused() for _ in entries]
    kept = [entry for entry, no in zip(entries, chosen, strict=True) if not no]
    return kept, chosen


def with_refused(answer: Answer | None, chosen: list[bool]) -> Answer:
    """The answer to a whole PutEvents, from the answer to the entries that were taken."""
    taken = iter(answer.json()["Entries"] if answer is not None else ())
    entries = [
        {"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"} if no else next(taken)
        for no in chosen
    ]
    failed = sum("ErrorCode" in entry for entry in entries)
    body = orjson.dumps({"FailedEntryCount": failed, "Entries": entries})
    headers = CIMultiDict({"Content-Type": "application/x-amz-json-1.1"})
    return Answer(status=HTTPStatus.OK, headers=headers, body=body)
