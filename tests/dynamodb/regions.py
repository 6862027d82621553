"""The in-process DynamoDB of several regions: as `engine` of tests, in place of a real one."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.dynamodb.in_process import InProcessDynamoDB
from tests.dynamodb.metering import Used
from tests.dynamodb.values import Unsupported


class InProcessRegions:
    """A DynamoDB for each region. What a global table has in common is the test's affair."""

    def __init__(self, *, trusting: bool = False) -> None:
        self._regions: dict[str, InProcessDynamoDB] = defaultdict(
            lambda: InProcessDynamoDB(trusting=trusting)
        )

    def client(self, service: str, region: str = "us-east-1") -> InProcessDynamoDB:
        """Return the client of a region, always the same one."""
        if service != "dynamodb":
            raise Unsupported(f"the service {service}")
        return self._regions[region]

    @contextmanager
    def measured(self) -> Iterator[dict[tuple[str, str], Used]]:
        """Yield what is used in the block, by operation and table, of all regions together."""
        together: dict[tuple[str, str], Used] = defaultdict(Used)
        with ExitStack() as stack:
            meters = [one.meter for one in self._regions.values()]
            each = [stack.enter_context(meter.measured()) for meter in meters]
            yield together
        for used in each:
            for place, units in used.items():
                together[place] += units
