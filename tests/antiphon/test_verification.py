"""The audit says yes to an honest system and no to every single thing that is altered in it."""

import copy
from typing import Any

import orjson
import pytest

from eventstore.commits import to_item
from projections.regions import RegionState
from tests.antiphon.honest import NOW_MS, REGIONS, Tables, alter_body, body_of, head_of


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
    assert tables.verdict(now_ms=later_ms).violations == []


AP, EU = "ap-south-1", "eu-west-1"


def answer_of(tables: Tables) -> dict[str, Any]:
    """Return the item of an answer that was given in the first region."""
    return next(item for item in tables.responses["us-east-1"] if "published" in item)


def without_asia(item: dict[str, Any]) -> None:
    told = orjson.loads(item["body"]["S"])
    del told["regions"][AP]
    item["body"]["S"] = orjson.dumps(told | {"drained": [AP]}).decode()


def drained(tables: Tables, *, adopter: str | None = None) -> None:
    topology = tables.topology.moved(AP, RegionState.LEAVING, at_ms=1)
    tables.topology = topology.moved(AP, RegionState.DRAINED, at_ms=2, adopter=adopter)


def test_an_answer_may_leave_out_a_region_that_was_drained_and_no_other(tables):
    without_asia(answer_of(tables))
    [text] = texts(tables)
    assert text == "it leaves out ap-south-1, which was never drained"

    drained(tables)

    assert texts(tables) == []


def test_a_region_that_is_not_named_as_drained_was_not_left_out_but_forgotten(tables):
    drained(tables)
    item = answer_of(tables)
    told = orjson.loads(item["body"]["S"])
    del told["regions"][AP]
    item["body"]["S"] = orjson.dumps(told).decode()

    [text] = texts(tables)

    assert text == "it was answered before ap-south-1 had applied it"


def test_what_came_in_at_a_lost_region_is_answered_where_it_was_adopted(tables):
    [item] = [tables.responses["us-east-1"].pop()]
    tables.responses[EU].append(item)
    assert any("also has an answer in eu-west-1" in text for text in texts(tables))

    us = "us-east-1"
    topology = tables.topology.moved(us, RegionState.LEAVING, at_ms=1)
    tables.topology = topology.moved(us, RegionState.DRAINED, at_ms=2, adopter=EU)

    assert texts(tables) == []
    # It comes back, with what it knew when it was lost.
    known = {name: value for name, value in item.items() if name not in {"published", "body"}}
    tables.responses[us].append(known | {"pending": {"S": "1"}})
    assert texts(tables) == []
    tables.responses[EU].remove(item)
    assert any("it is not answered" in text for text in texts(tables))
