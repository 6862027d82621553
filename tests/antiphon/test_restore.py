"""What `antiphon restore` refuses before anything is changed, and `antiphon backup` by command."""

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from antiphon.backup_file import Heading, read_heading, read_lines, write_backup
from antiphon.cli import app
from projections.regions import Topology
from projections.restoring import Kept
from tests.antiphon.honest import KEYS, REGIONS, Tables
from tests.antiphon.system import System
from tests.antiphon.test_verify import image_of

US, EU, AP = REGIONS


def antiphon(system: System, *words: str) -> Any:
    return CliRunner().invoke(app, [*words, *system.ports])


@pytest.fixture
def file(tmp_path: Path, honest_commits: list[Any]) -> Path:
    """A backup of an honest system, of generation 1."""
    heading = Heading(
        taken_at="2026-11-24T10:00:00+00:00",
        regions=REGIONS,
        fingerprint=KEYS.fingerprint,
        generation=1,
        topology=Topology.all_active(REGIONS),
    )
    made = tmp_path / "backup.gz"
    write_backup(made, heading, [Kept(commit=one, answers={}) for one in honest_commits])
    return made


@pytest.fixture
def new(system: System) -> System:
    """An installation that the backup could be restored into."""
    system.settings["ANTIPHON_GENERATION"] = "2"
    return system


def test_a_whole_backup_and_a_new_installation_fit(new: System, file: Path):
    told = antiphon(new, "restore", str(file), "--dry-run")
    assert told.exit_code == 0, told.output
    assert "is whole and can be restored here" in told.output


def refused(system: System, file: Path, told: str) -> None:
    before = {place: list(items) for place, items in system.tables.items()}
    result = antiphon(system, "restore", str(file))
    assert result.exit_code == 2, result.output
    assert told in " ".join(result.output.split())
    assert system.tables == before
    assert "PutItem" not in system.operations


def test_the_same_generation_is_refused(new: System, file: Path):
    del new.settings["ANTIPHON_GENERATION"]
    refused(new, file, "this installation has generation 1: deploy it with 2")


def test_another_secret_is_refused(new: System, file: Path):
    new.settings["ANTIPHON_SECRET"] = "quite another secret"
    refused(new, file, "another secret")


def test_other_regions_are_refused(new: System, file: Path):
    new.settings["ANTIPHON_REGIONS"] = "us-east-1,eu-west-1,eu-central-1"
    refused(new, file, "deploy those regions")


def test_eventual_mode_is_refused_with_the_reason(new: System, file: Path):
    """A log without the homes and epochs that made it would have two first commits somewhere."""
    new.settings["ANTIPHON_MODE"] = "EVENTUAL"
    refused(new, file, "STRONG mode only")


@pytest.mark.parametrize("table", ["antiphon-views", "antiphon-responses", "antiphon-snapshots"])
def test_what_is_of_another_log_is_refused(new: System, file: Path, table: str):
    new.tables[AP, table] = [{"k": {"S": "something"}}]
    refused(new, file, f"{table} in ap-south-1 is not empty")


@pytest.mark.parametrize("drained", [False, True])
def test_a_log_that_is_in_service_is_never_taken_out_of_it(
    new: System, file: Path, tables: Tables, *, drained: bool
):
    """Also while one of its regions is drained: that is no restore that was interrupted."""
    new.tables[US, "antiphon-events"] = [image_of(item) for item in tables.log]
    if drained:
        told = orjson.loads(Topology.all_active(REGIONS).model_dump_json())
        told["version"], told["standings"][AP]["state"] = 2, "drained"
        item = {"k": {"S": "regions"}, "v": {"N": "2"}, "d": {"S": orjson.dumps(told).decode()}}
        for region in REGIONS:
            new.tables[region, "antiphon-control"] = [item]
    refused(new, file, "in service: only a new installation is restored")


def test_a_file_that_is_cut_off_is_refused(new: System, file: Path):
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    file.write_bytes(gzip.compress(b"".join(lines[:-1])))
    refused(new, file, "no whole backup of this version")


def test_a_backup_by_command_holds_every_commit_with_its_answer(
    system: System, tables: Tables, tmp_path: Path
):
    for region in REGIONS:
        system.tables[region, "antiphon-events"] = [image_of(item) for item in tables.log]
        system.tables[region, "antiphon-responses"] = tables.responses[region]
    file = tmp_path / "by-command.gz"

    made = antiphon(system, "backup", str(file))

    assert made.exit_code == 0, made.output
    assert read_heading(file).fingerprint == KEYS.fingerprint
    lines = list(read_lines(file))
    assert len(lines) == len(tables.log)
    assert all(isinstance(line, Kept) and line.is_answered for line in lines)
