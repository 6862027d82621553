"""Serve functions over real HTTP on ports of this machine, for the tests' systems."""

import json
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.simulation.deployment import NAMES

# (method, path without query, headers, body) -> (status, JSON content, headers)
Handle = Callable[[str, str, Any, bytes], tuple[int, Any, dict[str, str]]]

# What the functions of every region are deployed with.
SETTINGS = {
    "ANTIPHON_FUNCTION": "responder",
    "ANTIPHON_REGIONS": "us-east-1,eu-west-1,ap-south-1",
    "ANTIPHON_MODE": "STRONG",
    "ANTIPHON_SECRET": "a secret of the tests",
    **NAMES,
    "ANTIPHON_COMMANDS_QUEUE": "antiphon-commands.fifo",
    "ANTIPHON_ANSWERS_QUEUE": "antiphon-answers",
    "ANTIPHON_DISCARDED_QUEUE": "antiphon-discarded",
}


def handler_class(handle: Handle) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536

        def _respond(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            path = self.path.partition("?")[0]
            status, content, headers = handle(self.command, path, self.headers, body)
            payload = json.dumps(content).encode()
            self.send_response(status)
            for name, value in ({"Content-Type": "application/json"} | headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = _respond  # noqa: N815 - the names that http.server calls

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as above
            """Say nothing: the tests look at what the command line prints."""

    return Handler


def consecutive_servers(count: int) -> tuple[int, list[ThreadingHTTPServer]]:
    """Servers on one free port and on `count` consecutive ones; the base port before those."""
    for _ in range(50):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            base = probe.getsockname()[1]
        servers = []
        try:
            for number in range(1, count + 1):
                servers.append(_server(base + number))  # noqa: PERF401 - kept to be closed
        except (OSError, OverflowError):
            for server in servers:
                server.server_close()
            continue
        return base, [_server(0), *servers]
    raise OSError("no consecutive free ports")


def _server(port: int) -> ThreadingHTTPServer:
    return ThreadingHTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)
