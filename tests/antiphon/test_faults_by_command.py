"""`wan` and `region` in the face of faults: what is ordered, what is refused, what is shown."""

import pytest
from typer.testing import CliRunner

from antiphon.cli import app
from antiphon.connection import Connection
from antiphon.network import Wan
from antiphon.wan import print_links
from infra.local.actions import read_action

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-south-1"
ALL_LINKS = [(EAST, WEST), (WEST, SOUTH), (EAST, SOUTH)]


def antiphon(system, *words: str):
    return CliRunner().invoke(app, [*words, "--aws-port", str(system.aws_port)])


@pytest.mark.parametrize(
    ("words", "ordered"),
    [
        (
            ["wan", "delay", WEST, EAST, "--ms", "90", "--jitter", "20"],
            {"action": "delay", "a": EAST, "b": WEST, "ms": 90, "jitter_ms": 20},
        ),
        (["wan", "undelay", WEST, EAST], {"action": "undelay", "a": EAST, "b": WEST}),
        (
            ["wan", "lose", EAST, SOUTH, "--answers", "0.1"],
            {"action": "lose", "a": EAST, "b": SOUTH, "requests": 0.0, "answers": 0.1},
        ),
        (
            ["wan", "throttle", WEST, "--rate", "0.3", "--services", "sqs, events"],
            {"action": "throttle", "region": WEST, "rate": 0.3, "services": ["sqs", "events"]},
        ),
        (["wan", "slow", SOUTH, "--ms", "800"], {"action": "slow", "region": SOUTH, "ms": 800}),
        (["wan", "skew", WEST, "--ms", "-60000"], {"action": "skew", "region": WEST, "ms": -60000}),
        (["wan", "calm"], {"action": "calm"}),
        (["region", "kill", WEST], {"action": "kill", "region": WEST}),
        (["region", "start", WEST], {"action": "start", "region": WEST}),
    ],
    ids=lambda value: value[1] if isinstance(value, list) else "",
)
def test_each_command_is_one_order_that_the_control_understands(system, words, ordered):
    result = antiphon(system, *words)
    assert result.exit_code == 0, result.output
    assert system.wan_requests == [ordered]
    read_action(ordered)


def test_without_regions_calls_on_every_link_are_meant(system):
    assert antiphon(system, "wan", "repeat", "--rate", "0.2").exit_code == 0
    assert [(one["a"], one["b"]) for one in system.wan_requests] == ALL_LINKS
    assert {one["rate"] for one in system.wan_requests} == {0.2}


@pytest.mark.parametrize("words", [["delay", SOUTH, "--ms", "90"], ["undelay", SOUTH]])
def test_with_one_region_every_link_of_it_is_meant(system, words):
    assert antiphon(system, "wan", *words).exit_code == 0
    assert [(one["a"], one["b"]) for one in system.wan_requests] == [(WEST, SOUTH), (EAST, SOUTH)]
    assert {one["action"] for one in system.wan_requests} == {words[0]}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["region", "kill", "mars-1"], "no region mars-1 here; there are us-east-1, eu-west-1"),
        (["region", "start", "mars-1"], "no region mars-1 here; there are us-east-1, eu-west-1"),
        (["wan", "slow", "mars-1", "--ms", "1"], "no region mars-1 here; there are us-east-1"),
        (["wan", "lose", EAST, "mars-1"], "no region mars-1 here; there are us-east-1, eu-west-1"),
        (["wan", "repeat", "--rate", "1.5"], "Invalid value for '--rate'"),
        (
            ["wan", "throttle", EAST, "--rate", "1", "--services", "s3"],
            "--services s3: there are dynamodb, sqs, events",
        ),
    ],
)
def test_a_mistake_is_told_and_nothing_is_ordered(system, words, told):
    result = antiphon(system, *words)
    assert result.exit_code == 2
    assert told in result.output
    assert system.wan_requests == []


def test_a_region_killed_twice_is_told_in_the_words_of_the_control(system):
    antiphon(system, "region", "kill", WEST)
    result = antiphon(system, "region", "kill", WEST)
    assert result.exit_code == 2
    assert "the WAN refused: eu-west-1 is killed already" in result.output


def test_what_is_wrong_with_links_and_regions_is_shown(capsys):
    state = Wan.model_validate(
        {
            "regions": [EAST, WEST],
            "links": [
                {
                    "a": EAST,
                    "b": WEST,
                    "rtt_ms": 70,
                    "jitter_ms": 30,
                    "lost_answers": 0.25,
                    "repeated": 0.1,
                }
            ],
            "in_flight": [{"a": WEST, "b": EAST, "calls": 7}],
            "faults": [
                {"region": EAST, "slow_ms": 800, "skew_ms": -60000},
                {"region": WEST, "killed": True, "throttled": {"sqs": 0.5}},
            ],
        }
    )
    print_links(state)
    shown = capsys.readouterr().out
    assert "70 ms to 100 ms" in shown
    assert "25% of answers lost, 10% repeated" in shown
    assert "0 / 7" in shown
    assert "us-east-1: slower by 800 ms, its clock off by -60 s" in shown
    assert "eu-west-1: killed, 50% of sqs refused" in shown


def test_a_killed_region_is_not_asked_and_not_up(system):
    system.killed.add(WEST)
    result = CliRunner().invoke(app, ["status", *system.ports])
    assert result.exit_code == 1
    (line,) = [line for line in result.output.splitlines() if line.lstrip().startswith(WEST + " ")][
        :1
    ]
    assert "killed" in line


def test_a_region_that_reaches_no_other_is_not_up_though_it_says_so(system):
    system.cut = {(EAST, SOUTH), (WEST, SOUTH)}
    result = CliRunner().invoke(app, ["status", *system.ports])
    assert result.exit_code == 1
    assert "isolated" in result.output
    connection = Connection.open(base_port=system.base_port, aws_port=system.aws_port)
    assert [connection.wan().is_isolated(one) for one in (EAST, WEST, SOUTH)] == [
        False,
        False,
        True,
    ]
