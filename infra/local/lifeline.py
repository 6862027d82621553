"""Guarantee that no process outlives the one that started it, however that one ends.

The parent holds the only writing end of a pipe, and each child waits at the
reading end: when the parent goes, by exit, signal or `kill -9`, the pipe closes
and the child cleans up and kills its whole process group, its own children
included. Works without the parent's help, so nothing here may rely on it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable

# From <sys/prctl.h>: send this process a signal when its parent dies.
_PR_SET_PDEATHSIG = 1


class Lifeline:
    """The parent's end: children live until `cut` is called or this process is gone."""

    def __init__(self) -> None:
        # Both ends are closed on exec by default, so no child holds the
        # writing end, and only those given `child_fd` hold the reading end.
        self.child_fd, self._held_fd = os.pipe()

    def cut(self) -> None:
        """End every child; calling it again does nothing."""
        for fd in (self._held_fd, self.child_fd):
            # EBADF: closed by an earlier call.
            with contextlib.suppress(OSError):
                os.close(fd)
        self._held_fd = self.child_fd = -1


def hold(lifeline_fd: int, *, clean_up: Callable[[], None]) -> None:
    """Tie this process to its parent, from a child's first lines.

    Args:
        lifeline_fd: `Lifeline.child_fd`, inherited.
        clean_up: called once before the end; it must not need the parent.
    """
    _wake_when_the_parent_dies()

    def wait_for_the_end() -> None:
        with contextlib.suppress(OSError):
            while os.read(lifeline_fd, 1):
                pass
        try:
            clean_up()
        finally:
            _kill_own_group()

    threading.Thread(target=wait_for_the_end, name="lifeline", daemon=True).start()


def _wake_when_the_parent_dies() -> None:
    """Let a frozen (SIGSTOP) process run again when its parent dies, so that it can end.

    Linux only; elsewhere a frozen child ends once somebody continues it.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGCONT, 0, 0, 0)


def _kill_own_group() -> None:
    """Kill this process and what it started, unless the group is someone else's."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
