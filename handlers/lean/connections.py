"""Kept HTTP/1.1 connections to one server, each used by one thread at a time.

An answer is returned whole or not at all: a head that is none, a body that ends early or more
than was announced raise, and the connection is closed. The errors are botocore's, as its own
HTTP session raises them. Nothing is sent twice here: trying again is the caller's decision.
"""

import re
import select
import socket
import ssl
import weakref
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
    SSLError,
)

_READ_BYTES = 65_536
# What http.client takes for one line; DynamoDB's whole head has some 400 bytes.
_HEAD_BYTES = 65_536
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-9]\d\d)(?: |$)")
_CONTINUE = 200
_BODYLESS = frozenset({204, 304})


class Answer(NamedTuple):
    """An HTTP answer, named as botocore's retry rules read one. Header names are lower case."""

    status_code: int
    headers: dict[str, str]
    content: bytes


class _Broken(Exception):
    """The server closed the connection, or what came over it is no HTTP answer."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where to connect, and how long that and every wait for bytes may take, in seconds."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    connect_s: float
    read_s: float
    url: str


class Connections:
    """Connections to one server. Safe to share between threads.

    Args:
        kept: connections that stay open while nobody uses them, at most. There may be more in
            use, as many as there are threads that ask at once.

    """

    def __init__(self, server: Server, *, kept: int) -> None:
        self._server = server
        self._kept = kept
        # The last one used is the first one taken: the others may close when load falls.
        self._idle: deque[_Connection] = deque()
        weakref.finalize(self, _close_all, self._idle)

    def exchange(self, request: bytes) -> Answer:
        """Send a request and return its answer.

        Raises:
            EndpointConnectionError, ConnectTimeoutError, SSLError: nothing was sent.
            ReadTimeoutError, ConnectionClosedError: whether the request took effect is unknown.

        """
        connection = self._take()
        try:
            answer = connection.exchange(request)
        except TimeoutError as error:
            connection.close()
            raise ReadTimeoutError(endpoint_url=self._server.url, error=error) from error
        except ssl.SSLError as error:
            connection.close()
            raise SSLError(endpoint_url=self._server.url, error=error) from error
        except (OSError, _Broken) as error:
            connection.close()
            raise ConnectionClosedError(endpoint_url=self._server.url, error=error) from error
        except BaseException:
            # Half an answer may be left in it, which the next request would take for its own.
            connection.close()
            raise
        if connection.reusable and len(self._idle) < self._kept:
            self._idle.append(connection)
        else:
            connection.close()
        return answer

    def close(self) -> None:
        """Close what is idle; what is in use goes on."""
        _close_all(self._idle)

    def _take(self) -> "_Connection":
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._connect()
            if not connection.dropped():
                return connection
            connection.close()

    def _connect(self) -> "_Connection":
        server = self._server
        try:
            plain = socket.create_connection((server.host, server.port), server.connect_s)
        except TimeoutError as error:
            raise ConnectTimeoutError(endpoint_url=server.url, error=error) from error
        except OSError as error:
            raise EndpointConnectionError(endpoint_url=server.url, error=error) from error
        try:
            # Without it a request of two packets waits for the answer to the first.
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wrapped = plain
            if server.tls is not None:
                wrapped = server.tls.wrap_socket(plain, server_hostname=server.host)
            wrapped.settimeout(server.read_s)
        except TimeoutError as error:
            plain.close()
            raise ReadTimeoutError(endpoint_url=server.url, error=error) from error
        except ssl.SSLError as error:
            plain.close()
            raise SSLError(endpoint_url=server.url, error=error) from error
        except OSError as error:
            plain.close()
            raise ConnectionClosedError(endpoint_url=server.url, error=error) from error
        return _Connection(wrapped)


def _close_all(idle: "deque[_Connection]") -> None:
    while idle:
        idle.pop().close()


class _Connection:
    """One connection, and what was read of it beyond the last answer: nothing, if all is well."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._unread = b""
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self.reusable = False

    def dropped(self) -> bool:
        """Say whether something came while nothing was asked: the end, in most cases."""
        return bool(self._poll.poll(0))

    def close(self) -> None:
        self._socket.close()

    def exchange(self, request: bytes) -> Answer:
        self.reusable = False
        # Where the server has closed its side it may have said why before it did.
        with suppress(BrokenPipeError):
            self._socket.sendall(request)
        minor, status, headers = self._head()
        while status < _CONTINUE:
            minor, status, headers = self._head()
        content = self._body(status, headers)
        wish = headers.get("connection", "").lower()
        kept = wish != "close" if minor == "1" else wish == "keep-alive"
        self.reusable = kept and self.reusable and not self._unread
        return Answer(status, headers, content)

    def _head(self) -> tuple[str, int, dict[str, str]]:
        received, self._unread = self._unread or self._receive(), b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            if len(received) > _HEAD_BYTES:
                raise _Broken(f"the head of the answer has more than {_HEAD_BYTES} bytes")
            received += self._receive()
        self._unread = received[end + 4 :]
        first, *lines = received[:end].decode("latin-1").split("\r\n")
        told = _STATUS.match(first)
        if told is None:
            raise _Broken("the answer does not begin as HTTP/1.1 does")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return told[1], int(told[2]), headers

    def _body(self, status: int, headers: dict[str, str]) -> bytes:
        if status in _BODYLESS:
            self.reusable = True
            return b""
        if "transfer-encoding" in headers:
            if headers["transfer-encoding"].lower() != "chunked":
                raise _Broken("the answer is encoded in a way that nobody asked for")
            content = self._chunks()
        elif "content-length" in headers:
            length = headers["content-length"]
            if not (length.isascii() and length.isdecimal()):
                raise _Broken("the answer's length is no number")
            content = self._exactly(int(length))
        else:
            return self._rest()
        self.reusable = True
        return content

    def _chunks(self) -> bytes:
        parts = []
        while size := self._chunk_size():
            parts.append(self._exactly(size))
            if self._exactly(2) != b"\r\n":
                raise _Broken("a chunk of the answer does not end where it said")
        while self._line():
            pass
        return b"".join(parts)

    def _chunk_size(self) -> int:
        try:
            return int(self._line().partition(b";")[0], 16)
        except ValueError as error:
            raise _Broken("the size of a chunk of the answer is no number") from error

    def _line(self) -> bytes:
        while (end := self._unread.find(b"\r\n")) < 0:
            if len(self._unread) > _HEAD_BYTES:
                raise _Broken(f"a line of the answer has more than {_HEAD_BYTES} bytes")
            self._unread += self._receive()
        line, self._unread = self._unread[:end], self._unread[end + 2 :]
        return line

    def _exactly(self, size: int) -> bytes:
        if len(self._unread) >= size:
            content, self._unread = self._unread[:size], self._unread[size:]
            return content
        parts, missing = [self._unread], size - len(self._unread)
        self._unread = b""
        while missing:
            part = self._receive(min(missing, 4 * _READ_BYTES))
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def _rest(self) -> bytes:
        parts, self._unread = [self._unread], b""
        while part := self._socket.recv(_READ_BYTES):
            parts.append(part)
        return b"".join(parts)

    def _receive(self, most: int = _READ_BYTES) -> bytes:
        received = self._socket.recv(most)
        if not received:
            raise _Broken("the server closed the connection before its answer was whole")
        return received
