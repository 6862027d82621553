"""A projection is rebuilt on running regions beside commands, by a process that is killed twice."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.conftest import REGIONS, Running

US, EU, _ = REGIONS
NAME = "subscriber-view"
LOOKS = 120


def command(kind: str, number: int, **data: str) -> dict[str, Any]:
    return {
        "type": kind,
        "command_id": f"{kind}-{number}-{data.get('service_profile')}",
        "producer": "e2e-rebuild",
        "data": {"imsi": f"26203{number:010d}", **data},
    }


def activation(number: int) -> dict[str, Any]:
    return command(
        "ActivateSubscriber",
        number,
        msisdn="+4915112345678",
        iccid="8949020000012345670",
        service_profile="consumer-5g",
    )


def status_of(running: Running) -> dict[str, Any]:
    told = running.cli("rebuild", NAME, "--region", EU, "--status", "--json")
    assert told.exit_code == 0, told.output
    [row] = json.loads(told.stdout)
    return row


@contextmanager
def process(running: Running, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a rebuild of its own process; it is gone when the block is left."""
    ports = ["--base-port", str(running.base_port), "--aws-port", str(running.aws_port)]
    started = subprocess.Popen(  # noqa: S603 - our own command line
        [sys.executable, "-m", "antiphon", "rebuild", NAME, "--region", EU, *words, *ports],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def kill_once(running: Running, reached: Callable[[dict[str, Any]], bool], *words: str) -> None:
    """Start a rebuild, and kill it as soon as its status is what is waited for."""
    with process(running, *words) as started:
        for _ in range(LOOKS):
            if reached(status_of(running)):
                return
            assert started.poll() is None, started.communicate()[0]
    raise AssertionError(f"never got there: {status_of(running)}")


def feed(running: Running, over: threading.Event, seen: list[tuple[str, str]]) -> None:
    """Change subscribers; note what each answer says and what Europe's reader gets after it."""
    turn = 0
    while not over.is_set():
        turn += 1
        profile = f"profile-{turn}"
        body = command("ChangeServiceProfile", turn % 5, service_profile=profile)
        answered = running.post(US, body, Prefer="wait=20").json()
        read = running.get(EU, f"/subscribers/{body['data']['imsi']}").json()
        told = (answered["answer"] or {}).get("state", {}).get("service_profile", "no answer")
        seen.append((told, read["service_profile"]))


def test_a_rebuild_that_is_killed_twice_is_finished_beside_a_feed(running: Running):
    for number in range(40):
        assert running.post(US, activation(number)).status_code == 202
    over, seen = threading.Event(), []
    beside = threading.Thread(target=feed, args=(running, over, seen))
    beside.start()
    try:
        kill_once(running, lambda row: row["commits"] > 0, "--units-per-second", "20")
        left = status_of(running)
        kill_once(running, lambda row: row["phase"] == "both")
        with process(running) as last:
            output = last.communicate(timeout=120)[0]
    finally:
        over.set()
        beside.join()

    assert last.returncode == 0, output
    assert left["phase"] == "filling"
    assert "readers get version 1.1" in output
    assert len(seen) > 5
    assert all(told == read for told, read in seen), seen
    row = status_of(running)
    assert (row["phase"], row["readers_get"], row["besides"]) == ("switched", "1.1", "1")
    verdict = running.cli("verify")
    assert verdict.exit_code == 0, verdict.output


def test_what_cannot_be_rebuilt_is_refused_by_name_and_changes_nothing(running: Running):
    for words, told in (
        (("subscriber-vue",), "subscriber-view"),
        ((NAME, "--region", "mars"), "no region mars"),
        (("activity", "--abort"), "nothing of activity is being rebuilt"),
    ):
        refused = running.cli("rebuild", *words)
        assert refused.exit_code == 2
        assert told in refused.stderr
