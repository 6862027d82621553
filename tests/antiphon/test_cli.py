"""The command line as a person uses it: what it prints, what it asks of the system, its status."""

import socket
import threading

import orjson
import pytest
from typer.testing import CliRunner

from antiphon.cli import app

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-south-1"
COMMANDS = ["up", "run", "wan", "feed", "send", "get", "answers", "status", "verify"]
IMSI = "262011234567890"


def antiphon(*words: str, stdin: str | None = None):
    return CliRunner().invoke(app, list(words), input=stdin)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_help_names_every_command_and_where_to_start():
    result = antiphon("--help")
    assert result.exit_code == 0
    assert "Start here" in result.output
    for command in COMMANDS:
        assert f" {command} " in result.output


@pytest.mark.parametrize(
    "words",
    [
        *([name] for name in COMMANDS if name not in {"wan", "get"}),
        *(["wan", name] for name in ("show", "cut", "heal", "delay")),
        *(["get", name] for name in ("subscriber", "element", "command")),
    ],
)
def test_the_help_of_every_command_shows_an_example(words):
    result = antiphon(*words, "--help")
    assert result.exit_code == 0
    assert f": antiphon {' '.join(words)}" in result.output


@pytest.mark.parametrize(
    "words",
    [
        ["feed"],
        ["send", "ResumeSubscriber", f"imsi={IMSI}"],
        ["get", "subscriber", IMSI],
        ["answers"],
        ["status"],
        ["verify"],
        ["wan", "show"],
        ["wan", "cut", EAST],
    ],
)
def test_without_a_running_system_it_says_how_to_start_one(words):
    port = free_port()
    result = antiphon(*words, "--aws-port", str(port))
    assert result.exit_code == 2
    assert f"no regions answer at 127.0.0.1:{port}" in result.output
    assert "antiphon up" in result.output
    assert "Traceback" not in result.output


def test_another_program_on_the_port_is_not_taken_for_antiphon(system):
    # A region's own port speaks HTTP, but is not the AWS endpoint.
    result = antiphon("status", "--aws-port", str(system.base_port + 1))
    assert result.exit_code == 2
    assert "is not Antiphon's AWS endpoint" in result.output


def test_send_shows_what_the_region_decided(system):
    result = antiphon(
        "send", "SuspendSubscriber", f"imsi={IMSI}", "reason=fraud", "--region", WEST, *system.ports
    )
    assert result.exit_code == 0
    assert result.output.startswith("accepted")
    assert "consistency_token" in result.output
    ((region, command, _),) = system.received
    assert region == WEST
    assert command["type"] == "SuspendSubscriber"
    assert command["data"] == {"imsi": IMSI, "reason": "fraud"}


def test_send_types_its_values_as_the_command_asks(system):
    antiphon(
        "send",
        "ApplyConfiguration",
        "element_id=4711",
        "base_revision=3",
        'parameters={"tx_power_dbm": 40}',
        *system.ports,
    )
    ((_, command, _),) = system.received
    assert command["data"] == {
        "element_id": "4711",
        "base_revision": 3,
        "parameters": {"tx_power_dbm": 40},
    }


def test_send_passes_on_the_key_the_wait_and_the_preconditions(system):
    options = ["--key", "k-1", "--wait", "5", "--expected-sequence", "2", "--command-id", "c-1"]
    antiphon("send", "ResumeSubscriber", f"imsi={IMSI}", *options, *system.ports)
    ((_, command, headers),) = system.received
    assert headers["Idempotency-Key"] == "k-1"
    assert headers["Prefer"] == "wait=5"
    assert (command["expected_sequence"], command["command_id"]) == (2, "c-1")


def test_send_takes_a_whole_command_from_standard_input(system):
    command = {"type": "X", "command_id": "c", "producer": "p", "data": {"imsi": IMSI}}
    result = antiphon("send", "--file", "-", *system.ports, stdin=orjson.dumps(command).decode())
    assert result.exit_code == 0
    assert system.received[0][1] == command


