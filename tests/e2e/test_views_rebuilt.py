"""Views of five thousand commits are rebuilt on running regions beside commands, killed twice.

The commits are decided and sealed as the functions do it, with a clock of two months ago, and
written in batches: as old as that they are applied everywhere, and answered no more.
"""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from domain.subscriber import SUBSCRIBER, ActivateSubscriber, ChangeServiceProfile
from eventstore.commits import to_item
from eventstore.decisions import EventStore
from eventstore.memory import InMemoryLog
from eventstore.requests import CommandRequest
from handlers.dependencies import Dependencies
from projections.builds import Phase
from projections.rebuild import Rebuild
from projections.views import opened_document
from tests.e2e.conftest import REGIONS, Running

US, EU, _ = REGIONS
NAME = "subscriber-view"
AGGREGATES = 250
COMMITS_OF_EACH = 20

COMMITS = AGGREGATES * COMMITS_OF_EACH
AGE = timedelta(days=60)
FED = 5
SLOWLY = ("--units-per-second", "200")
WITHIN_S = 120.0
LOOK_S = 0.1


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


def decided_long_ago(deps: Dependencies, number: int) -> list[Any]:
    """Return the log of one subscriber, as the functions would have written it then."""
    clock = replace(deps.edge.clock, now=lambda: deps.edge.clock.now() - AGE)
    log = InMemoryLog()
    store = EventStore(
        log,
        keys=deps.keys,
        region=US,
        clock=clock,
        bounds=deps.settings,
        cipher=deps.cipher,
    )
    told = activation(1_000 + number)["data"]
    asked = [ActivateSubscriber(**told)] + [
        ChangeServiceProfile(imsi=told["imsi"], service_profile=f"profile-{turn}")
        for turn in range(1, COMMITS_OF_EACH)
    ]
    return [
        store.decide(
            CommandRequest(
                aggregate=SUBSCRIBER,
                command=one,
                command_id=f"{number}-{turn}",
                producer="e2e-rebuild",
                correlation_id=f"{number}-{turn}",
            )
        ).commit
        for turn, one in enumerate(asked)
    ]


def write_a_log(running: Running) -> None:
    """Write the commits of all subscribers, each one's in one batch."""
    deps = running.wired(US)
    client, table = running.aws("dynamodb", US), deps.settings.events_table

    def write(number: int) -> None:
        puts = [
            {"PutRequest": {"Item": to_item(commit)}} for commit in decided_long_ago(deps, number)
        ]
        assert client.batch_write_item(RequestItems={table: puts})["UnprocessedItems"] == {}

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(write, range(AGGREGATES)))


@dataclass(frozen=True)
class Reached:
    """How far a rebuild is: its phase, and the commits of the pass that it is in."""

    phase: Phase | None
    commits: int

    @classmethod
    def now(cls, rebuild: Rebuild) -> "Reached":
        progress = rebuild.progress(NAME)
        return cls(rebuild.state(NAME).phase, sum(one.commits for one in progress))


@contextmanager
def process(running: Running, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a rebuild of its own process; it is killed when the block is left."""
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


def kill_in(phase: Phase, running: Running, *words: str) -> Reached:
    """Start a rebuild, and kill it in the midst of a phase's pass; return how far it was."""
    rebuild = running.wired(EU).rebuild
    with process(running, *words) as started:
        until_s = time.monotonic() + WITHIN_S
        while time.monotonic() < until_s:
            reached = Reached.now(rebuild)
            if reached.phase is phase and reached.commits:
                return reached
            assert started.poll() is None, started.communicate()[0]
            time.sleep(LOOK_S)
    raise AssertionError(f"never got there: {reached}")


def views(deps: Dependencies, label: str) -> dict[str, tuple[int, str]]:
    """Return what a version of the projection has of each aggregate: how far, and the document."""
    found, prefix = {}, f"{NAME}#{label}#"
    pages = deps.build_store._client.get_paginator("scan")
    for page in pages.paginate(TableName=deps.settings.views_table, ConsistentRead=True):
        for item in page["Items"]:
            if item["k"]["S"].startswith(prefix):
                told = int(item["n"]["N"]), opened_document(item, deps.cipher)
                found[item["k"]["S"].removeprefix(prefix)] = told
    return found


def feed(running: Running, over: threading.Event, seen: list[tuple[str, str]]) -> None:
    """Change subscribers; note what each answer says and what Europe's reader gets after it."""
    turn = 0
    while not over.is_set():
        turn += 1
        body = command("ChangeServiceProfile", turn % FED, service_profile=f"profile-{turn}")
        answered = running.post(US, body, Prefer="wait=20").json()
        read = running.get(EU, f"/subscribers/{body['data']['imsi']}").json()
        told = (answered["answer"] or {}).get("state", {}).get("service_profile", "no answer")
        seen.append((told, read["service_profile"]))


def test_a_rebuild_that_is_killed_twice_is_finished_beside_a_feed(running: Running):
    for number in range(FED):
        assert running.post(US, activation(number)).status_code == 202
    write_a_log(running)
    over, seen = threading.Event(), []
    beside = threading.Thread(target=feed, args=(running, over, seen))
    beside.start()
    try:
        filling = kill_in(Phase.FILLING, running, *SLOWLY)
        both = kill_in(Phase.BOTH, running)
        with process(running) as last:
            output = last.communicate(timeout=WITHIN_S)[0]
    finally:
        over.set()
        beside.join()

    assert last.returncode == 0, output
    assert filling.commits < COMMITS
    assert both.commits < COMMITS
    # What was done before either kill is not done again.
    assert "is built" not in output
    assert "first pass" not in output
    [done] = re.findall(r"second pass over about \d+ commits, (\d+) of them done before", output)
    assert int(done) >= both.commits
    assert "readers get version 1.1" in output
    assert len(seen) > FED
    assert all(told == read for told, read in seen), seen
    deps = running.wired(EU)
    old, new = views(deps, "1"), views(deps, "1.1")
    assert old == new
    assert sum(sequence for sequence, _ in new.values()) >= COMMITS


def test_what_cannot_be_rebuilt_is_refused_by_name_and_changes_nothing(running: Running):
    for words, told in (
        (("subscriber-vue",), "subscriber-view"),
        ((NAME, "--region", "mars"), "no region mars"),
        (("activity", "--abort"), "nothing of activity is being rebuilt"),
    ):
        refused = running.cli("rebuild", *words)
        assert refused.exit_code == 2
        assert told in refused.stderr
