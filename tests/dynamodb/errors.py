"""The errors of a real client, made by botocore from its own model of DynamoDB."""

from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore.errorfactory import ClientExceptionsFactory
from botocore.exceptions import ClientError, ParamValidationError
from botocore.validate import ParamValidator

MODEL = botocore.session.get_session().get_service_model("dynamodb")
EXCEPTIONS = ClientExceptionsFactory().create_client_exceptions(MODEL)
_VALIDATOR = ParamValidator()


def refusal(operation: str, code: str, message: str, **more: Any) -> ClientError:
    """Return what a real client raises when DynamoDB answers with this error."""
    response = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": 400, "RetryAttempts": 0},
        "message": message,
        **more,
    }
    kind: Any = EXCEPTIONS.from_code(code)
    error: ClientError = kind(response, operation)
    return error


def check_parameters(operation: str, request: Mapping[str, Any]) -> None:
    """Raise what a real client raises before it sends a request that has no such form."""
    shape = MODEL.operation_model(operation).input_shape
    assert shape is not None
    report = _VALIDATOR.validate(request, shape)
    if report.has_errors():
        raise ParamValidationError(report=report.generate_report())
