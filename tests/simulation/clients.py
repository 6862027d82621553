"""The clients: they do the plan's operations, remember replies, and send again what has no result.

A client calls the HTTP API of one region. What it gets back, and what it never gets, is all it
knows; a command is sent again as it was, so the body is fixed when it is sent first.
"""

import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from tests.simulation.history import Invoked, Lost, Returned
from tests.simulation.plan import Op
from tests.simulation.streams import FunctionFailed

if TYPE_CHECKING:
    from tests.simulation.world import World

_NO_RESULT = frozenset({429, 500, 502, 503, 504})
_PASSING = frozenset({"conflict", "dependency_not_reached"})
# A client that needs an earlier reply looks for it so often, so long apart.
_LOOKS, _LOOK_MS = 150, 20.0
_TOKEN = "Consistency-Token"


class Clients:
    """All clients of a world."""

    def __init__(self, world: "World", chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self._replies: dict[str, dict[str, Any]] = {}
        self._bodies: dict[tuple[str, str], str] = {}
        self._sendings = 0
        self._under_way: dict[str, int] = {}
        self._first_sent_ms: dict[str, float] = {}

    def do(self, op: Op) -> None:
        """Do one operation of the plan, as a task of its own."""
        match op.kind:
            case "command":
                self._command(op)
            case "queue":
                self._send_to_queue(op)
            case "read":
                self._read(op)
            case "status":
                self._status(op)

    def _command(self, op: Op) -> None:
        body = self._body(op)
        self._note_duplicate(body)
        self._under_way[body] = self._under_way.get(body, 0) + 1
        for region in (op.region, *op.retry):
            headers = self._traced(op)
            reply = self._exchange(op, region, "/commands", headers, body=body)
            if reply is not None and _is_result(*reply):
                self._replies.setdefault(op.id, reply[1])
                break
            self._world.met("command sent again by its client")
            self._world.time.sleep(self._chance.uniform(50, 3_000))
        self._under_way[body] -= 1

    def order(self, op: Op) -> tuple[int, dict[str, Any]] | None:
        """Send a command once, as an operator's command line does; return what it is told."""
        return self._exchange(op, op.region, "/commands", self._traced(op), body=self._body(op))

    def _reply_to(self, op: Op) -> dict[str, Any] | None:
        """Return the reply that an operation needs, waiting a little for it."""
        for _ in range(_LOOKS if op.after else 0):
            if op.after in self._replies:
                break
            self._world.time.sleep(_LOOK_MS)
        return self._replies.get(op.after)

    def _note_duplicate(self, body: str) -> None:
        now_ms = self._world.time.now_ms
        first_ms = self._first_sent_ms.setdefault(body, now_ms)
        if self._under_way.get(body):
            self._world.met("duplicate while the first is under way")
        elif now_ms - first_ms > 3_600_000:
            self._world.met("duplicate after hours")
        elif now_ms > first_ms:
            self._world.met("duplicate soon after")

    def _body(self, op: Op) -> str:
        """Return the body as it is sent every time, with what an earlier reply gave to it."""
        identity = (op.body["producer"], op.body["command_id"])
        if identity not in self._bodies:
            body = dict(op.body)
            reply = self._reply_to(op)
            if reply is not None and op.uses == "token":
                body["depends_on"] = reply["consistency_token"]
                self._world.met("command depends on another's token")
            elif reply is not None and op.uses == "sequence":
                body["expected_sequence"] = reply["sequence"]
                self._world.met("command expects a sequence")
            text = orjson.dumps(body).decode()
            self._bodies[identity] = text[:-1] if op.spoilt == "malformed" else text
        return self._bodies[identity]

    def _send_to_queue(self, op: Op) -> None:
        body = self._body(op)
        self._note_duplicate(body)
        group = str(next(iter(op.body["data"].values())))
        headers = self._traced(op)
        sent = self._sending(op, op.region, "antiphon-commands.fifo", headers, body=body)
        if op.region in self._world.network.down:
            self._world.observer.record(Lost, op=sent, why="the region is down")
            return
        attributes = {
            name: {"DataType": "String", "StringValue": value} for name, value in headers.items()
        }
        queue = self._world.queue(op.region, "antiphon-commands.fifo")
        queue.send(body, {"MessageGroupId": group, "MessageAttributes": attributes})
        self._world.observer.record(Returned, op=sent, status=200, body="")

    def _traced(self, op: Op) -> dict[str, str]:
        """Return the headers of one sending: each is a span of its own, as tracing has it."""
        span = self._sendings + 1
        return {**op.headers, "traceparent": f"00-{span:032x}-{span:016x}-01"}

    def _read(self, op: Op) -> None:
        headers = dict(op.headers)
        if op.uses == "token":
            reply = self._reply_to(op)
            if reply is None:
                return
            headers[_TOKEN] = reply["consistency_token"]
            if reply["region"] != op.region:
                self._world.met("token carried to another region")
        reply = self._exchange(op, op.region, op.path, headers, query=op.query)
        if reply is None or _TOKEN not in headers:
            return
        status, told = reply
        if status == 503:
            self._world.met("token read not caught up")
        elif status == 200:
            self._world.met("token read stale, as asked" if told["stale"] else "token read fresh")
            if told["applied_sequence"]:
                self._replies[f"read-{op.id}"] = told

    def _status(self, op: Op) -> None:
        reply = self._reply_to(op)
        if reply is not None:
            self._exchange(op, op.region, f"/commands/{reply['commit']}", op.headers)

    def _sending(
        self,
        op: Op,
        region: str,
        path: str,
        headers: Mapping[str, str],
        *,
        query: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> str:
        self._sendings += 1
        sent = str(self._sendings)
        self._world.observer.record(
            Invoked,
            op=sent,
            kind="read" if op.kind == "status" else op.kind,
            region=region,
            path=path,
            query=query or {},
            headers=dict(headers),
            body=body,
            valid=not op.spoilt,
        )
        return sent

    def _exchange(
        self,
        op: Op,
        region: str,
        path: str,
        headers: Mapping[str, str],
        *,
        query: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> tuple[int, dict[str, Any]] | None:
        """Send one request to a region's API; return status and body, None if no answer came."""
        world = self._world
        sent = self._sending(op, region, path, headers, query=query, body=body)
        world.time.sleep(self._chance.uniform(2, 15))
        if region in world.network.down:
            world.met("client finds its region down")
            world.observer.record(Lost, op=sent, why="the region is down")
            return None
        method = "POST" if op.kind == "command" else "GET"
        event = {
            "version": "2.0",
            "rawPath": path,
            "headers": dict(headers),
            "queryStringParameters": dict(query) if query else None,
            "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
            "body": body,
        }
        function = "commands" if op.kind == "command" else "queries"
        try:
            answer = world.functions.invoke(region, function, event)
        except FunctionFailed:
            world.met("client gets no result from a function")
            world.observer.record(Lost, op=sent, why="the function gave no answer: 502")
            return None
        world.time.sleep(self._chance.uniform(2, 15))
        if region in world.network.down:
            world.observer.record(Lost, op=sent, why="the region died")
            return None
        status, text = answer["statusCode"], answer["body"]
        answered = {name: str(value) for name, value in (answer.get("headers") or {}).items()}
        world.observer.record(Returned, op=sent, status=status, body=text, headers=answered)
        world.met(f"{op.kind}: {status}")
        return status, orjson.loads(text)


def _is_result(status: int, told: dict[str, Any]) -> bool:
    """Say whether a command has its result, so that it need not be sent again."""
    return status not in _NO_RESULT and told.get("code") not in _PASSING and "commit" in told
