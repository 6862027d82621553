"""Kills and starts regions, in the process that started them, when the WAN asks for it.

A killed region's functions are gone and its engine stands still: what was durable is
there again when it is started, what was in flight is not. Listens on the loopback
interface only; for local runs, never for anything that should live on.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from infra.local.children import EngineFailed
from infra.local.engines import Engine, wait_until_ready
from infra.local.launch import Host
from infra.local.ports import LOOPBACK, address_of, take_any_port

# How soon the listener notices that it is to end.
_POLL_S = 0.05


class Supervisor:
    """Holds the processes that a region consists of."""

    def __init__(self) -> None:
        # One order at a time, and none once everything is being stopped.
        self._lock = threading.Lock()
        self._engines: dict[str, Engine] = {}
        self._hosts: dict[str, Host] = {}
        self._dead: set[str] = set()
        self._server: ThreadingHTTPServer | None = None

    def begin(self) -> str:
        """Listen for orders. Returns: the address; orders are refused until `take_over`."""
        listener = take_any_port()
        server = ThreadingHTTPServer((LOOPBACK, 0), self._handler(), bind_and_activate=False)
        server.socket.close()
        server.socket = listener
        server.daemon_threads = True
        threading.Thread(
            target=server.serve_forever, args=(_POLL_S,), name="supervisor", daemon=True
        ).start()
        self._server = server
        return address_of(listener)

    def take_over(self, *, engines: Sequence[Engine], hosts: Sequence[Host]) -> None:
        """Have these processes killed and started from now on."""
        with self._lock:
            self._engines = {engine.region: engine for engine in engines}
            self._hosts = {host.region: host for host in hosts}

    def kill(self, region: str) -> None:
        """Kill a region's functions and freeze its engine. Raises: ValueError if it is dead."""
        with self._lock:
            host = self._hosts[region]
            if region in self._dead:
                raise ValueError(f"{region} is killed already")
            self._dead.add(region)
            host.child.kill()
            self._engines[region].child.freeze()

    def start(self, region: str) -> None:
        """Let a region's engine go on and start its functions anew; returns once they are ready.

        Raises:
            ValueError: it is not dead.
            EngineFailed: its functions did not start; it is dead still.
        """
        with self._lock:
            host = self._hosts[region]
            if region not in self._dead:
                raise ValueError(f"{region} is running")
            self._engines[region].child.thaw()
            self._hosts[region] = again = host.start_again()
            try:
                wait_until_ready(again.child, again.ready_url)
            except EngineFailed:
                again.child.kill()
                self._engines[region].child.freeze()
                raise
            self._dead.discard(region)

    def stop(self) -> None:
        """Take no more orders, and let every frozen engine run again, so that it can end."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        # A start that is under way ends at once: its functions have lost their lifeline.
        with self._lock:
            for engine in self._engines.values():
                engine.child.thaw()
            for host in self._hosts.values():
                host.listener.close()
            self._engines, self._hosts = {}, {}

    def _carry_out(self, order: dict[str, Any]) -> None:
        region = order["region"]
        if region not in self._hosts:
            raise ValueError(f"{region} is not running here, or not yet")
        {"kill": self.kill, "start": self.start}[order["action"]](region)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        carry_out = self._carry_out

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                try:
                    carry_out(orjson.loads(self.rfile.read(length)))
                except (ValueError, KeyError, EngineFailed) as error:
                    self._say(HTTPStatus.CONFLICT, {"message": str(error)})
                else:
                    self._say(HTTPStatus.OK, {})

            def _say(self, status: HTTPStatus, content: dict[str, Any]) -> None:
                body = orjson.dumps(content)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing: what happens is told by whoever ordered it."""

        return Handler
