"""What commands cost: measured in passing by tests, and told at the end of the run."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.dynamodb.metering import Used, total
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.network import Network

Costs = dict[tuple[str, str], Used]
Measure = Callable[..., AbstractContextManager[Costs]]
ROWS = pytest.StashKey[list[tuple[str, Used]]]()
TITLE = "requests and write units per command"
NOTE = "write units of the log: at every replica of it; of a view: in every region"


@pytest.fixture
def engine_of_regions() -> InProcessRegions:
    return InProcessRegions()


@pytest.fixture
def network(engine_of_regions: InProcessRegions) -> Network:
    network = Network(engine_of_regions)
    for region in network.regions.values():
        # Known for seconds in every process: what that costs is measured by itself.
        region.deps.control.current()
    return network


@pytest.fixture
def measure(request: pytest.FixtureRequest, engine_of_regions: InProcessRegions) -> Measure:
    """Return what measures a block and puts it into the report, under a name, per command."""

    @contextmanager
    def measured(name: str, *, commands: int = 1) -> Iterator[Costs]:
        with engine_of_regions.measured() as used:
            yield used
        row = (name, total(used) / commands)
        request.config.stash.setdefault(ROWS, []).append(row)

    return measured


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Print the report, if anything was measured."""
    rows = config.stash.get(ROWS, [])
    if not rows:
        return
    terminalreporter.section(TITLE)
    wide = max(len(name) for name, _ in rows)
    terminalreporter.write_line(f"{'':{wide}}  requests  read units  write units  of indexes")
    for name, used in rows:
        terminalreporter.write_line(
            f"{name:{wide}}  {used.requests:8g}  {used.read_units:10g}"
            f"  {used.write_units:11g}  {used.index_units:10g}"
        )
    terminalreporter.write_line(NOTE)
