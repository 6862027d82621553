"""`wan`, `status`, `verify` and `answers`: what an operator sees, and what is left behind."""

import threading

import orjson
import pytest
from typer.testing import CliRunner

from antiphon.cli import app

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-south-1"


def antiphon(*words: str):
    return CliRunner().invoke(app, list(words))


def test_wan_show_lists_every_link(system):
    result = antiphon("wan", "show", "--aws-port", str(system.aws_port))
    assert result.exit_code == 0
    assert "us-east-1 <-> ap-south-1" in result.output
    assert "182 ms" in result.output


def test_cutting_one_region_cuts_all_its_links_and_healing_heals_them(system):
    result = antiphon("wan", "cut", SOUTH, "--aws-port", str(system.aws_port))
    assert result.exit_code == 0
    assert system.cut == {(WEST, SOUTH), (EAST, SOUTH)}
    assert result.output.count("cut") == 2
    antiphon("wan", "heal", "--aws-port", str(system.aws_port))
    assert system.cut == set()


def test_wan_delay_gives_one_link_another_round_trip(system):
    antiphon("wan", "delay", WEST, EAST, "--ms", "400", "--aws-port", str(system.aws_port))
    assert system.wan_requests == [{"action": "delay", "a": EAST, "b": WEST, "ms": 400}]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["cut", "mars-1"], "no region mars-1 here; there are us-east-1, eu-west-1, ap-south-1"),
        (["cut", EAST, EAST], "has no link to itself"),
        (["delay", EAST, WEST, "--ms", "-1"], "Invalid value"),
    ],
)
def test_wan_says_what_is_wrong_with_what_it_was_given(system, words, told):
    result = antiphon("wan", *words, "--aws-port", str(system.aws_port))
    assert result.exit_code == 2
    assert told in result.output
    assert system.cut == set()


def test_status_shows_regions_pending_answers_and_dead_letters(system):
    due = {"c": {"S": "sub.a.1"}, "pending": {"S": "0"}, "due": {"N": "1"}}
    system.tables[WEST, "antiphon-responses"] = [due]
    system.dead_letters[SOUTH, "antiphon-acks-dead"] = 3
    result = antiphon("status", "--json", *system.ports)
    assert result.exit_code == 0
    told = orjson.loads(result.stdout)
    assert [region["health"] for region in told["regions"]] == ["up", "up", "up"]
    assert [region["pending"] for region in told["regions"]] == [0, 1, 0]
    assert told["regions"][2]["dead_letters"]["antiphon-acks-dead"] == 3
    assert "antiphon-answers" not in told["regions"][2]["dead_letters"]
    assert told["replication"][0]["last_ms"] == 35
    shown = antiphon("status", *system.ports)
    assert "ap-south-1: 3 in antiphon-acks-dead" in shown.output


def test_status_ends_with_1_when_a_region_is_down(system):
    system.close_region(WEST)
    result = antiphon("status", *system.ports)
    assert result.exit_code == 1
    assert "no answer (ConnectError)" in result.output


def test_verify_of_an_empty_system_is_a_bad_verdict(system):
    result = antiphon("verify", "--settle", "0", *system.ports)
    assert result.exit_code == 1
    assert "the log is empty: nothing to verify; play a feed first" in result.output


def test_verify_tells_its_violations_as_json(system):
    item = {"c": {"S": "sub.a.1"}, "published": {"N": "1"}, "body": {"S": "{}"}}
    system.tables[WEST, "antiphon-responses"] = [item]
    result = antiphon("verify", "--settle", "0", "--json", *system.ports)
    assert result.exit_code == 1
    verdict = orjson.loads(result.stdout)
    assert not verdict["good"]
    assert ("eu-west-1", "sub.a.1") in {(one["where"], one["key"]) for one in verdict["violations"]}


def test_answers_follows_by_its_own_queue_and_leaves_nothing_behind(system):
    envelope = {"source": "antiphon", "detail-type": "CommandAnswered"}
    envelope["detail"] = {"origin": WEST, "command": {"type": "X", "command_id": "prov-7"}}

    def publish_once_followed() -> None:
        for _ in range(3):
            system.followed.acquire(timeout=10)
        system.publish(WEST, envelope)

    publisher = threading.Thread(target=publish_once_followed)
    publisher.start()
    result = antiphon("answers", "--count", "1", "--json", *system.ports)
    publisher.join()
    assert result.exit_code == 0
    assert orjson.loads(result.stdout)["detail"]["command"]["command_id"] == "prov-7"
    assert (system.rules, system.queues) == (set(), set())
    assert len(system.mailbox(WEST)) == 1


def test_answers_without_following_shows_the_latest(system):
    bodies = [
        {"outcome": "accepted", "answered_at": f"2026-11-23T10:00:0{n}Z", "command": {"type": t}}
        for n, t in enumerate(["Older", "Newer"])
    ]
    system.tables[EAST, "antiphon-responses"] = [
        {"c": {"S": "x"}, "published": {"N": "1"}, "body": {"S": orjson.dumps(body).decode()}}
        for body in bodies
    ]
    result = antiphon("answers", "--no-follow", "--count", "1", *system.ports)
    assert result.exit_code == 0
    assert "Newer" in result.output
    assert "Older" not in result.output
