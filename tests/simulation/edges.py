"""The edge of a process in virtual time: one region's clock, which may be wrong, and no threads."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from eventstore.clock import Clock
from handlers.edge import Edge, Task

if TYPE_CHECKING:
    from tests.simulation.world import World


def clock_of(world: Callable[[], "World"], region: str) -> Clock:
    """Return a region's clocks: the wall's, and that of elapsed time; wrong as planned, both."""
    return Clock(
        now=lambda: datetime.fromtimestamp(world().wall_ms(region) / 1000, tz=UTC),
        elapsed_s=lambda: world().elapsed_ms(region) / 1000,
        pause=lambda seconds: world().time.sleep(seconds * 1000),
    )


def edge_of(world: "World", region: str) -> Edge:
    """Return the edge of a process that does one thing after the other."""
    return Edge(clock=clock_of(lambda: world, region), side_by_side=_in_turn, write=unread)


def _in_turn(tasks: Sequence[Task], *, within_s: float | None = None) -> list[BaseException | None]:
    return [error_of(task) for task in tasks]


def error_of(task: Task) -> Exception | None:
    """Run a task; return its error, None if it went well."""
    try:
        task()
    except Exception as error:  # noqa: BLE001 - told to whoever waits for it
        return error
    return None


def unread(_line: str) -> None:
    """Take a line of metrics: they are made as everywhere, and nothing here goes by them."""
