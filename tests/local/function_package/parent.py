"""A parent of one child, or of whole regions, that then waits for what the test does to it.

Run as a script: `parent.py family DIRECTORY [raise]` or `parent.py regions DIRECTORY PORT PORT`.
Prints the process ids of its children as JSON once they run; with `raise` it fails
after a line of input.
"""

import json
import signal
import sys
import time
from pathlib import Path

from infra.local.children import Child
from infra.local.lifeline import Lifeline
from infra.local.regions import LocalConfig, LocalRegions

HERE = Path(__file__).parent


def family(directory: Path) -> list[int]:
    run_directory = directory / "run"
    run_directory.mkdir()
    child = Child(
        name="family",
        module="family",
        settings={"fail": False},
        listeners=[],
        environment={},
        lifeline=Lifeline(),
        run_directory=run_directory,
        log_directory=directory,
        path=(HERE,),
    )
    grandchild = run_directory / "pid"
    while not grandchild.exists() or not grandchild.read_text():
        child.check()
        time.sleep(0.02)
    pid = int(grandchild.read_text())
    grandchild.unlink()
    return [child.pid, pid]


def regions(directory: Path, base_port: int, aws_port: int) -> list[int]:
    (directory / "recording.py").write_text(f"DIRECTORY = {str(directory)!r}\n")
    config = LocalConfig(
        base_port=base_port,
        aws_port=aws_port,
        directory=directory,
        builder="sample_functions:build_handler",
        builder_path=(HERE, directory),
    )
    local = LocalRegions(config, progress=lambda _step: None)
    local.start()
    return [child.pid for child in local._children]


if __name__ == "__main__":
    # Whoever starts the tests in the background has these ignored, by its children too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    what, directory, *rest = sys.argv[1:]
    if what == "regions":
        pids = regions(Path(directory), int(rest[0]), int(rest[1]))
    else:
        pids = family(Path(directory))
    sys.stdout.write(f"{json.dumps(pids)}\n")
    sys.stdout.flush()
    if rest == ["raise"]:
        sys.stdin.readline()
        raise RuntimeError("what nobody had thought of")
    time.sleep(600)
