"""Have a scenario happen to running regions, telling each thing as it does.

A thread beside whatever else the process does. Stops with it, without waiting for what is
still to come; `finish` waits for the end, and ends every fault that the scenario has left.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from antiphon.connection import RESTART_TIMEOUT_S, Connection
from antiphon.problems import Problem
from antiphon.scenario import Moment, Scenario
from antiphon.terminal import say
from infra.local.actions import Calm, told


class ScenarioPlayer:
    """One scenario, as it happens."""

    def __init__(self, connection: Connection, scenario: Scenario) -> None:
        """Happen to the regions of `connection`, from `start` on."""
        self._connection = connection
        self._scenario = scenario
        self._stopped = threading.Event()
        self._failed: Problem | None = None
        self._thread = threading.Thread(target=self._play, name="scenario", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Let nothing more happen."""
        self._stopped.set()
        self._thread.join()

    def finish(self) -> None:
        """Wait until everything has happened, and end what faults are left.

        Raises Problem if something of it could not be done.
        """
        self._thread.join()
        if self._failed is not None:
            raise self._failed
        if self._connection.wan().is_calm():
            return
        self._order(Moment(at_s=self._scenario.ends_s, action=Calm(), line=0))

    def _play(self) -> None:
        begun_s = time.monotonic()
        for moment in self._scenario.moments:
            if self._stopped.wait(begun_s + moment.at_s - time.monotonic()):
                return
            try:
                self._order(moment)
            except Problem as problem:
                where = f"{self._scenario.name}:{moment.line}"
                self._failed = Problem(f"{where}: {told(moment.action)}: {problem}")
                say(f"  {self._failed}", style="bold red")
                return

    def _order(self, moment: Moment) -> None:
        say(f"  {moment.at_s:5.1f} s  {moment}", style="bold yellow")
        order = moment.action.model_dump(mode="json", exclude_none=True)
        self._connection.change_wan(order.pop("action"), timeout_s=RESTART_TIMEOUT_S, **order)


@contextmanager
def playing(connection: Connection, scenario: Scenario | None) -> Iterator[ScenarioPlayer | None]:
    """Play a scenario, if there is one, until the block ends."""
    if scenario is None:
        yield None
        return
    player = ScenarioPlayer(connection, scenario)
    player.start()
    try:
        yield player
    finally:
        player.stop()
