"""Scenarios: every mistake has its line and reason, and what is written happens in its order."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from antiphon.cli import app
from antiphon.connection import Connection
from antiphon.problems import Problem
from antiphon.scenario import Moment, Scenario, load, read, shipped
from antiphon.scenario_player import playing
from infra.local.actions import Cut, Heal, Kill, Start, Throttle

REGIONS = EAST, WEST, SOUTH = ("us-east-1", "eu-west-1", "ap-south-1")


def moments(text: str) -> list[tuple[float, object]]:
    return [(one.at_s, one.action) for one in read(text, name="x", regions=REGIONS).moments]


def test_steps_happen_in_the_order_of_time_and_for_undoes_them():
    text = f"""
- {{at: 5s, action: kill, region: {WEST}, for: 1.5s}}
- {{at: 500ms, action: cut, a: {EAST}, b: {SOUTH}, for: 5s}}
- at: 2m
  action: throttle
  region: {EAST}
  services: [sqs]
  rate: 0.5
"""
    assert moments(text) == [
        (0.5, Cut(a=EAST, b=SOUTH)),
        (5.0, Kill(region=WEST)),
        (5.5, Heal(a=EAST, b=SOUTH)),
        (6.5, Start(region=WEST)),
        (120.0, Throttle(region=EAST, services=("sqs",), rate=0.5)),
    ]


def test_a_scenario_may_have_a_seed():
    text = f"seed: 42\nsteps:\n- {{at: 1, action: cut, a: {EAST}}}\n"
    assert read(text, name="x", regions=REGIONS).seed == 42


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "x:1: there are no steps"),
        ("steps: []", "x:1: there are no steps"),
        ("steps: {", "x:1: this is no YAML"),
        ("- {at: 1s, action: heal}\n- a: [", "x:2: this is no YAML"),
        ("tempo: 3\nsteps: []", "x:1: tempo: a scenario has seed and steps"),
        ("seed: often\nsteps: [{at: 1s, action: heal}]", "x:1: seed: it must be a whole number"),
        ("- at: 1s\n  action: slow\n  ms: 2026-13-45", "x:3: this cannot be read: month must be"),
        ("- at: 1s\n  action: slow\n  ms: !!timestamp soon", "x:3: this cannot be read"),
        ("- at: 1s\n  [1]: heal", "x:2: a name is expected before the colon"),
        ("- heal", "x:1: a step is {at: 5s"),
        ("- action: heal", "x:1: at is missing: when the step happens"),
        ("- at: 1s", "x:1: action is missing; there are: cut, heal"),
        ("- at: soon\n  action: heal", "x:1: at: a time is such as 5s, 500ms or 2m, not 'soon'"),
        ("- at: [1]\n  action: heal", "x:1: at: a time is such as"),
        ("- at: 1s\n  at: 2s\n  action: heal", "x:2: at is given twice"),
        ("- at: 1s\n  action: explode", "x:2: there is no action 'explode'; there are: cut"),
        ("- at: 1s\n  action: cut\n  a: mars-1", "x:3: no region mars-1; there are us-east-1"),
        (
            f"- at: 1s\n  action: cut\n  a: {EAST}\n  b: {EAST}",
            "x:4: us-east-1 has no link to itself",
        ),
        ("- at: 1s\n\n- at: 1s\n  action: cut", "x:1: action is missing"),
        (
            f"- {{at: 1s, action: heal}}\n- at: 1s\n  action: kill\n  region: {EAST}\n  rate: 1",
            "x:5: kill: rate: Extra inputs are not permitted",
        ),
        ("- at: 1s\n  action: repeat\n  rate: 7", "x:3: repeat: rate: Input should be less than"),
        ("- at: 1s\n  action: heal\n  for: 3s", "x:3: for: heal does not last"),
        (
            f"- &k {{at: 1s, action: kill, region: {EAST}}}\n- *k",
            "x:1: us-east-1 is killed already at 1 s",
        ),
        (f"- {{at: 1s, action: start, region: {EAST}}}", "x:1: us-east-1 is not killed at 1 s"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_reason(text: str, told: str):
    with pytest.raises(Problem) as raised:
        read(text, name="x", regions=REGIONS)
    assert str(raised.value).startswith(told)


def test_every_scenario_that_is_shipped_can_be_played():
    assert "partition-and-kill" in shipped()
    for name in shipped():
        scenario = load(name, regions=REGIONS)
        assert scenario.moments
        # What begins ends, so that a run with it can be verified.
        begun = sum(one.action.undo() is not None for one in scenario.moments)
        assert begun * 2 >= len(scenario.moments)


def test_a_file_comes_before_a_name_and_what_is_neither_lists_the_names(tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text(f"- {{at: 1s, action: cut, a: {EAST}}}")
    assert load(str(file), regions=REGIONS).moments[0].action == Cut(a=EAST)
    with pytest.raises(Problem, match=r"there is no file storm.*partition-and-kill"):
        load("storm", regions=REGIONS)


@pytest.mark.parametrize("command", ["up", "run"])
def test_a_mistake_is_told_before_anything_is_started(tmp_path: Path, command: str):
    file = tmp_path / "mine.yaml"
    file.write_text("- at: 1s\n  action: cut\n  a: mars-1\n")
    result = CliRunner().invoke(app, [command, "--scenario", str(file)])
    assert result.exit_code == 2
    assert f"{file}:3: no region mars-1" in result.output
    assert "Starting" not in result.output


def scenario_of(*actions: Kill | Cut | Heal, apart_s: float = 0.02) -> Scenario:
    return Scenario(
        name="x",
        moments=tuple(
            Moment(at_s=number * apart_s, action=action, line=number + 1)
            for number, action in enumerate(actions)
        ),
    )


def test_what_a_scenario_leaves_wrong_is_ended_when_it_is_over(system, capsys):
    connection = Connection.open(base_port=system.base_port, aws_port=system.aws_port)
    with playing(connection, scenario_of(Cut(a=EAST, b=WEST), Kill(region=WEST))) as player:
        assert player is not None
        player.finish()
    assert [one["action"] for one in system.wan_requests] == ["cut", "kill", "calm"]
    assert "cut us-east-1 eu-west-1" in capsys.readouterr().out


def test_a_scenario_that_leaves_nothing_wrong_ends_nothing(system):
    connection = Connection.open(base_port=system.base_port, aws_port=system.aws_port)
    healed = scenario_of(Cut(a=EAST, b=WEST), Heal(a=EAST, b=WEST))
    with playing(connection, healed) as player:
        assert player is not None
        player.finish()
    assert [one["action"] for one in system.wan_requests] == ["cut", "heal"]


def test_a_step_that_is_refused_ends_the_scenario_and_is_told(system):
    connection = Connection.open(base_port=system.base_port, aws_port=system.aws_port)
    twice = scenario_of(Kill(region=WEST), Kill(region=WEST), Heal())
    with playing(connection, twice) as player:
        assert player is not None
        with pytest.raises(Problem, match=r"x:2: kill eu-west-1: .*killed already"):
            player.finish()
    assert [one["action"] for one in system.wan_requests] == ["kill", "kill"]


def test_leaving_early_waits_for_nothing_that_is_still_to_come(system):
    connection = Connection.open(base_port=system.base_port, aws_port=system.aws_port)
    with playing(connection, scenario_of(Heal(), Heal(), apart_s=3_600)):
        pass
    assert len(system.wan_requests) <= 1


def test_a_scenario_is_played_on_regions_that_run(system, tmp_path: Path):
    file = tmp_path / "mine.yaml"
    file.write_text(f"- {{at: 0s, action: cut, a: {EAST}, b: {WEST}}}\n")
    words = ["wan", "play", str(file), "--aws-port", str(system.aws_port)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert [one["action"] for one in system.wan_requests] == ["cut", "calm"]
    assert "nothing of it is left" in result.output