def test_send_ends_with_1_when_the_domain_refuses(system):
    words = ["send", "ResumeSubscriber", f"imsi={IMSI}", "--command-id", "refuse-1"]
    result = antiphon(*words, *system.ports)
    assert result.exit_code == 1
    assert "rejected" in result.output
    assert "not_active" in result.output


def test_send_shows_a_problem_with_its_code(system):
    words = ["send", "ResumeSubscriber", f"imsi={IMSI}", "--command-id", "invalid-1"]
    result = antiphon(*words, *system.ports)
    assert result.exit_code == 2
    assert "invalid: the command is not valid" in result.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "say what to send"),
        (["ResumeSubscriber", "imsi"], "'imsi' is not key=value"),
        (["ApplyConfiguration", "base_revision=three"], "must be JSON of type integer"),
        (["--file", "/nowhere/command.json"], "cannot read /nowhere/command.json"),
        (["ResumeSubscriber", f"imsi={IMSI}", "--region", "mars-1"], "no region mars-1 here"),
    ],
)
def test_send_says_what_is_wrong_with_what_it_was_given(system, words, told):
    result = antiphon("send", *words, *system.ports)
    assert result.exit_code == 2
    assert told in result.output
    assert system.received == []


def test_send_refuses_a_file_that_is_not_json(system, tmp_path):
    file = tmp_path / "command.json"
    file.write_text("{not json")
    result = antiphon("send", "--file", str(file), *system.ports)
    assert result.exit_code == 2
    assert "is not one JSON command" in result.output


def test_a_region_that_does_not_answer_is_named(system):
    system.close_region(SOUTH)
    result = antiphon("get", "subscriber", IMSI, "--region", SOUTH, *system.ports)
    assert result.exit_code == 2
    assert "region ap-south-1 does not answer" in result.output


def test_get_reads_where_and_as_fresh_as_asked(system):
    result = antiphon(
        "get", "subscriber", IMSI, "--region", SOUTH, "--token", "token-7", "--json", *system.ports
    )
    assert result.exit_code == 0
    assert orjson.loads(result.stdout)["applied_sequence"] == 7
    assert system.reads == [(SOUTH, f"/subscribers/{IMSI}")]


def test_get_of_something_unknown_ends_with_1(system):
    result = antiphon("get", "element", "unknown", *system.ports)
    assert result.exit_code == 1
    assert "not_found: nothing is known of it" in result.output


def test_get_does_not_take_a_token_and_strong_together(system):
    result = antiphon("get", "subscriber", IMSI, "--token", "t", "--strong", *system.ports)
    assert result.exit_code == 2
    assert "exclude each other" in result.output


def test_get_command_shows_its_answer(system):
    sent = antiphon("send", "ResumeSubscriber", f"imsi={IMSI}", "--json", *system.ports)
    commit = orjson.loads(sent.stdout)["commit"]
    result = antiphon("get", "command", commit, "--region", WEST, *system.ports)
    assert result.exit_code == 0
    assert "answered" in result.output


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


def test_up_says_that_this_version_is_strong_only():
    result = antiphon("up", "--mode", "eventual")
    assert result.exit_code == 2
    assert "STRONG mode only" in result.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--regions", "us-east-1,eu-west-1"], "three different regions"),
        (["--regions", "us-east-1,eu-west-1,eu-west-1"], "three different regions"),
        (["--base-port", "4565"], "is one of the ports 4565 to 4568"),
        (["--base-port", "0"], "Invalid value"),
    ],
)
def test_up_refuses_what_cannot_work_before_it_starts_anything(options, told):
    result = antiphon("up", *options)
    assert result.exit_code == 2
    assert told in result.output


def test_up_names_a_port_that_is_in_use(system):
    result = antiphon("up", "--base-port", str(system.base_port), "--aws-port", str(free_port()))
    assert result.exit_code == 2
    assert f"port {system.base_port + 1}" in result.output
    assert "--base-port" in result.output
