"""Start, watch and stop the processes of the local regions.

Each child gets its listening sockets already open, a clean environment in which
no setting of the user's (an AWS profile, an endpoint) can reach it, a directory
of its own for temporary files, and a log file for whatever it prints.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from infra.local.lifeline import Lifeline, hold

# How long a child may take to clean up once its lifeline is cut.
STOP_TIMEOUT_S = 5.0
# How much of a dead child's log goes into the error message.
_LOG_TAIL_LINES = 12
_PROJECT = Path(__file__).resolve().parents[2]


class EngineFailed(Exception):
    """A process of the local regions could not be started, or has died."""


class Child:
    """One process, tied to ours by the lifeline."""

    def __init__(
        self,
        *,
        name: str,
        module: str,
        settings: Mapping[str, object],
        listeners: Sequence[socket.socket],
        environment: Mapping[str, str],
        lifeline: Lifeline,
        run_directory: Path,
        log_directory: Path,
        path: Sequence[Path] = (),
    ) -> None:
        """Start it.

        Args:
            module: run as `python -m module settings`, where it calls `begin`.
            settings: JSON that the module understands.
            listeners: sockets it serves; ours are closed once it has them.
            environment: all of its environment but what Python itself needs.
            path: directories to import from before the project's own.
        """
        self.name = name
        self._killed = False
        self._own_directory = run_directory / name
        self._log = log_directory / f"{name}.log"
        self._own_directory.mkdir()
        handed = {
            **settings,
            "lifeline_fd": lifeline.child_fd,
            "listener_fds": [listener.fileno() for listener in listeners],
            "directory": str(self._own_directory),
        }
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, "-P", "-m", module, orjson.dumps(handed).decode()],
                env={
                    "PATH": os.defpath,
                    "PYTHONPATH": os.pathsep.join(str(entry) for entry in (*path, _PROJECT)),
                    "TMPDIR": str(self._own_directory),
                    **environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[lifeline.child_fd, *(listener.fileno() for listener in listeners)],
                # Out of the terminal's reach: Ctrl-C ends the parent, which ends
                # the children in its own order. The session also is the group
                # that `hold` kills, with whatever the child has started.
                start_new_session=True,
            )
        for listener in listeners:
            listener.close()

    @property
    def pid(self) -> int:
        """Its process id, which is its process group too."""
        return self._process.pid

    def check(self) -> None:
        """Raise EngineFailed, with the end of its log, if it has ended by itself."""
        code = self._process.poll()
        if code is not None and not self._killed:
            raise EngineFailed(
                f"{self.name} has ended (exit status {code}); its log, {self._log}, ends:\n"
                + self._log_tail()
            )

    def kill(self) -> None:
        """End it on the spot, with whatever it has started; its end is no failure then."""
        # Said first: another thread may be looking at this child.
        self._killed = True
        self._signal(signal.SIGKILL)
        self._process.wait()
        # It could not clean up itself.
        shutil.rmtree(self._own_directory, ignore_errors=True)

    def freeze(self) -> None:
        """Stop it where it is: it answers nothing, and forgets nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it was frozen; one that is not frozen does not notice."""
        self._signal(signal.SIGCONT)

    def wait_or_kill(self) -> None:
        """Wait for the end that cutting the lifeline brings about; insist if it is slow."""
        try:
            self._process.wait(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _log_tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join(f"  {line}" for line in lines)


class Handed:
    """What a child was given, read by the child itself."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        self.settings = settings
        self.directory = Path(str(settings["directory"]))
        descriptors = settings["listener_fds"]
        assert isinstance(descriptors, list)
        self.listeners = [socket.socket(fileno=int(fd)) for fd in descriptors]


def begin(arguments: Sequence[str]) -> Handed:
    """A child's first act: tie it to its parent, and read what it was given."""
    settings = orjson.loads(arguments[1])
    handed = Handed(settings)
    hold(int(settings["lifeline_fd"]), clean_up=lambda: _remove(handed.directory))
    return handed


def _remove(directory: Path) -> None:
    """Remove a child's directory, and the run's own if this was the last child."""
    shutil.rmtree(directory, ignore_errors=True)
    with contextlib.suppress(OSError):
        directory.parent.rmdir()
