"""The tables that are strongly consistent in both modes, control and keys, wherever they are.

Such a table is in three regions. A region that has none of its own asks the nearest of those, and
the next if that does not answer: each of them tells the same, so it makes no difference but time.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from eventstore.aws_errors import passing_errors_translated
from eventstore.errors import StoreUnavailable
from handlers.clients import Clients
from handlers.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class FirstThatAnswers:
    """Calls of DynamoDB that go to one of several regions. Safe to share between threads.

    Only for tables that are consistent in all of them, and for what is safe to send again: a call
    that one region did not answer may have been carried out, and is made in the next.

    Args:
        client_of: the tables of a region.
        regions: those that have them, in the order in which they are asked.

    """

    def __init__(
        self, client_of: Callable[[str], "DynamoDBClient"], regions: Sequence[str]
    ) -> None:
        self._client_of = client_of
        self._regions = tuple(regions)
        # Whoever answered last is asked first: one that is out of reach takes seconds to say so,
        # which is longer than what is read here may be gone by.
        self._first = 0

    def get_item(self, **request: Any) -> Any:
        return self._call("get_item", request)

    def batch_get_item(self, **request: Any) -> Any:
        return self._call("batch_get_item", request)

    def put_item(self, **request: Any) -> Any:
        return self._call("put_item", request)

    def describe_table(self, **request: Any) -> Any:
        return self._call("describe_table", request)

    def update_item(self, **request: Any) -> Any:
        return self._call("update_item", request)

    def _call(self, operation: str, request: dict[str, Any]) -> Any:
        first, failures = self._first, []
        for number in range(len(self._regions)):
            asked = (first + number) % len(self._regions)
            region = self._regions[asked]
            try:
                with passing_errors_translated(f"ask {region}"):
                    answer = getattr(self._client_of(region), operation)(**request)
            except StoreUnavailable as error:
                failures.append(str(error))
            else:
                self._first = asked
                return answer
        raise StoreUnavailable("; ".join(failures))


class SharedTables:
    """Knows for one function where control and keys are."""

    settings: Settings
    _clients: Clients

    @cached_property
    def _elsewhere(self) -> "DynamoDBClient":
        found = FirstThatAnswers(self._clients.dynamodb, self.settings.states_in)
        return cast("DynamoDBClient", found)

    def shared_of(self, region: str) -> "DynamoDBClient":
        """Return the tables of control and keys as a region reaches them."""
        if not self.settings.states_in or region in self.settings.states_in:
            return self._clients.dynamodb(region)
        return self._elsewhere
