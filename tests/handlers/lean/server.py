"""A server that answers each request by the next step of a script, and keeps what it was sent."""

import json
import socket
import ssl
import struct
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

_WAIT_S = 10


@dataclass(frozen=True)
class Asked:
    """One request as it came: header names in lower case."""

    headers: dict[str, str]
    body: dict[str, Any]


Step = Callable[[socket.socket], bool]  # What it returns: whether the connection goes on.


def http(status: int, body: bytes, **headers: str) -> bytes:
    """Return an HTTP answer; a header's `_` stands for a dash."""
    lines = {"content-length": str(len(body)), "x-amzn-requestid": "r-1"}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body


def says(status: int, content: Any, **headers: str) -> Step:
    """Answer in JSON, with DynamoDB's checksum."""
    body = json.dumps(content).encode()
    crc = {"x_amz_crc32": str(zlib.crc32(body))}
    return sends(http(status, body, **(crc | headers)))


def refuses(status: int, code: str, **headers: str) -> Step:
    told = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "so it is"}
    return says(status, told, **headers)


def sends(raw: bytes, *, then_closes: bool = False) -> Step:
    def step(connection: socket.socket) -> bool:
        connection.sendall(raw)
        return not then_closes

    return step


def drips(raw: bytes, *, pieces: int, pause_s: float) -> Step:
    """Send in pieces with pauses between."""

    def step(connection: socket.socket) -> bool:
        size = len(raw) // pieces + 1
        for start in range(0, len(raw), size):
            connection.sendall(raw[start : start + size])
            time.sleep(pause_s)
        return True

    return step


def resets(connection: socket.socket) -> bool:
    """End the connection hard, as a machine that is gone does."""
    # Lingering for no time is what makes closing a reset.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def closes(connection: socket.socket) -> bool:
    return False


def says_nothing(connection: socket.socket) -> bool:
    """Leave the client waiting until it goes."""
    connection.settimeout(_WAIT_S)
    connection.recv(1)
    return False


ok = says(200, {})


@dataclass
class Server:
    """Serves on a port of its own until stopped. Steps beyond the script are `ok`."""

    script: Sequence[Step]
    tls: ssl.SSLContext | None = None
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._steps = list(self.script)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    def then(self, *steps: Step) -> None:
        self._steps += steps

    def stop(self) -> None:
        self._listener.close()
        for one in self._open:
            one.close()

    def drop_idle(self) -> None:
        """Close all connections, as a server does with those that were idle for long."""
        for one in self._open:
            one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            self.connections += 1
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            while (request := _read(connection)) is not None:
                self.asked.append(request)
                step = self._steps.pop(0) if self._steps else ok
                if not step(connection):
                    break
        except OSError:
            pass
        connection.close()


def _read(connection: socket.socket) -> Asked | None:
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65_536)
        if not part:
            return None
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    headers = {
        name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)
    }
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65_536)
    return Asked(headers, json.loads(body))
