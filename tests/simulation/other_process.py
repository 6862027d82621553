"""What another process of this very code says, with an order of sets of its own."""

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def said_by_another_process(code: str, *, hash_seed: str) -> str:
    """Run Python code; return what it printed. Raises CalledProcessError if it fails."""
    return subprocess.run(  # noqa: S603 - this very interpreter, on our own code
        [sys.executable, "-c", code],
        cwd=_ROOT,
        env={"PYTHONHASHSEED": hash_seed, "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
