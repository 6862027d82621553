"""The JSON 1.0 protocol of DynamoDB and SQS: requests and answers between Python and the wire.

Attribute values stay in DynamoDB's own form; only binary ones differ, bytes here and base64
there. Members that are null are left out of an answer, as botocore does.
"""

from base64 import b64decode, b64encode
from typing import Any

import orjson
from botocore.exceptions import ParamValidationError

_ITEM = ("Item", "Attributes", "LastEvaluatedKey")


def to_wire(request: dict[str, Any]) -> bytes:
    """Return the body of a request.

    Raises:
        ParamValidationError: it holds what has no form in JSON.

    """
    try:
        return orjson.dumps(request, default=_binary_to_text)
    except TypeError as error:
        raise ParamValidationError(report=f"not to be written as JSON: {error}") from error


def from_wire(body: bytes) -> dict[str, Any]:
    """Return what an answer's body says.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is no answer of the service's.

    """
    answer = orjson.loads(body)
    if not isinstance(answer, dict):
        raise TypeError(f"an object expected, not {type(answer).__name__}")
    if None in answer.values():
        answer = {name: value for name, value in answer.items() if value is not None}
    for name in _ITEM:
        if name in answer:
            _decode(answer[name])
    for item in answer.get("Items", ()):
        _decode(item)
    if "Responses" in answer:
        _decode_responses(answer["Responses"])
    _decode_unprocessed(answer)
    return answer


def _decode_responses(responses: Any) -> None:
    """Read those of a batch, by table, or of a transaction, in order."""
    if isinstance(responses, dict):
        for items in responses.values():
            for item in items:
                _decode(item)
    else:
        for one in responses:
            _decode(one.get("Item", {}))


def _decode_unprocessed(answer: dict[str, Any]) -> None:
    for asked in answer.get("UnprocessedKeys", {}).values():
        for key in asked["Keys"]:
            _decode(key)
    for writes in answer.get("UnprocessedItems", {}).values():
        for write in writes:
            _decode(write.get("PutRequest", {}).get("Item", {}))
            _decode(write.get("DeleteRequest", {}).get("Key", {}))


def _decode(attributes: dict[str, Any]) -> None:
    """Turn base64 into bytes, in place, however deep."""
    for value in attributes.values():
        _decode_value(value)


def _decode_value(value: dict[str, Any]) -> None:
    for kind, content in value.items():
        if kind == "B":
            value["B"] = b64decode(content)
        elif kind == "M":
            _decode(content)
        elif kind == "L":
            for one in content:
                _decode_value(one)
        elif kind == "BS":
            value["BS"] = [b64decode(one) for one in content]


def _binary_to_text(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return b64encode(value).decode("ascii")
    raise TypeError(f"a value of type {type(value).__name__}")
