"""What DynamoDB answers, for the calls on global tables that no engine serves alone.

Only makes answers: refusals in DynamoDB's own form, and one answer from the parts of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from multidict import CIMultiDict

from infra.local.engine_calls import Answer

_DYNAMODB = "com.amazonaws.dynamodb.v20120810#"
_VALIDATION = "com.amazon.coral.validate#ValidationException"
_SERIALIZATION = "com.amazon.coral.service#SerializationException"


class Refused(Exception):
    """A call that DynamoDB would refuse; `answer` is what it says."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body.decode())
        self.answer = answer


def json_answer(content: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """An answer of DynamoDB's JSON protocol."""
    headers: CIMultiDict[str] = CIMultiDict({"Content-Type": "application/x-amz-json-1.0"})
    return Answer(status=status, headers=headers, body=orjson.dumps(content))


def invalid(message: str) -> Answer:
    """A ValidationException."""
    content = {"__type": _VALIDATION, "message": message}
    return json_answer(content, HTTPStatus.BAD_REQUEST)


def malformed() -> Answer:
    """What DynamoDB says of a body whose parts are not what they should be."""
    content = {"__type": _SERIALIZATION, "message": "A part of the request has the wrong type"}
    return json_answer(content, HTTPStatus.BAD_REQUEST)


def refused(error: str, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> Answer:
    """An error of DynamoDB's own, such as ResourceNotFoundException."""
    return json_answer({"__type": f"{_DYNAMODB}{error}", "message": message}, status)


def internal_error() -> Answer:
    """What a region says that cannot do what it was asked, and may have done it."""
    message = "Internal server error"
    return refused("InternalServerError", message, HTTPStatus.INTERNAL_SERVER_ERROR)


def merged(answers: Sequence[Answer]) -> Answer:
    """One answer of a batch from those of its parts; the first error wins."""
    failed = next((answer for answer in answers if not answer.ok), None)
    if failed is not None or len(answers) == 1:
        return failed or answers[0]
    whole: dict[str, Any] = {}
    for answer in answers:
        for name, value in answer.json().items():
            if isinstance(value, list):
                whole.setdefault(name, []).extend(value)
            else:
                whole.setdefault(name, {}).update(value)
    return json_answer(whole)
