"""The audit says yes to an honest system and no to every single thing that is altered in it."""

import base64
import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from antiphon.cli import app
from antiphon.verification import RegionItems, Verdict, audit
from domain.network_element import ApplyConfiguration, RegisterNetworkElement
from domain.registry import REGISTRY
from domain.subscriber import ActivateSubscriber, ResumeSubscriber, SuspendSubscriber
from eventstore.commits import Commit, to_item
from eventstore.decisions import Clock, CommandRequest, EventStore
from eventstore.folding import domain_events
from eventstore.identity import Keys
from eventstore.memory import InMemoryLog
from projections.answers import build_answer
from projections.projection import Change
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

    def verdict(self) -> Verdict:
        regions = {
            region: RegionItems(
                replica=self.replicas[region],
                views=self.views[region],
                responses=self.responses[region],
            )
            for region in REGIONS
        }
        return audit(
            self.log,
            regions,
            projections=PROJECTIONS,
            registry=REGISTRY,
            keys=KEYS,
            now_ms=NOW_MS,
        )

    def everywhere(self, alter: Callable[[list[dict[str, Any]]], None]) -> None:
        """Alter the log and every replica of it alike: what replication would have carried."""
        for items in (self.log, *self.replicas.values()):
            alter(items)


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
        answered_at_ms=NOW_MS,
    )
    acks = {f"ack#{region}": {"N": str(NOW_MS)} for region in REGIONS}
    published = {"published": {"N": str(NOW_MS)}, "body": {"S": body}}
    return {"c": {"S": commit.commit_id}} | acks | published


@pytest.fixture(scope="module")
def honest_commits() -> list[Commit]:
    return decided()


@pytest.fixture
def tables(honest_commits: list[Commit]) -> Tables:
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


def texts(tables: Tables) -> list[str]:
    return [violation.text for violation in tables.verdict().violations]


def test_an_honest_system_is_consistent(tables):
    verdict = tables.verdict()
    assert verdict.violations == []
    assert (verdict.aggregates, verdict.commits) == (2, 8)
    assert verdict.answers == 8


def test_an_empty_system_is_a_violation_not_a_success():
    empty: dict[str, list[dict[str, Any]]] = {region: [] for region in REGIONS}
    verdict = Tables(log=[], replicas=empty, views=empty, responses=empty).verdict()
    assert [one.text for one in verdict.violations] == [
        "the log is empty: nothing to verify; play a feed first"
    ]


def test_one_altered_field_of_one_view_is_found(tables):
    head = head_of(tables.views["eu-west-1"], "subscriber-view")
    document = orjson.loads(head["d"]["S"])
    head["d"]["S"] = orjson.dumps(document | {"service_profile": "other"}).decode()
    (violation,) = tables.verdict().violations
    assert (violation.kind, violation.where) == ("view", "eu-west-1")
    assert violation.key == f"{head['k']['S']} head"
    assert violation.text == "its service_profile is not that of the log"


def test_what_a_view_shows_beside_the_state_is_held_against_the_log_too(tables):
    head = head_of(tables.views["eu-west-1"], "subscriber-view")
    document = orjson.loads(head["d"]["S"])
    head["d"]["S"] = orjson.dumps(document | {"changed_at": "never"}).decode()
    assert texts(tables) == ["its document is not what the log gives: changed_at"]


def test_a_view_that_is_behind_the_log_is_found(tables):
    head = head_of(tables.views["ap-south-1"], "network-inventory")
    head["n"] = {"N": "2"}
    (violation,) = tables.verdict().violations
    assert (violation.where, violation.text) == (
        "ap-south-1",
        "it has applied sequence 2, the log ends at 3",
    )


def test_a_missing_view_is_found(tables):
    items = tables.views["us-east-1"]
    items.remove(head_of(items, "activity"))
    (violation,) = tables.verdict().violations
    assert "the view is missing" in violation.text


def test_a_missing_and_an_extra_row_of_the_timeline_are_found(tables):
    row = next(item for item in tables.views["us-east-1"] if item["s"]["S"] == f"{2:020d}")
    row["s"]["S"] = f"{77:020d}"
    found = texts(tables)
    assert any("is missing" in text for text in found)
    assert "no commit of the log belongs to this item" in found


