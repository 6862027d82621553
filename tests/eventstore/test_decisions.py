"""Every guarantee of the write side, on a log in memory and on an engine's."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.network_element import NETWORK_ELEMENT, ApplyConfiguration, RegisterNetworkElement
from domain.subscriber import (
    SUBSCRIBER,
    ActivateSubscriber,
    ChangeServiceProfile,
    ResumeSubscriber,
    SuspendSubscriber,
)
from eventstore.bounds import Bounds
from eventstore.clock import Clock
from eventstore.commits import Commit
from eventstore.decisions import EventStore
from eventstore.errors import Conflict, CorruptLog, KeyReused, StoreUnavailable
from eventstore.folding import record_unchanged
from eventstore.identity import Keys
from eventstore.log import LAST_POSITION, CommitLog
from eventstore.memory import InMemoryLog
from eventstore.requests import CommandRequest, Decision

WRITERS = 16
IMSI = "262011234567890"
KEYS = Keys(b"a secret of the tests")
ACTIVATE = ActivateSubscriber(
    imsi=IMSI, msisdn="+4915112345678", iccid="8949020000012345670", service_profile="bronze"
)


def clock() -> Clock:
    """Return a clock that stands still, and that waits for nothing."""
    return Clock(
        now=lambda: datetime(2026, 11, 23, tzinfo=UTC), elapsed_s=lambda: 0.0, pause=lambda _: None
    )


def store_on(log: CommitLog, *, bounds: Bounds | None = None, region: str = "us") -> EventStore:
    return EventStore(log, keys=KEYS, region=region, clock=clock(), bounds=bounds)


def request(command: Any, command_id: str = "1", **more: Any) -> CommandRequest:
    aggregate = SUBSCRIBER if hasattr(command, "imsi") else NETWORK_ELEMENT
    return CommandRequest(
        aggregate=aggregate,
        command=command,
        command_id=command_id,
        producer="crm",
        correlation_id="c",
        **more,
    )


def everything(log: CommitLog, decision: Decision) -> list[Commit]:
    return list(log.read(decision.commit.aggregate_id, consistent=True))


def assert_contiguous(commits: list[Commit]) -> None:
    last = 0
    for commit in commits:
        assert (commit.predecessor, commit.position) == (last, last + 1)
        last = commit.last_position


def test_sixteen_writers_racing_lose_no_command_and_leave_no_hole(log: CommitLog):
    first = store_on(log).decide(request(ACTIVATE))
    stores = [store_on(log, region=f"r{n}") for n in range(WRITERS)]

    def change(n: int) -> Decision:
        wanted = ChangeServiceProfile(imsi=IMSI, service_profile=f"p-{n}")
        return stores[n].decide(request(wanted, f"c{n}"))

    with ThreadPoolExecutor(WRITERS) as pool:
        decisions = list(pool.map(change, range(WRITERS)))

    commits = everything(log, first)
    assert_contiguous(commits)
    assert len(commits) == WRITERS + 1
    assert {d.commit.token for d in decisions} == {c.token for c in commits[1:]}
    assert not any(d.duplicate for d in decisions)


def test_sixteen_duplicates_racing_are_one_commit(log: CommitLog):
    with ThreadPoolExecutor(WRITERS) as pool:
        stores = [store_on(log, region=f"r{n}") for n in range(WRITERS)]
        decisions = list(pool.map(lambda store: store.decide(request(ACTIVATE)), stores))

    assert len(everything(log, decisions[0])) == 1
    assert len({d.commit for d in decisions}) == 1
    assert [d.duplicate for d in decisions].count(False) == 1


def test_sixteen_configurations_for_one_revision_apply_once(log: CommitLog):
    register = RegisterNetworkElement(element_id="gnb-1", kind="gnb", site="a", plmn="262-01")
    first = store_on(log).decide(request(register))

    def configure(n: int) -> Decision:
        wanted = ApplyConfiguration(element_id="gnb-1", base_revision=0, parameters={"pci": n})
        return store_on(log, region=f"r{n}").decide(request(wanted, f"c{n}"))

    with ThreadPoolExecutor(WRITERS) as pool:
        outcomes = [d.commit.outcome for d in pool.map(configure, range(WRITERS))]

    assert (outcomes.count("accepted"), outcomes.count("rejected")) == (1, WRITERS - 1)
    assert_contiguous(everything(log, first))


class Unreliable:
    """A log whose puts may be stored with the answer lost, or be lost themselves."""

    def __init__(self, log: CommitLog, *fates: str) -> None:
        self._log = log
        self._fates = list(fates)

    def put(self, commit: Commit, *, unless: int | None = None) -> Commit | None:
        fate = self._fates.pop(0) if self._fates else "answered"
        there = self._log.put(commit, unless=unless) if fate != "lost" else None
        if fate != "answered":
            raise StoreUnavailable(f"time-out: {fate}")
        return there

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


@pytest.mark.parametrize(
    "fates",
    [("stored",), ("lost",), ("stored", "lost"), ("lost", "stored"), ("stored", "stored", "lost")],
)
def test_a_time_out_is_never_ambiguous(log: CommitLog, fates: tuple[str, ...]):
    decision = store_on(Unreliable(log, *fates)).decide(request(ACTIVATE))

    assert not decision.duplicate
    assert everything(log, decision) == [decision.commit]


def test_a_lost_answer_is_answered_from_what_was_stored_though_others_came_since(log: CommitLog):
    class OthersCome(Unreliable):
        def put(self, commit: Commit, *, unless: int | None = None) -> Commit | None:
            try:
                return super().put(commit, unless=unless)
            except StoreUnavailable:
                store_on(log, region="eu").decide(
                    request(SuspendSubscriber(imsi=IMSI, reason="fraud"), "s")
                )
                raise

    decision = store_on(OthersCome(log, "stored")).decide(request(ACTIVATE))

    commits = everything(log, decision)
    assert [c.command.type for c in commits] == ["ActivateSubscriber", "SuspendSubscriber"]
    assert decision.commit == commits[0]


def test_a_store_that_stays_unavailable_says_so_and_the_command_can_be_sent_again(log: CommitLog):
    patient = Bounds(append_tries=3)
    with pytest.raises(StoreUnavailable):
        store_on(Unreliable(log, "stored", "lost", "lost"), bounds=patient).decide(
            request(ACTIVATE)
        )

    again = store_on(log).decide(request(ACTIVATE))

    assert again.duplicate
    assert everything(log, again) == [again.commit]


def test_tries_are_bounded_and_end_in_a_conflict(log: CommitLog):
    class AlwaysLate(Unreliable):
        def put(self, commit: Commit, *, unless: int | None = None) -> Commit | None:
            number = str(commit.position)
            rival = ChangeServiceProfile(imsi=IMSI, service_profile=f"p-{number}")
            store_on(log, region="eu").decide(request(rival, number))
            return super().put(commit, unless=unless)

    store_on(log).decide(request(ACTIVATE))
    late = store_on(AlwaysLate(log), bounds=Bounds(append_tries=4))

    with pytest.raises(Conflict):
        late.decide(request(SuspendSubscriber(imsi=IMSI, reason="fraud"), "s"))

    settled = store_on(log).decide(request(ResumeSubscriber(imsi=IMSI), "r"))
    assert "SuspendSubscriber" not in [c.command.type for c in everything(log, settled)]


def test_deciding_from_an_old_state_is_decided_again_on_the_new_one(log: CommitLog):
    store_on(log).decide(request(ACTIVATE))
    behind = store_on(log, region="eu")
    behind.decide(request(ACTIVATE))
    store_on(log).decide(request(SuspendSubscriber(imsi=IMSI, reason="fraud"), "s"))

    decision = behind.decide(request(ChangeServiceProfile(imsi=IMSI, service_profile="gold"), "c"))

    assert decision.commit.outcome == "rejected"
    assert decision.commit.refusal == {
        "reason": "subscriber_suspended",
        "message": "the subscriber is suspended: resume it first",
    }


def test_the_same_key_with_other_content_is_refused_in_every_order(log: CommitLog):
    store_on(log).decide(request(ACTIVATE, idempotency_key="k"))
    other = request(SuspendSubscriber(imsi=IMSI, reason="fraud"), idempotency_key="k")

    for store in (store_on(log), store_on(log, region="eu")):
        with pytest.raises(KeyReused):
            store.decide(other)
    first = store_on(log).decide(request(ACTIVATE, idempotency_key="k"))
    assert first.duplicate
    assert len(everything(log, first)) == 1


def test_a_log_with_a_hole_is_corrupt_and_takes_nothing(
    log: CommitLog, a_commit: Callable[..., Any]
):
    store_on(log).decide(request(ACTIVATE))
    aggregate_id = KEYS.aggregate_id("sub", IMSI)
    beyond = replace(a_commit(5, aggregate_id=aggregate_id), events=(record_unchanged(),))
    log.put(beyond)

    with pytest.raises(CorruptLog):
        store_on(log, region="eu").decide(request(ResumeSubscriber(imsi=IMSI), "r"))


class LaggingReplica(InMemoryLog):
    """A log whose near replica shows only the first commits of an aggregate."""

    shown = 0

    def read(
        self, aggregate_id: str, *, upto: int = LAST_POSITION, consistent: bool, **more: Any
    ) -> Iterator[Commit]:
        near = upto if consistent else min(upto, self.shown)
        return super().read(aggregate_id, upto=near, consistent=consistent, **more)

    def get(self, aggregate_id: str, position: int, *, consistent: bool) -> Commit | None:
        hidden = not consistent and position > self.shown
        return None if hidden else super().get(aggregate_id, position, consistent=consistent)


@pytest.mark.parametrize("shown", [0, 1, 2])
def test_a_duplicate_is_found_though_the_replica_lags(shown: int):
    log = LaggingReplica()
    store_on(log).decide(request(ACTIVATE))
    first = store_on(log).decide(request(SuspendSubscriber(imsi=IMSI, reason="fraud"), "s"))
    store_on(log).decide(request(ResumeSubscriber(imsi=IMSI), "r"))
    log.shown = shown

    again = store_on(log, region="eu").decide(
        request(SuspendSubscriber(imsi=IMSI, reason="fraud"), "s")
    )

    assert again.duplicate
    assert again.commit == first.commit
    assert len(everything(log, first)) == 3


def test_a_usual_command_is_one_put_and_no_read_when_warm():
    class Counting(InMemoryLog):
        def __init__(self) -> None:
            super().__init__()
            self.calls: list[str] = []

        def put(self, commit: Commit, *, unless: int | None = None) -> Commit | None:
            self.calls.append("put")
            return super().put(commit, unless=unless)

        def read(self, *args: Any, **more: Any) -> Iterator[Commit]:
            self.calls.append("read")
            return super().read(*args, **more)

        def get(self, *args: Any, **more: Any) -> Commit | None:
            self.calls.append("get")
            return super().get(*args, **more)

    log = Counting()
    store = store_on(log)
    store.decide(request(ACTIVATE))
    log.calls.clear()

    store.decide(request(SuspendSubscriber(imsi=IMSI, reason="fraud"), "s"))

    assert log.calls == ["put"]
