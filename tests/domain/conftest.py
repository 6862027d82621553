"""Given/when/then for one aggregate: `given(*events).when(command).then(*events)`.

A test module says which aggregate it is about by a fixture of its own named `aggregate`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from domain.aggregate import Aggregate, Command, CommandRefused, Event

NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Decided:
    """What came of a command: its events, or the refusal."""

    aggregate: Aggregate[Any]
    command: Command
    state: Any
    events: tuple[Event, ...]
    refused: CommandRefused | None

    def then(self, *events: Event) -> Any:
        """Expect exactly these events, and nothing from the same command afterwards."""
        assert self.refused is None, f"refused: {self.refused}"
        assert self.events == events
        state = self.state
        for event in events:
            state = self.aggregate.evolve(state, event)
        assert self.aggregate.decide(state, self.command, now=NOW) == ()
        return state

    def then_nothing(self) -> None:
        """Expect that there was nothing to do."""
        assert self.refused is None, f"refused: {self.refused}"
        assert self.events == ()

    def then_refused(self, reason: str) -> None:
        """Expect a refusal with this reason, told in a sentence."""
        assert self.refused is not None, f"not refused, but decided {self.events}"
        assert self.refused.reason == reason
        assert " " in self.refused.message


@dataclass(frozen=True)
class Given:
    """An aggregate with a past."""

    aggregate: Aggregate[Any]
    state: Any

    def when(self, command: Command) -> Decided:
        """Decide a command on it."""
        try:
            events = self.aggregate.decide(self.state, command, now=NOW)
        except CommandRefused as refused:
            return Decided(self.aggregate, command, self.state, (), refused)
        return Decided(self.aggregate, command, self.state, events, None)


def _given(aggregate: Aggregate[Any], *events: Event) -> Given:
    state = None
    for event in events:
        state = aggregate.evolve(state, event)
    return Given(aggregate, state)


@pytest.fixture
def given(aggregate):
    """Return the beginning of a given/when/then sentence about the module's aggregate."""
    return partial(_given, aggregate)