def test_a_row_that_tells_another_outcome_than_the_log_is_found(tables):
    row = next(item for item in tables.views["us-east-1"] if item["s"]["S"] == f"{3:020d}")
    row["d"]["S"] = orjson.dumps(orjson.loads(row["d"]["S"]) | {"outcome": "accepted"}).decode()
    assert texts(tables)[0].endswith("differs from the log: outcome")


def test_a_list_key_that_is_not_the_documents_is_found(tables):
    head = head_of(tables.views["eu-west-1"], "subscriber-view")
    head["l1"] = {"S": "subscriber-view#1#msisdn#other"}
    assert texts(tables) == ["its list key l1 is not that of its document"]


def test_a_view_of_an_aggregate_that_the_log_does_not_have_is_found(tables):
    stray = copy.deepcopy(head_of(tables.views["eu-west-1"], "subscriber-view"))
    stray["k"]["S"] = "subscriber-view#1#sub." + "a" * 26
    tables.views["eu-west-1"].append(stray)
    assert texts(tables) == ["the log has no commit of the aggregate of this item"]


def test_one_missing_answer_is_found(tables, honest_commits):
    commit = honest_commits[2]
    tables.responses[commit.origin].remove(body_of(tables, commit))
    (violation,) = tables.verdict().violations
    assert (violation.kind, violation.where, violation.key, violation.text) == (
        "answer",
        commit.origin,
        commit.commit_id,
        "it has no answer",
    )


def test_an_answer_that_was_never_published_says_what_it_waits_for(tables, honest_commits):
    item = body_of(tables, honest_commits[0])
    del item["published"], item["body"], item["ack#ap-south-1"]
    assert texts(tables) == ["it is not answered; it waits for ap-south-1"]


@pytest.mark.parametrize("number", [0, 1, 4, 7])
def test_one_deleted_commit_is_found_wherever_it_stood(tables, honest_commits, number):
    commit = honest_commits[number]
    item = to_item(commit)
    tables.everywhere(lambda items: items.remove(item))
    violations = tables.verdict().violations
    assert any(
        one.key == commit.commit_id
        and one.text == "there is an answer, but no such commit in the log"
        for one in violations
    )
    assert any(one.kind in {"log", "view"} for one in violations)


def test_a_hole_in_the_log_is_told_with_its_place(tables, honest_commits):
    item = to_item(honest_commits[1])
    tables.everywhere(lambda items: items.remove(item))
    log = [one.text for one in tables.verdict().violations if one.kind == "log"]
    assert log == [
        "the commit after position 1 stands at 3, not 2",
        "its predecessor is 2, the commit before it ends at 1",
    ]


def test_an_answer_from_before_its_command_is_stale(tables, honest_commits):
    commit = honest_commits[1]
    alter_body(body_of(tables, commit), as_of_sequence=commit.sequence - 1)
    (violation,) = tables.verdict().violations
    assert (violation.kind, violation.key) == ("stale", commit.commit_id)


def test_an_answer_before_every_region_applied_is_stale(tables, honest_commits):
    alter_body(body_of(tables, honest_commits[1]), regions={"us-east-1": "now"})
    (violation,) = tables.verdict().violations
    assert violation.kind == "stale"
    assert violation.text == "it was answered before ap-south-1, eu-west-1 had applied it"


def test_an_answer_with_the_state_of_another_moment_is_found(tables, honest_commits):
    alter_body(body_of(tables, honest_commits[0]), as_of_sequence=2)
    assert texts(tables) == [
        "the state in its answer is not the log's at 2: its status is not that of the log",
        "the state in its answer is not the log's at 2: its reason is not that of the log",
    ]


@pytest.mark.parametrize(
    "field", ["answer_id", "outcome", "command", "sequence", "origin", "aggregate_id"]
)
def test_an_answer_that_tells_anything_else_than_the_log_is_found(tables, honest_commits, field):
    alter_body(body_of(tables, honest_commits[0]), **{field: "other"})
    assert texts(tables) == [f"its answer tells another {field} than the log"]


def test_an_answer_that_tells_other_events_than_the_log_is_found(tables, honest_commits):
    alter_body(body_of(tables, honest_commits[0]), events=[])
    assert texts(tables) == ["its answer tells other events than the log"]


