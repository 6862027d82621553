"""Operators on a deployment: the same acts by its file, its stacks and the SDK's own endpoints."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import REGIONS, Running


def test_the_acts_of_operators_go_where_the_file_and_the_credentials_say(
    running: Running, tmp_path: Path
):
    file = tmp_path / "antiphon.yaml"
    file.write_text(f"regions: [{', '.join(REGIONS)}]\n")
    # As for AWS, but for where the SDK finds its services.
    environment = {
        **os.environ,  # noqa: TID251 - a process's own
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{running.aws_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "ANTIPHON_ON": str(file),
    }

    def told(*words: str) -> str:
        done = subprocess.run(  # noqa: S603 - our own command line
            [sys.executable, "-m", "antiphon", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return done.stdout

    assert {
        one["state"] for one in json.loads(told("region", "show", "--json"))["standings"].values()
    } == {"active"}
    assert json.loads(told("dlq", "list", "--source", "bus", "--json")) == []
    told("--why", "to see it done", "rebuild", "activity", "--region", REGIONS[1], "--yes")
    assert json.loads(told("acts", "--json"))[-1]["why"] == "to see it done"
