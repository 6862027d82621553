"""Play a feed in EVENTUAL mode while a region is cut off, evicted, and brought back; judge it.

By hand: `python -m tests.faults.evicting [TIMES]`. Each time from empty regions, with another feed.
A region's commands are sent again until it serves, as producers do; what was superseded is, too.
"""

import sys
import tempfile
import threading
import time
from pathlib import Path

from typer.testing import CliRunner

from antiphon.cli import app
from antiphon.connection import Connection
from antiphon.feed import play_and_report
from antiphon.feed_plan import plan_feed
from antiphon.feeds.generate import generate
from antiphon.homes import spread_homes
from antiphon.player import Pace
from antiphon.terminal import say
from antiphon.verify import print_audit, settled_verdict
from infra.local.regions import LocalConfig, LocalRegions

COMMANDS = 240
DUPLICATES = 0.2
PACE = Pace(rate_per_s=8, at_once=16, patience_s=300, read_every=4)
EVICTED = "eu-west-1"
BASE_PORT, AWS_PORT = 12_600, 12_650
# Of the feed, in seconds: when the region is cut off, and how long it stays so at least.
CUT_AT_S, CUT_FOR_S = 6.0, 12.0
SETTLE_S = 120.0


def operate(connection: Connection, failures: list[str]) -> None:
    """Do what an operator does about a region that is out of reach."""

    def done(*words: str) -> None:
        ports = ["--aws-port", str(connection.aws_port)]
        if words[0] != "wan":
            ports += ["--base-port", str(connection.base_port)]
        told = CliRunner().invoke(app, [*words, *ports])
        say(told.output)
        if told.exit_code:
            failures.append(f"{' '.join(words)}: {told.output}")

    time.sleep(CUT_AT_S)
    # By the WAN's own order, as its command would show a table of links.
    connection.change_wan("cut", a=EVICTED)
    # Long enough for it to accept what nobody else receives, while it may.
    time.sleep(2)
    done("region", "evict", EVICTED)
    time.sleep(CUT_FOR_S)
    connection.change_wan("heal", a=EVICTED)
    done("region", "undrain", EVICTED)


def play(seed: int) -> bool:
    """Play once, from empty regions; return whether everything was right."""
    with tempfile.TemporaryDirectory() as directory:
        config = LocalConfig(
            mode="eventual", base_port=BASE_PORT, aws_port=AWS_PORT, directory=Path(directory)
        )
        with LocalRegions(config, progress=lambda _step: None):
            connection = Connection.open(base_port=BASE_PORT, aws_port=AWS_PORT)
            spread_homes(connection)
            lines = generate(COMMANDS, seed=seed, regions=connection.regions, duplicates=DUPLICATES)
            plan = plan_feed(lines, regions=connection.regions)
            failures: list[str] = []
            operator = threading.Thread(target=operate, args=[connection, failures])
            operator.start()
            right = play_and_report(connection, plan, pace=PACE, as_json=False)
            operator.join()
            verdict = settled_verdict(connection, settle_s=SETTLE_S)
            print_audit(verdict)
    clean = right and verdict.good and not failures
    say(f"feed {seed}: {'clean' if clean else 'NOT CLEAN'} {' '.join(failures)}")
    return clean


if __name__ == "__main__":
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    good = [play(seed) for seed in range(1, times + 1)]
    say(f"{sum(good)} of {times} clean")
    sys.exit(0 if all(good) else 1)
