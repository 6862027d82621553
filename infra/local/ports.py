"""Take the ports before anything is started, so that a clash is told at once.

A listening socket is opened here and handed to the process that serves it:
there is no moment at which another program can take a port that was free when
it was looked at. Only the loopback interface is ever bound.
"""

from __future__ import annotations

import errno
import socket

LOOPBACK = "127.0.0.1"
# Connections that may wait while their process is still starting.
_BACKLOG = 512


class PortInUse(Exception):
    """A port that was asked for by number is taken by another program.

    Attributes:
        port: its number.
        what: what it was meant for.
        option: the command-line option that chooses another one.
    """

    def __init__(self, port: int, what: str, *, option: str) -> None:
        self.port = port
        self.what = what
        self.option = option
        super().__init__(
            f"port {port}, needed for {what}, is in use by another program: "
            f"stop that program, or choose other ports with {option}"
        )


def take_port(port: int, what: str, *, option: str) -> socket.socket:
    """Listen on `port` of the loopback interface.

    Returns: the listening socket.
    Raises: PortInUse, also for a port that this user may not open.
    """
    try:
        return _listen(port)
    except OSError as error:
        if error.errno in {errno.EADDRINUSE, errno.EACCES}:
            raise PortInUse(port, what, option=option) from error
        raise


def take_any_port() -> socket.socket:
    """Listen on a free port that the system chooses, for what no user addresses."""
    return _listen(0)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # Only skips the wait after an earlier run of ours; a live listener still clashes.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def port_of(listener: socket.socket) -> int:
    """The number of a listening socket's port."""
    port = listener.getsockname()[1]
    assert isinstance(port, int)
    return port


def address_of(listener: socket.socket) -> str:
    """The URL of a listening socket, without a slash at its end."""
    return f"http://{LOOPBACK}:{port_of(listener)}"