def test_an_answer_may_tell_its_events_in_the_version_of_its_time(tables, honest_commits):
    commit = honest_commits[0]
    stored = [
        {"sequence": 1, "type": event.topic.partition(".")[2], "data": orjson.loads(event.data)}
        for event in commit.events
    ]
    alter_body(body_of(tables, commit), events=stored)
    assert texts(tables) == []


def test_an_answer_in_a_region_that_is_not_the_origin_is_found(tables, honest_commits):
    item = body_of(tables, honest_commits[0])
    tables.responses["eu-west-1"].append(item)
    assert texts(tables) == ["it also has an answer in eu-west-1, which is not its origin"]


def test_a_token_that_two_commits_carry_is_found(tables, honest_commits):
    token = honest_commits[0].token

    def double(items: list[dict[str, Any]]) -> None:
        items[3]["k"]["B"] = token

    tables.everywhere(double)
    log = [one.text for one in tables.verdict().violations if one.kind == "log"]
    assert log == ["its idempotency token is also that of the commit at position 1"]


def test_a_replica_that_lacks_or_alters_a_commit_is_found(tables):
    del tables.replicas["ap-south-1"][0]
    tables.replicas["eu-west-1"][1]["o"] = {"S": "ap-south-1"}
    assert {(one.where, one.text) for one in tables.verdict().violations} == {
        ("ap-south-1", "this commit has not reached this region"),
        ("eu-west-1", "this commit differs in this region"),
    }


def test_a_commit_that_cannot_be_read_is_a_violation_not_a_crash(tables):
    def damage(items: list[dict[str, Any]]) -> None:
        del items[1]["e"]

    tables.everywhere(damage)
    assert any("cannot be read" in text for text in texts(tables))


def test_old_commits_are_not_asked_for_answers_that_have_expired(tables, honest_commits):
    for region in REGIONS:
        tables.responses[region].clear()
    later_ms = NOW_MS + 8 * 24 * 3_600_000
    regions = {
        region: RegionItems(
            replica=tables.replicas[region], views=tables.views[region], responses=[]
        )
        for region in REGIONS
    }
    verdict = audit(
        tables.log,
        regions,
        projections=PROJECTIONS,
        registry=REGISTRY,
        keys=KEYS,
        now_ms=later_ms,
    )
    assert verdict.violations == []


def verify(system: Any, tables: Tables, *options: str) -> Any:
    """Run `antiphon verify` against a system whose tables hold these items."""
    log = [image_of(item) for item in tables.log]
    for region in REGIONS:
        system.tables[region, "antiphon-events"] = log
        system.tables[region, "antiphon-views"] = tables.views[region]
        system.tables[region, "antiphon-responses"] = tables.responses[region]
    return CliRunner().invoke(app, ["verify", "--settle", "0", *options, *system.ports])


def image_of(item: dict[str, Any]) -> dict[str, Any]:
    """An item as the AWS endpoint sends it: binary values as base64 text."""
    return json.loads(json.dumps(item, default=lambda raw: base64.b64encode(raw).decode()))


def test_verify_of_an_honest_system_says_what_it_looked_at_and_ends_with_0(system, tables):
    result = verify(system, tables)
    assert result.exit_code == 0, result.output
    assert "log, read models and answers agree" in result.output
    assert "8 commits (8 events) of 2 aggregates" in result.output


def test_verify_of_an_altered_system_names_each_violation_and_ends_with_1(system, tables):
    head_of(tables.views["ap-south-1"], "network-inventory")["n"] = {"N": "2"}
    result = verify(system, tables)
    assert result.exit_code == 1
    assert "1 violation" in result.output
    assert "it has applied sequence 2, the log ends at 3" in result.output


def test_verify_does_not_judge_a_system_that_takes_commands(system, tables):
    system.commands_come_in = True
    head_of(tables.views["ap-south-1"], "network-inventory")["n"] = {"N": "2"}
    result = verify(system, tables)
    assert result.exit_code == 2
    assert "commands still come in" in result.output


def test_nothing_personal_is_printed_by_verify(system, tables):
    head = head_of(tables.views["us-east-1"], "subscriber-view")
    document = orjson.loads(head["d"]["S"])
    head["d"]["S"] = orjson.dumps(document | {"imsi": "262019999999999"}).decode()
    result = verify(system, tables)
    assert result.exit_code == 1
    assert "its imsi is not that of the log" in result.output
    assert IMSI not in result.output
    assert "262019999999999" not in result.output
