"""`antiphon simulate`, and what it does with a run that fails: cut it down, keep it, explain it."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from antiphon.cli import app
from tests.simulation import plan
from tests.simulation.defects import DEFECTS
from tests.simulation.planning import plan_of

DEFECT = DEFECTS["append without its condition"]


def test_a_clean_run_says_so_with_its_speed():
    result = CliRunner().invoke(app, ["simulate", "--seed", "5", "--runs", "1"])

    assert result.exit_code == 0, result.output
    assert re.search(r"1 runs, \d+ commands in \d+ s: \d+ simulated commands per", result.output)
    assert "0 failed" in result.output


def test_a_failure_is_cut_down_and_told_with_its_steps_and_the_command_that_plays_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("antiphon.simulate.gettempdir", lambda: str(tmp_path))
    with DEFECT.planted():
        arguments = ["simulate", "--seed", "0", "--runs", "1", "--tries", "20"]
        result = CliRunner().invoke(app, arguments)

        assert result.exit_code == 1, result.output
        assert "log-immutable" in result.output
        [kept] = re.findall(r"antiphon simulate --plan (\S+)", result.output)
        assert Path(kept).parent == tmp_path
        small = plan.from_json(Path(kept).read_bytes())
        assert small.size < plan_of(0).size / 2
        again = CliRunner().invoke(app, ["simulate", "--plan", kept])
    assert again.exit_code == 1
    assert "log-immutable" in again.output
    assert "antiphon simulate --seed 0" in again.output
    assert CliRunner().invoke(app, ["simulate", "--plan", kept]).exit_code == 0


def test_a_file_that_is_no_plan_is_told(tmp_path: Path):
    path = tmp_path / "no-plan.json"
    path.write_bytes(b'{"seed": 1}')

    result = CliRunner().invoke(app, ["simulate", "--plan", str(path)])

    assert result.exit_code == 2
    assert plan.from_json(plan.to_json(plan_of(1))) == plan_of(1)
