"""What a try of a request came to: an answer, an error, or another try, all by botocore's rules.

Only what failed comes here, so this may cost what botocore costs: its parser reads the error, and
the client's own handlers decide on a retry, from the client's own quota. An answer that arrived
damaged is no answer: botocore would take some of them for a success.
"""

import email.utils
import threading
import zlib
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ResponseStreamingError
from botocore.parsers import create_parser

from handlers.lean.connections import Answer
from handlers.lean.json_form import from_wire

REDIRECT = 300
_SKEWED = frozenset(
    {
        "InvalidSignatureException",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    }
)
# AWS takes signatures up to five minutes old.
_SKEW_S = 240
# One more than a retry may ever take from the quota: handing back stops at its capacity.
_MOST_A_RETRY_TAKES = 20


def read(answer: Answer) -> dict[str, Any]:
    """Return what a successful answer says.

    Raises:
        ResponseStreamingError: it arrived damaged.

    """
    told = answer.headers.get("x-amz-crc32")
    if told is not None and told != str(zlib.crc32(answer.content)):
        raise ResponseStreamingError(error="the checksum of the answer does not fit it")
    try:
        return from_wire(answer.content)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ResponseStreamingError(error=f"the answer is not the service's: {error}") from error


def skew_of(answer: Answer, code: str, *, now_s: float, offset_s: float) -> float | None:
    """Return by how much AWS's clock is ahead, in seconds, if a wrong clock is why it refused."""
    if code not in _SKEWED or "date" not in answer.headers:
        return None
    try:
        theirs_s = email.utils.parsedate_to_datetime(answer.headers["date"]).timestamp()
    except ValueError:
        return None
    found = theirs_s - now_s
    return found if abs(found - offset_s) > _SKEW_S else None


class Outcomes:
    """The errors and retries of a client's operations. Safe to share between threads."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._service = client.meta.service_model.service_id.hyphenize()
        self._model = client.meta.service_model
        self._parser = create_parser("json")
        self._lock = threading.Lock()
        # Successes after which the quota of retries is surely full again.
        self._owed = 0

    def refusal(self, operation: str, answer: Answer) -> dict[str, Any]:
        """Return the parsed error that an answer is, as a ClientError's response."""
        response = {
            "headers": answer.headers,
            "status_code": answer.status_code,
            "body": answer.content,
            "context": {"operation_name": operation},
        }
        usual: Any = self._model.operation_model(operation).output_shape
        parsed: dict[str, Any] = self._parser.parse(response, usual)
        shape = self._model.shape_for_error_code(parsed.get("Error", {}).get("Code"))
        if shape is not None:
            parsed.update(self._parser.parse(response, shape))
        return parsed

    def error(self, operation: str, parsed: Mapping[str, Any]) -> Exception:
        """Return the exception that boto3 raises for a parsed error."""
        told = parsed.get("Error", {})
        kind: Any = self._client.exceptions.from_code(told.get("QueryErrorCode") or told["Code"])
        error: Exception = kind(parsed, operation)
        return error

    def retry_after_s(
        self,
        operation: str,
        *,
        tries: int,
        context: dict[str, Any],
        failure: Exception | tuple[Answer, dict[str, Any]],
    ) -> float | None:
        """Return the seconds until the next try, None if there is to be none.

        Args:
            operation: its name, such as PutItem.
            tries: those that were made.
            context: of the call: a new dictionary for each.
            failure: how the last try ended, an exception or an error with its answer.

        """
        raised = failure if isinstance(failure, Exception) else None
        told = self._client.meta.events.emit(
            f"needs-retry.{self._service}.{operation}",
            response=None if raised else failure,
            endpoint=None,
            operation=self._model.operation_model(operation),
            attempts=tries,
            caught_exception=raised,
            request_dict={"context": context},
        )
        delays = [delay for _, delay in told if delay is not None]
        if not delays or delays[0] is False:
            return None
        with self._lock:
            self._owed += _MOST_A_RETRY_TAKES
        return float(delays[0])

    def succeeded(self, operation: str, answer: Answer, context: dict[str, Any]) -> None:
        """Hand back to the quota of retries, which costs something only while it is not full."""
        if not self._owed:
            return
        with self._lock:
            self._owed = max(self._owed - 1, 0)
        self._client.meta.events.emit(
            f"after-call.{self._service}.{operation}",
            http_response=answer,
            parsed={},
            model=self._model.operation_model(operation),
            context=context,
        )
