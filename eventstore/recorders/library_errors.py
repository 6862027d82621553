"""Our errors and botocore's as the `eventsourcing` library's, which follow PEP 249.

Only `OperationalError` may pass by itself. A conflict is no error of AWS: the recorders
raise `IntegrityError` where they find it. Nothing else may reach a user of the library.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError
from eventsourcing.persistence import (
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    ProgrammingError,
)

from eventstore.aws_errors import error_code, passing_errors_translated
from eventstore.errors import CorruptLog, StoreUnavailable

# What a call can only be told because the table, its keys or the request are not as they must be.
_ASKED_WRONGLY = frozenset({"ResourceNotFoundException", "ValidationException"})


@contextmanager
def library_errors(doing: str) -> Iterator[None]:
    """Raise the library's error for whatever the store or AWS raises while `doing` something.

    Raises:
        OperationalError: DynamoDB did not answer, or refused for a passing reason.
        InternalError: the log breaks its own rules; to be alarmed about, not retried.
        ProgrammingError: the table is not there or not of the schema that is needed.
        InterfaceError: the request never left, for want of credentials for example.
        DatabaseError: AWS refused for any other reason, a missing permission for example.

    """
    try:
        with passing_errors_translated(doing):
            yield
    except StoreUnavailable as error:
        raise OperationalError(str(error)) from error
    except CorruptLog as error:
        raise InternalError(str(error)) from error
    except ClientError as error:
        code = error_code(error)
        kind = ProgrammingError if code in _ASKED_WRONGLY else DatabaseError
        raise kind(f"could not {doing}: {code}") from error
    except BotoCoreError as error:
        raise InterfaceError(f"could not {doing}: {type(error).__name__}") from error
