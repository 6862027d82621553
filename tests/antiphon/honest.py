"""The tables of an honest system at rest, item by item, for tests that alter one thing.

Made by the product's own deciding, folding and answering, laid out as the tables store it.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from antiphon.verification import Audit, Verdict
from antiphon.verification.source import KEYS as KEY_NAMES
from antiphon.verification.source import Item, LogPlace, Table
from domain.network_element import ApplyConfiguration, RegisterNetworkElement
from domain.registry import REGISTRY
from domain.subscriber import ActivateSubscriber, ResumeSubscriber, SuspendSubscriber
from eventstore.clock import Clock
from eventstore.commits import Commit, to_item
from eventstore.decisions import EventStore
from eventstore.folding import domain_events
from eventstore.identity import Keys
from eventstore.memory import InMemoryLog
from eventstore.requests import CommandRequest
from projections.answers import build_answer
from projections.builds import BuildState, states_in
from projections.projection import Change
from projections.regions import Topology
from projections.registry import PROJECTIONS
from projections.views import View

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
KEYS = Keys(b"a secret of the tests")
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
IMSI = "262011234567890"


@dataclass
class Tables:
    """The raw items of a system: the log, and per region replica, views and responses."""

    log: list[dict[str, Any]]
    replicas: dict[str, list[dict[str, Any]]]
    views: dict[str, list[dict[str, Any]]]
    responses: dict[str, list[dict[str, Any]]]
    topology: Topology = field(default_factory=lambda: Topology.all_active(REGIONS))

    def verdict(self, **more: Any) -> Verdict:
        return self.audit(**more).run()

    def audit(self, *, settle_s: float = 0.0, now_ms: int = NOW_MS, **more: Any) -> Audit:
        """Return an audit of these tables, whose clock goes on by a second with each pause."""
        clock = Ticking()
        return Audit(
            source=more.pop("source", None) or TablesSource(self),
            projections=PROJECTIONS,
            registry=REGISTRY,
            keys=KEYS,
            now_ms=lambda: now_ms,
            settle_s=settle_s,
            elapsed_s=lambda: clock.now_s,
            pause=more.pop("pause", None) or clock.tick,
            **more,
        )

    def everywhere(self, alter: Callable[[list[dict[str, Any]]], None]) -> None:
        """Alter the log and every replica of it alike: what replication would have carried."""
        for items in (self.log, *self.replicas.values()):
            alter(items)


class Ticking:
    """A clock that stands still but for pauses."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def tick(self) -> None:
        self.now_s += 1.0


class TablesSource:
    """Reads tables in memory as an audit does, some items a page."""

    def __init__(self, tables: Tables, *, page: int = 3) -> None:
        self.tables = tables
        self.regions: Sequence[str] = REGIONS
        self.stopped: dict[str, str] = {}
        self._page = page

    def topology(self) -> Topology:
        return self.tables.topology

    def unreached(self) -> Mapping[str, str]:
        return self.stopped

    def build_states(self, region: str) -> Mapping[str, BuildState]:
        return states_in(self.tables.views[region])

    def log_pages(self) -> Iterator[Sequence[Item]]:
        return self._paged(self.tables.log)

    def log_of(self, aggregate_id: str) -> Sequence[Item]:
        return [item for item in self.tables.log if item["a"]["S"] == aggregate_id]

    def in_log(self, places: Iterable[LogPlace]) -> set[LogPlace]:
        there = {(item["a"]["S"], int(item["q"]["N"])) for item in self.tables.log}
        return there & set(places)

    def get(self, region: str, table: Table, keys: Iterable[Item]) -> list[Item]:
        names = KEY_NAMES[table]
        wanted = [[key[name] for name in names] for key in keys]
        items = self._items(region, table)
        return [item for item in items if [item[name] for name in names] in wanted]

    def pages(self, region: str, table: Table) -> Iterator[Sequence[Item]]:
        return self._paged(self._items(region, table))

    def _items(self, region: str, table: Table) -> list[Item]:
        tables = self.tables
        held = {"events": tables.replicas, "views": tables.views, "responses": tables.responses}
        return held[table][region]

    def _paged(self, items: list[Item]) -> Iterator[Sequence[Item]]:
        for start in range(0, len(items), self._page):
            yield items[start : start + self._page]


