"""`antiphon run` for real: three regions, a small feed, a verdict, and nothing left behind.

Once from this checkout, and once from the functions' package as it would go to Lambda.
"""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from antiphon.feeds.generate import generate
from antiphon.feeds.lines import FeedLine, write_line
from infra.deploy.package import build_package
from tests.antiphon.serving import consecutive_servers

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
ENDS_WITHIN_S = 120


@pytest.fixture
def ports() -> tuple[int, int]:
    """A base port with three free ones after it, and a free AWS port."""
    base_port, servers = consecutive_servers(len(REGIONS))
    aws_port = servers[0].server_port
    for server in servers:
        server.server_close()
    return base_port, aws_port


def antiphon_run(folder: Path, ports: tuple[int, int], lines: list[FeedLine], *options: str):
    feed = folder / "feed.jsonl"
    feed.write_bytes(b"".join(write_line(line) for line in lines))
    words = ["run", "--feed", str(feed), "--wan", "none", *options]
    words += ["--base-port", str(ports[0]), "--aws-port", str(ports[1])]
    return subprocess.Popen(  # noqa: S603 - our own command line
        [sys.executable, "-m", "antiphon", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def small_feed() -> list[FeedLine]:
    return list(generate(12, seed=3, regions=REGIONS, duplicates=0.3))


def nothing_listens(ports: tuple[int, int]) -> bool:
    def refused(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    return all(refused(port) for port in (ports[0] + 1, ports[0] + 2, ports[0] + 3, ports[1]))


def test_it_plays_verifies_and_stays_up_until_it_is_told_to_stop(tmp_path, ports):
    package = tmp_path / "package.zip"
    package.write_bytes(build_package().content)
    with antiphon_run(tmp_path, ports, small_feed(), "--package", str(package)) as running:
        assert running.stdout is not None
        output = ""
        for row in running.stdout:
            output += row
            if "Ctrl-C stops them" in row:
                break
        assert not nothing_listens(ports), output
        running.send_signal(signal.SIGTERM)
        output += running.communicate(timeout=ENDS_WITHIN_S)[0]
    assert running.returncode == 0, output
    assert "12 answers, one for each command, each applied in all 3 regions" in output
    assert "log, read models and answers agree" in output
    assert f"http://127.0.0.1:{ports[0] + 1}" in output
    assert nothing_listens(ports)


def test_with_exit_it_ends_by_itself_and_a_bad_verdict_is_its_status(tmp_path, ports):
    lines = small_feed()
    first = lines[0]
    lines[0] = first.model_copy(update={"expect": ["invalid"]})
    with antiphon_run(tmp_path, ports, lines, "--exit") as running:
        output = running.communicate(timeout=ENDS_WITHIN_S)[0]
    assert running.returncode == 1, output
    assert f"{first.command.command_id}: said" in output
    assert "the feed expects invalid" in output
    assert "log, read models and answers agree" in output
    assert nothing_listens(ports)
