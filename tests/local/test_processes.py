"""No process and no temporary file outlives the one that started it, however that one ends."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.local.children import Child, EngineFailed
from infra.local.lifeline import Lifeline
from infra.local.ports import take_port
from infra.local.regions import LocalConfig, LocalRegions

PACKAGE = Path(__file__).parent / "function_package"
PROJECT = Path(__file__).parents[2]


def ps(*arguments: str) -> str:
    """What `ps` shows; nothing for a process that is not there."""
    shown = subprocess.run(  # noqa: S603 - the arguments are the tests' own
        ["ps", *arguments],  # noqa: S607 - found where the system has it
        capture_output=True,
        text=True,
        check=False,
    )
    return shown.stdout.strip()


def is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie, which only its parent's parent can remove."""
    state = ps("-o", "stat=", "-p", str(pid))
    return bool(state) and not state.startswith("Z")


def wait_until_gone(pids: list[int], *, within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while running := [pid for pid in pids if is_running(pid)]:
        assert time.monotonic() < deadline, f"still running: {running}"
        time.sleep(0.02)


@contextmanager
def parent(*arguments: str, directory: Path) -> Iterator[tuple[subprocess.Popen, list[int]]]:
    complaints = directory / "stderr"
    with complaints.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603 - the tests' own script
            [sys.executable, str(PACKAGE / "parent.py"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={"PATH": os.defpath, "PYTHONPATH": str(PROJECT), "TMPDIR": str(directory)},
            # Signals reach the parent alone, as from a supervisor; Ctrl-C reaches
            # the children neither, which are in sessions of their own.
            start_new_session=True,
        )
    try:
        said = process.stdout.readline()
        assert said, complaints.read_text()
        pids = json.loads(said)
        assert all(is_running(pid) for pid in pids)
        yield process, pids
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.parametrize(
    "end", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda end: end.name
)
def test_children_and_their_children_end_with_a_parent_that_is_ended_by(end, tmp_path):
    with parent("family", str(tmp_path), directory=tmp_path) as (process, pids):
        process.send_signal(end)
        wait_until_gone([process.pid, *pids])
    assert not (tmp_path / "run").exists()


def test_children_end_with_a_parent_that_fails(tmp_path):
    with parent("family", str(tmp_path), "raise", directory=tmp_path) as (process, pids):
        process.stdin.write(b"\n")
        process.stdin.flush()
        wait_until_gone(pids)
    assert not (tmp_path / "run").exists()


if sys.platform == "linux":

    def test_a_frozen_child_ends_with_its_parent_too(tmp_path):
        with parent("family", str(tmp_path), directory=tmp_path) as (process, pids):
            os.kill(pids[0], signal.SIGSTOP)
            process.kill()
            wait_until_gone(pids)
        assert not (tmp_path / "run").exists()


def test_nothing_is_left_of_the_regions_when_their_parent_is_killed(tmp_path, free_ports):
    base_port, aws_port = free_ports
    arguments = ("regions", str(tmp_path), str(base_port), str(aws_port))
    with parent(*arguments, directory=tmp_path) as (process, pids):
        assert len(pids) == 8
        process.kill()
        wait_until_gone(pids)
    assert list(tmp_path.glob("antiphon-*")) == []
    for port in (aws_port, base_port + 1, base_port + 2, base_port + 3):
        take_port(port, "another run", option="--base-port").close()


def test_nothing_is_left_of_regions_that_could_not_start(tmp_path, free_ports, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    base_port, aws_port = free_ports
    local = LocalRegions(
        LocalConfig(
            base_port=base_port,
            aws_port=aws_port,
            directory=tmp_path / "logs",
            builder="no_such_module:build_handler",
        ),
        progress=lambda _step: None,
    )
    with pytest.raises(EngineFailed, match="No module named 'no_such_module'"):
        local.start()
    assert list(tmp_path.glob("antiphon-*")) == []
    assert str(tmp_path) not in ps("-eo", "args")
    local.stop()


@pytest.fixture
def child(tmp_path):
    """Makes a child; it ends with the test."""
    lifeline = Lifeline()
    made: list[Child] = []

    def make(*, fail: bool) -> Child:
        run_directory = tmp_path / "run"
        run_directory.mkdir()
        made.append(
            Child(
                name="family",
                module="family",
                settings={"fail": fail},
                listeners=[],
                environment={},
                lifeline=lifeline,
                run_directory=run_directory,
                log_directory=tmp_path,
                path=(PACKAGE,),
            )
        )
        return made[-1]

    yield make
    lifeline.cut()
    for one in made:
        one.wait_or_kill()


def test_a_child_that_ends_is_noticed_with_the_last_words_of_its_log(child):
    ended = child(fail=True)
    deadline = time.monotonic() + 5
    while is_running(ended.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(EngineFailed, match=r"family has ended[\s\S]*it would not start"):
        ended.check()


def test_a_child_that_runs_is_no_failure(child):
    running = child(fail=False)
    running.check()
    assert is_running(running.pid)


def test_no_setting_of_the_users_reaches_a_child(child, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "production")
    pid = child(fail=False).pid
    environment = ps("eww", "-o", "command=", "-p", str(pid))
    assert "PYTHONPATH=" in environment
    assert "AWS_PROFILE" not in environment
