"""The example of a producer, run as its first lines say, against the running regions."""

import sqlite3
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import Running

PROJECT = Path(__file__).resolve().parents[2]


def test_the_example_sends_its_commands_and_books_each_answer_once(
    running: Running, tmp_path: Path
):
    done = subprocess.run(  # noqa: S603 - the example itself
        [
            *(sys.executable, str(PROJECT / "examples" / "producer.py")),
            *("--base-port", str(running.base_port), "--aws-port", str(running.aws_port)),
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("accepted in us-east-1, sequence 1") == 3
    with sqlite3.connect(tmp_path / "producer.db") as database:
        states = database.execute("SELECT state FROM orders").fetchall()
    assert states == [("accepted",)] * 3