def decided() -> list[Commit]:
    """Commits of two aggregates from three regions: accepted, refused and unchanged ones."""
    log = InMemoryLog()
    clock = Clock(now=lambda: NOW, elapsed_s=lambda: 0.0, pause=lambda _s: None)
    stores = {r: EventStore(log, keys=KEYS, region=r, clock=clock) for r in REGIONS}
    activate = ActivateSubscriber(
        imsi=IMSI,
        msisdn="+4915112345678",
        iccid="8949020000012345670",
        service_profile="consumer-5g",
    )
    element = {"element_id": "gnb-ber-0001"}
    register = RegisterNetworkElement(**element, kind="gnb", site="ber-mitte-3", plmn="262-01")
    apply = ApplyConfiguration(**element, base_revision=0, parameters={"tx_power_dbm": 40})
    stale = ApplyConfiguration(**element, base_revision=0, parameters={"tx_power_dbm": 20})
    commands = [
        (REGIONS[0], activate),
        (REGIONS[1], SuspendSubscriber(imsi=IMSI, reason="fraud")),
        (REGIONS[2], SuspendSubscriber(imsi=IMSI, reason="unpaid")),
        (REGIONS[0], SuspendSubscriber(imsi=IMSI, reason="fraud")),
        (REGIONS[1], ResumeSubscriber(imsi=IMSI)),
        (REGIONS[2], register),
        (REGIONS[0], apply),
        (REGIONS[1], stale),
    ]
    commits = []
    for number, (region, command) in enumerate(commands):
        aggregate, _ = REGISTRY.aggregate_of_command(type(command).__name__)
        request = CommandRequest(
            aggregate=aggregate,
            command=command,
            command_id=f"c-{number}",
            producer="test",
            correlation_id=f"correlation-{number}",
        )
        commits.append(stores[region].decide(request).commit)
    return commits


def views_of(commits: list[Commit]) -> list[dict[str, Any]]:
    """The view items of one region that has applied all the commits."""
    items: list[dict[str, Any]] = []
    for aggregate_id in dict.fromkeys(commit.aggregate_id for commit in commits):
        changes = changes_of(commits, aggregate_id)
        for projection in PROJECTIONS:
            if not projection.covers(aggregate_id):
                continue
            key = projection.key(aggregate_id)
            view = folded(projection, changes)
            head: dict[str, Any] = {"k": {"S": key}, "s": {"S": "head"}}
            head |= {"n": {"N": str(view.applied)}, "f": {"N": str(view.commit)}}
            head["d"] = {"S": json.dumps(view.document)}
            for attribute, value in projection.list_keys(view.document, KEYS).items():
                head[attribute] = {"S": f"{projection.name}#{projection.version}#{value}"}
            items.append(head)
            if projection.row is not None:
                items += [
                    {
                        "k": {"S": key},
                        "s": {"S": f"{change.commit.position:020d}"},
                        "d": {"S": json.dumps(projection.row(change))},
                    }
                    for change in changes
                ]
    return items


def changes_of(commits: list[Commit], aggregate_id: str) -> list[Change]:
    aggregate = REGISTRY.aggregate_by_tag(aggregate_id.partition(".")[0])
    return [
        Change(commit, domain_events(aggregate, commit))
        for commit in commits
        if commit.aggregate_id == aggregate_id
    ]


def folded(projection: Any, changes: list[Change]) -> View:
    document = None
    for change in changes:
        document = projection.apply(document, change)
    return View(changes[-1].commit.last_position, changes[-1].commit.position, document)


def response_of(commit: Commit, commits: list[Commit]) -> dict[str, Any]:
    """The response item of an answered commit, from the view as of exactly that commit."""
    upto = [one for one in commits if one.position <= commit.position]
    changes = changes_of(upto, commit.aggregate_id)
    shown = next(p for p in PROJECTIONS if p.shows_state and p.covers(commit.aggregate_id))
    body = build_answer(
        changes[-1],
        folded(shown, changes),
        keys=KEYS,
        applied_at_ms=dict.fromkeys(REGIONS, NOW_MS),
        left_out=(),
        answered_at_ms=NOW_MS,
    )
    acks = {f"ack#{region}": {"N": str(NOW_MS)} for region in REGIONS}
    published = {"published": {"N": str(NOW_MS)}, "body": {"S": body}}
    return {"c": {"S": commit.commit_id}} | acks | published


def honest_tables(honest_commits: list[Commit]) -> Tables:
    """Return tables of a system that has applied and answered the commits."""
    # Made anew for each place: an item that a test alters is altered in one place only.
    return Tables(
        log=[to_item(commit) for commit in honest_commits],
        replicas={region: [to_item(commit) for commit in honest_commits] for region in REGIONS},
        views={region: views_of(honest_commits) for region in REGIONS},
        responses={
            region: [
                response_of(commit, honest_commits)
                for commit in honest_commits
                if commit.origin == region
            ]
            for region in REGIONS
        },
    )


def body_of(tables: Tables, commit: Commit) -> dict[str, Any]:
    return next(
        item for item in tables.responses[commit.origin] if item["c"]["S"] == commit.commit_id
    )


def alter_body(item: dict[str, Any], **fields: Any) -> None:
    item["body"]["S"] = orjson.dumps(orjson.loads(item["body"]["S"]) | fields).decode()


def head_of(items: list[dict[str, Any]], projection: str) -> dict[str, Any]:
    return next(
        item for item in items if item["s"]["S"] == "head" and item["k"]["S"].startswith(projection)
    )
