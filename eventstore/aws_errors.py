"""The one place where botocore's errors become ours.

What may pass by itself (throttling, time-outs, a region cut off) is `StoreUnavailable`.
A wrong table, a missing permission or a bug is not: it stays what it is and alarms.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

from eventstore.errors import StoreUnavailable

_SERVER_FAULT = 500
_PASSING = frozenset(
    {
        "InternalServerError",
        "InternalError",
        "InternalFailure",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",  # MRSC: two regions wrote one item; retryable
        "KmsThrottled",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",  # SQS, which answers 400 or 403 where others answer 5xx
        "RequestThrottledException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)


# Reasons of a cancelled transaction that pass by themselves; botocore does not retry them.
_PASSING_REASONS = frozenset(
    {"None", "ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"}
)
_LOST_RACES = frozenset({"ConditionalCheckFailed", "TransactionConflict"})


def lost_race(error: ClientError) -> bool:
    """Say whether a conditional write or transaction lost to another writer."""
    if error_code(error) == "TransactionCanceledException":
        return bool(_reasons(error) & _LOST_RACES)
    return error_code(error) in {"ConditionalCheckFailedException", "TransactionConflictException"}


def _reasons(error: ClientError) -> set[str]:
    reasons = error.response.get("CancellationReasons", [])
    return {str(reason.get("Code")) for reason in reasons}


def error_code(error: ClientError) -> str:
    """Return AWS's name of the error, such as ConditionalCheckFailedException."""
    return str(error.response.get("Error", {}).get("Code", ""))


def may_pass(error: Exception) -> bool:
    """Say whether trying again may help: it does not for what is wrong with the data.

    A missing permission or table is wrong with the installation: work waits until it is there.
    """
    if isinstance(error, ClientError):
        return error_code(error) != "ValidationException"
    return isinstance(error, StoreUnavailable | BotoCoreError)


@contextmanager
def passing_errors_translated(doing: str) -> Iterator[None]:
    """Raise StoreUnavailable for what may pass by itself; let everything else through."""
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        throttled = (
            error_code(error) == "TransactionCanceledException"
            and _reasons(error) <= _PASSING_REASONS
        )
        if error_code(error) in _PASSING or status >= _SERVER_FAULT or throttled:
            raise StoreUnavailable(f"could not {doing}: {error_code(error)}") from error
        raise
    except (BotoConnectionError, HTTPClientError) as error:
        raise StoreUnavailable(f"could not {doing}: {type(error).__name__}") from error
