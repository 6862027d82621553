"""The audit beside live commands: what is on its way is late, what is wrong is wrong twice."""

import copy
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from antiphon.verification import audit
from antiphon.verification.source import Item, Table
from eventstore.commits import from_item, to_item
from projections.repair import How
from tests.antiphon.honest import (
    REGIONS,
    Tables,
    TablesSource,
    body_of,
    decided,
    head_of,
    honest_tables,
)

US, EU, AP = REGIONS


class Changing(TablesSource):
    """Tables that change right after something was read of them."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self.after_log: Callable[[], None] = lambda: None
        self.after_get: Callable[[str], None] = lambda _region: None

    def log_pages(self) -> Iterator[Sequence[Item]]:
        pages = list(super().log_pages())
        self.after_log()
        return iter(pages)

    def get(self, region: str, table: Table, keys: Iterable[Item]) -> list[Item]:
        found = copy.deepcopy(super().get(region, table, keys))
        self.after_get(region)
        return found


def without_last() -> Tables:
    """Return tables from before the last commit of the network element."""
    return honest_tables(decided()[:-1])


def become(tables: Tables, later: Tables) -> None:
    tables.log[:] = later.log
    for name in ("replicas", "views", "responses"):
        for region in REGIONS:
            getattr(tables, name)[region][:] = getattr(later, name)[region]


def test_commands_that_come_in_while_the_log_is_read_are_no_violation(tables):
    before = without_last()
    source = Changing(before)
    source.after_log = lambda: become(before, tables)
    verdict = before.verdict(source=source)
    assert verdict.good, verdict
    assert verdict.commits == 7


def test_what_arrives_while_it_is_waited_for_is_right(tables):
    head = head_of(tables.views[AP], "network-inventory")
    right, head["n"] = head["n"], {"N": "2"}
    looks: list[None] = []

    def arrive() -> None:
        looks.append(None)
        if len(looks) == 3:
            head["n"] = right

    assert tables.verdict(settle_s=60.0, pause=arrive).good
    assert len(looks) == 3


def test_it_is_waited_for_as_long_as_something_moves(tables, honest_commits):
    """Three answers come one after the other, each in the last moment of the settling time."""
    held = [body_of(tables, commit) for commit in honest_commits[:3]]
    kept = [dict(item) for item in held]
    for item in held:
        del item["published"]
    audited = tables.audit(settle_s=3.0)
    tick, pauses = audited.pause, 0

    def pause() -> None:
        nonlocal pauses
        tick()
        pauses += 1
        if pauses % 2 == 0 and pauses // 2 <= len(held):
            held[pauses // 2 - 1].update(kept[pauses // 2 - 1])

    audited.pause = pause
    assert audited.run().good
    assert pauses == 6


def test_what_does_not_come_within_its_time_is_a_violation(tables):
    head_of(tables.views[AP], "network-inventory")["n"] = {"N": "2"}
    audited = tables.audit(settle_s=5.0)
    verdict = audited.run()
    assert [one.text for one in verdict.violations] == [
        "it has applied sequence 2, the log ends at 3"
    ]
    assert audited.elapsed_s() == 5.0


def test_what_was_wrong_in_one_look_alone_is_no_violation(tables):
    """As of a row that is read before the transaction that brings it, and its head after that."""
    source = Changing(tables)
    row = next(item for item in tables.views[US] if item["s"]["S"] == f"{2:020d}")
    tables.views[US].remove(row)

    def once(_region: str) -> None:
        source.after_get = lambda _region: None
        tables.views[US].append(row)

    source.after_get = once
    assert tables.verdict(source=source).good


def test_what_is_wrong_otherwise_in_every_look_is_told_as_such(tables):
    head = head_of(tables.views[EU], "subscriber-view")
    document = orjson.loads(head["d"]["S"])
    head["d"]["S"] = orjson.dumps(document | {"service_profile": "other"}).decode()
    source, looks = Changing(tables), 0

    def change(_region: str) -> None:
        nonlocal looks
        looks += 1
        fields = document | {["service_profile", "status"][looks % 2]: "other"}
        head["d"]["S"] = orjson.dumps(fields).decode()

    source.after_get = lambda region: change(region) if region == EU else None
    # A look reads three times, the views first: each sees what the look before it has left.
    verdict = tables.verdict(source=source)
    assert verdict.violations == []
    assert {one.because for one in verdict.unsettled} == {"it changed while it was looked at"}


def test_a_region_behind_a_cut_link_is_not_settled_and_others_are_judged(tables):
    for region in (EU, AP):
        head_of(tables.views[region], "network-inventory")["n"] = {"N": "2"}
    source = TablesSource(tables)
    source.stopped = {AP: "the link us-east-1 - ap-south-1 is cut"}
    verdict = tables.verdict(source=source)
    assert [one.where for one in verdict.violations] == [EU]
    assert [(one.where, one.because) for one in verdict.unsettled] == [(AP, source.stopped[AP])]
    assert [mend.region for mend in verdict.mends] == [EU], "what is only late comes by itself"


def test_an_answer_that_waits_for_a_region_cut_off_is_not_settled(tables, honest_commits):
    item = body_of(tables, honest_commits[0])
    del item["published"], item["body"], item["ack#ap-south-1"]
    source = TablesSource(tables)
    source.stopped = {AP: "the link us-east-1 - ap-south-1 is cut"}
    verdict = tables.verdict(source=source)
    assert verdict.violations == []
    [late] = verdict.unsettled
    assert late.key == honest_commits[0].commit_id
    assert not verdict.good


def test_what_is_not_listed_is_counted(tables, monkeypatch):
    monkeypatch.setattr(audit, "MOST_SUSPECTS", 1)
    for projection in ("network-inventory", "subscriber-view"):
        head_of(tables.views[AP], projection)["n"] = {"N": "1"}
    verdict = tables.verdict()
    assert verdict.unlisted == 1
    assert not verdict.settled


@pytest.mark.parametrize(
    ("projection", "attribute", "how"),
    [
        ("network-inventory", "n", How.APPLY),
        ("subscriber-view", "d", How.REFOLD),
        ("subscriber-view", "l1", How.REFOLD),
    ],
)
def test_each_thing_that_can_be_repaired_says_how(tables, projection, attribute, how):
    head = head_of(tables.views[EU], projection)
    head[attribute] = {"N": "2"} if attribute == "n" else {"S": "{}"}
    [mend] = tables.verdict().mends
    assert (mend.how, mend.region) == (how, EU)


def test_a_log_that_is_wrong_is_never_to_be_repaired(tables, honest_commits):
    tables.everywhere(lambda items: items.remove(to_item(honest_commits[1])))
    verdict = tables.verdict()
    assert any(one.kind == "log" for one in verdict.violations)
    assert verdict.mends == []


def test_memory_does_not_grow_with_the_number_of_commits(honest_commits, monkeypatch):
    """Nothing of a log has reached any region: then the most is kept that ever is."""
    monkeypatch.setattr(audit, "MOST_SUSPECTS", 20)
    monkeypatch.setattr(audit, "MOST_FOUND", 20)

    def peak(aggregates: int) -> int:
        source = Repeated(honest_commits[5:], aggregates)
        tracemalloc.start()
        verdict = Tables([], {}, {}, {}).verdict(source=source)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert verdict.commits == 3 * aggregates
        assert verdict.unlisted >= aggregates - 20
        return most

    peak(70)
    # Eight times as many; threads and their garbage make some difference.
    assert peak(1_600) < 1.6 * peak(200)


class Repeated(TablesSource):
    """The log of one aggregate over and over under other ids, made when it is read."""

    def __init__(self, commits: Sequence[Any], aggregates: int) -> None:
        super().__init__(Tables([], *({region: [] for region in REGIONS} for _ in range(3))))
        self._commits = [to_item(replace(one, aggregate_id="net." + "a" * 26)) for one in commits]
        self._aggregates = aggregates
        self.stopped = dict.fromkeys(REGIONS, "a test")

    def log_pages(self) -> Iterator[Sequence[Item]]:
        return (self.log_of(_name(number)) for number in range(self._aggregates))

    def log_of(self, aggregate_id: str) -> Sequence[Item]:
        return [item | {"a": {"S": aggregate_id}} for item in self._commits]


def _name(number: int) -> str:
    letters = "".join(chr(ord("a") + int(digit)) for digit in f"{number:026d}")
    return f"net.{letters}"


def test_the_repeated_log_is_one(honest_commits):
    source = Repeated(honest_commits[5:], 2)
    assert [from_item(item).position for page in source.log_pages() for item in page] == [
        1,
        2,
        3,
    ] * 2
