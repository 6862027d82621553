"""`antiphon feed` from a file: what is sent where, what is shown, and its exit status."""

from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from antiphon.cli import app
from antiphon.feed_plan import bundled_lines, plan_feed
from antiphon.feeds.lines import FeedLine, write_line

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
FAST = ["--rate", "10000", "--patience", "0.3"]


def line(command_id: str, *, imsi: str = "262010000000001", **fields: Any) -> FeedLine:
    command = {
        "type": "SuspendSubscriber",
        "command_id": command_id,
        "producer": "test",
        "data": {"imsi": imsi, "reason": "fraud"},
    }
    expect = ["accepted", "rejected", "unchanged"]
    return FeedLine.model_validate({"regions": [0], "expect": expect, "command": command} | fields)


@pytest.fixture
def feed(system, tmp_path):
    """Play lines as `antiphon feed FILE` does and return its result."""

    def play(lines, *options: str):
        file = tmp_path / "feed.jsonl"
        file.write_bytes(b"".join(write_line(one) for one in lines))
        return CliRunner().invoke(app, ["feed", str(file), *FAST, *options, *system.ports])

    return play


def sent(system) -> list[tuple[str, str]]:
    return [(region, command["command_id"]) for region, command, _ in system.received]


def test_an_honest_system_ends_with_0_and_a_summary(feed):
    lines = [line("a-1"), line("refuse-2", regions=[1]), line("same-3", regions=[2])]
    result = feed(lines)
    assert result.exit_code == 0, result.output
    assert "3 answers, one for each command, each applied in all 3 regions" in result.output
    for shown in ("accepted", "refused", "unchanged", "floor", "p50", "p95", "p99", "252 ms"):
        assert shown in result.output


def test_each_answer_is_shown_as_it_comes_with_its_latency(feed):
    shown = [
        row for row in feed([line("a-1"), line("refuse-2")]).output.splitlines() if " ms " in row
    ]
    assert any("us-east-1" in row and "a-1" in row and "accepted" in row for row in shown)
    assert any("refuse-2" in row and "refused" in row and "not_active" in row for row in shown)


def test_nothing_personal_is_printed(feed):
    assert "262010000000001" not in feed([line("a-1"), line("refuse-2")]).output


def test_a_missing_answer_ends_with_1_and_is_named(system, feed):
    system.misbehaviour.unanswered = {"a-2"}
    result = feed([line("a-1"), line("a-2")])
    assert result.exit_code == 1
    assert "SuspendSubscriber a-2: no answer came" in result.output
    assert "1 violation" in result.output


def test_a_wrong_state_sequence_ends_with_1(system, feed):
    system.misbehaviour.early = {"a-1"}
    result = feed([line("a-1")])
    assert result.exit_code == 1
    assert "stale" in result.output


def test_a_duplicate_with_another_commit_ends_with_1(system, feed):
    system.misbehaviour.decided_again = {"a-1"}
    result = feed([line("a-1", regions=[0, 2])])
    assert result.exit_code == 1
    assert "a duplicate must get the first result" in result.output


def test_the_verdict_as_json_has_every_figure(feed):
    result = feed([line("a-1"), line("refuse-2", regions=[0, 1])], "--json")
    told = orjson.loads(result.stdout)
    assert told["right"] is True
    assert (told["accepted"], told["refused"], told["duplicates"]) == (1, 1, 1)
    assert told["latency"][0]["floor_ms"] == 252


def test_no_spread_sends_everything_to_the_first_region(system, feed):
    feed([line("a-1", regions=[1]), line("a-2", regions=[0, 2])], "--no-spread")
    assert sent(system) == [("us-east-1", "a-1"), ("us-east-1", "a-2")]


def test_the_idempotency_key_of_a_line_is_sent(system, feed):
    feed([line("a-1", idempotency_key="k-1")])
    assert system.received[0][2]["Idempotency-Key"] == "k-1"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "holds no commands"),
        ("{not json\n", "line 1 is not JSON"),
        ('{"regions": [0]}\n', "line 1 is no command of a feed"),
    ],
)
def test_a_file_that_is_no_feed_is_refused_before_anything_is_sent(system, tmp_path, content, told):
    file = tmp_path / "feed.jsonl"
    file.write_text(content)
    result = CliRunner().invoke(app, ["feed", str(file), *system.ports])
    assert result.exit_code == 2
    assert told in result.output
    assert system.received == []


def test_a_file_that_is_not_there_is_named(system):
    result = CliRunner().invoke(app, ["feed", "/nowhere/feed.jsonl", *system.ports])
    assert result.exit_code == 2
    assert "cannot read /nowhere/feed.jsonl" in result.output


def test_a_file_and_generate_exclude_each_other():
    result = CliRunner().invoke(app, ["feed", "x.jsonl", "--generate", "5"])
    assert result.exit_code == 2
    assert "not both" in result.output


def test_a_generated_feed_is_played_whole(system):
    options = ["--generate", "30", "--duplicates", "0.2", "--json"]
    result = CliRunner().invoke(app, ["feed", *options, *FAST, *system.ports])
    told = orjson.loads(result.stdout)
    assert told["commands"] == 30
    assert told["answered"] == 30


def test_lines_of_one_burst_go_together_and_others_one_after_another():
    lines = [line("a-1"), line("a-2", burst=1), line("a-3", burst=1, regions=[1]), line("a-4")]
    (subject,) = plan_feed(lines, regions=REGIONS).subjects
    assert [[one.command_id for one in step] for step in subject] == [
        ["a-1"],
        ["a-2", "a-3"],
        ["a-4"],
    ]


def test_a_line_for_two_regions_is_one_command():
    plan = plan_feed([line("a-1", regions=[0, 2]), line("a-1", regions=[1])], regions=REGIONS)
    assert plan.commands == 1
    assert plan.title == "1 commands and 2 duplicates for 1 subjects"


def test_duplicates_are_sent_to_another_region_and_the_seed_decides_which():
    lines = [line(f"a-{number}") for number in range(200)]

    def twice(seed: int) -> list[str]:
        plan = plan_feed(lines, regions=REGIONS, duplicates=0.25, seed=seed)
        steps = [step for subject in plan.subjects for step in subject]
        assert all(len({one.region for one in step}) == len(step) for step in steps)
        return [step[0].command_id for step in steps if len(step) == 2]

    assert twice(1) == twice(1) != twice(2)
    assert 25 < len(twice(1)) < 75


def test_the_same_key_with_other_content_is_another_command():
    lines = [line("a-1", idempotency_key="k"), line("a-2", idempotency_key="k")]
    assert plan_feed(lines, regions=REGIONS).commands == 1
    other = line("a-3", idempotency_key="k", imsi="262010000000002")
    assert plan_feed([*lines, other], regions=REGIONS).commands == 2


def test_the_bundled_feed_can_be_planned():
    plan = plan_feed(bundled_lines(), regions=REGIONS)
    assert plan.commands >= 300
