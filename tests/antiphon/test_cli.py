"""The command line as a person uses it: what it prints, what it asks of the system, its status."""

import socket
from importlib import metadata

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


def test_the_version_is_that_of_the_package():
    result = antiphon("--version")
    assert result.exit_code == 0
    assert result.output == f"antiphon {metadata.version('antiphon')}\n"


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


def test_every_request_shows_the_bearer_that_the_environment_has(system, monkeypatch):
    monkeypatch.setenv("ANTIPHON_BEARER", "a key of mine")
    antiphon("send", "ResumeSubscriber", f"imsi={IMSI}", *system.ports)
    antiphon("--bearer", "another", "send", "ResumeSubscriber", f"imsi={IMSI}", *system.ports)
    monkeypatch.delenv("ANTIPHON_BEARER")
    antiphon("send", "ResumeSubscriber", f"imsi={IMSI}", *system.ports)
    shown = [headers.get("Authorization") for _, _, headers in system.received]
    assert shown == ["Bearer a key of mine", "Bearer another", None]


def test_regions_are_not_locked_with_a_key_that_anyone_could_guess():
    for key in ((), ("--bearer", "short")):
        result = antiphon(*key, "up", "--require-bearer")
        assert result.exit_code == 2
        assert "ANTIPHON_BEARER" in result.output


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


def test_send_shows_a_problem_with_its_code_and_each_wrong_field(system):
    words = ["send", "ResumeSubscriber", f"imsi={IMSI}", "--command-id", "invalid-1"]
    result = antiphon(*words, *system.ports)
    assert result.exit_code == 2
    assert "invalid: the command is not valid" in result.output
    assert "  data.imsi: 15 digits" in result.output


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


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--regions", "us-east-1"], "3 regions are needed, or two and a witness"),
        (["--mode", "eventual", "--regions", "us-east-1"], "3 regions are needed"),
        (["--regions", "us-east-1,eu-west-1,eu-west-1"], "a region is named twice"),
        (["--regions", "us-east-1,eu-west-1", "--witness", "eu-west-1"], "named twice"),
        (["--regions", ",".join("abcd")], "in eventual mode there may be 5"),
        (["--mode", "eventual", "--regions", ",".join("abcdef")], "there may be 5"),
        (["--witness", "eu-west-2"], "in eventual mode there may be 5, without a witness"),
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
