"""The state at any past sequence or time, and the events up to it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.network_element import (
    NETWORK_ELEMENT,
    ApplyConfiguration,
    DecommissionNetworkElement,
    RegisterNetworkElement,
)
from eventstore.clock import Clock
from eventstore.decisions import EventStore
from eventstore.history import History, history
from eventstore.identity import Keys
from eventstore.memory import InMemoryLog
from eventstore.requests import CommandRequest

KEYS = Keys(b"a secret of the tests")
START = datetime(2026, 11, 23, tzinfo=UTC)
AGGREGATE_ID = KEYS.aggregate_id("ne", "gnb-1")


@pytest.fixture
def at() -> Callable[..., History]:
    """Return a reader of the history of an element that something happened to each hour.

    Hour 0 registered, 1 revision 1, 2 a stale revision (refused), 3 revision 2, 4 gone.
    """
    log = InMemoryLog()
    hours = iter(range(10))
    clock = Clock(
        now=lambda: START + timedelta(hours=next(hours)),
        elapsed_s=lambda: 0.0,
        pause=lambda _: None,
    )
    store = EventStore(log, keys=KEYS, region="us", clock=clock)
    commands: list[Any] = [
        RegisterNetworkElement(element_id="gnb-1", kind="gnb", site="ber-1", plmn="262-01"),
        ApplyConfiguration(element_id="gnb-1", base_revision=0, parameters={"pci": 1}),
        ApplyConfiguration(element_id="gnb-1", base_revision=0, parameters={"pci": 9}),
        ApplyConfiguration(element_id="gnb-1", base_revision=1, parameters={"pci": 2}),
        DecommissionNetworkElement(element_id="gnb-1", reason="closed"),
    ]
    for number, command in enumerate(commands):
        store.decide(
            CommandRequest(
                aggregate=NETWORK_ELEMENT,
                command=command,
                command_id=str(number),
                producer="oss",
                correlation_id="c",
            )
        )

    def read(**when: Any) -> History:
        return history(log, NETWORK_ELEMENT, AGGREGATE_ID, **{"limit": 50, **when})

    return read


def ms(hours: float) -> int:
    return int((START + timedelta(hours=hours)).timestamp() * 1000)


@pytest.mark.parametrize(
    ("sequence", "revision", "status"),
    [
        (1, 0, "in_service"),
        (2, 1, "in_service"),
        (3, 1, "in_service"),
        (4, 2, "in_service"),
        (5, 2, "decommissioned"),
        (99, 2, "decommissioned"),
    ],
)
def test_the_state_at_a_sequence(at: Any, sequence: int, revision: int, status: str):
    past = at(at_sequence=sequence)

    assert (past.state.revision, past.state.status) == (revision, status)
    assert past.sequence == min(sequence, 5)


def test_before_anything_there_was_nothing(at: Any):
    past = at(at_sequence=0)

    assert (past.state, past.sequence, past.events, past.earlier) == (None, 0, (), 0)
    assert at(at_ms=ms(-1)).sequence == 0


@pytest.mark.parametrize(("hours", "sequence"), [(0, 1), (0.5, 1), (2, 3), (3.9, 4), (100, 5)])
def test_the_state_at_a_time(at: Any, hours: float, sequence: int):
    assert at(at_ms=ms(hours)).sequence == sequence


def test_refused_commands_are_no_events_of_the_history(at: Any):
    assert [past.sequence for past in at().events] == [1, 2, 4, 5]


def test_only_the_last_events_are_told_but_all_are_folded(at: Any):
    past = at(limit=2)

    assert [one.sequence for one in past.events] == [4, 5]
    assert past.earlier == 2
    assert past.state.revision == 2
