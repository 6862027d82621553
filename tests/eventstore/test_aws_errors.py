"""What may pass by itself is told apart from what will not, in every service's own words."""

import pytest
from botocore.exceptions import ClientError

from eventstore.aws_errors import passing_errors_translated
from eventstore.errors import StoreUnavailable


def refused(code: str, *, status: int = 400) -> ClientError:
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "AnyCall")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    [
        refused("ProvisionedThroughputExceededException"),
        refused("ThrottlingException"),
        refused("RequestThrottled", status=403),
        refused("RequestThrottled"),
        refused("KmsThrottled"),
        refused("TooManyRequestsException", status=429),
        refused("ReplicatedWriteConflictException", status=409),
        refused("SomethingNew", status=503),
    ],
    ids=lambda error: error.response["Error"]["Code"],
)
def test_what_a_service_refuses_for_now_is_unavailable_and_names_the_reason(error: ClientError):
    with (
        pytest.raises(StoreUnavailable, match=error.response["Error"]["Code"]),
        passing_errors_translated("call"),
    ):
        raise error


@pytest.mark.parametrize(
    "code", ["ValidationException", "AccessDeniedException", "QueueDoesNotExist"]
)
def test_what_will_not_pass_stays_what_it_is(code: str):
    error = refused(code)

    with pytest.raises(ClientError) as raised, passing_errors_translated("call"):
        raise error

    assert raised.value is error
