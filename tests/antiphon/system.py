"""A small system over real HTTP: regions, mailboxes and the WAN's control, honest or not.

It speaks what the command line uses of the regions' API and of the AWS endpoint. What a
command comes to is written in its id: `refuse-...`, `same-...`, anything else is accepted.
A test makes it misbehave by its `Misbehaviour`.
"""

import json
import re
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.antiphon.serving import SETTINGS, consecutive_servers, handler_class

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
RTT_MS = {("us-east-1", "eu-west-1"): 70, ("eu-west-1", "ap-south-1"): 118}
RTT_MS |= {("us-east-1", "ap-south-1"): 182}
STATUS = {"accepted": 202, "unchanged": 200, "rejected": 409}
DETAIL_TYPE = {
    "accepted": "CommandAnswered",
    "unchanged": "CommandUnchanged",
    "rejected": "CommandRejected",
}
REGION_OF_SIGNATURE = re.compile(r"Credential=[^/]+/\d+/([a-z0-9-]+)/")
LONG_POLL_S = 0.05
PROBLEM = {"Content-Type": "application/problem+json"}
MAILBOX = "antiphon-answers"
DEAD_QUEUES = ("antiphon-answers", "antiphon-acks-dead", "antiphon-commands-dead.fifo")


@dataclass
class Misbehaviour:
    """What goes wrong, by command id; nothing by default."""

    unanswered: set[str] = field(default_factory=set)
    twice: set[str] = field(default_factory=set)
    changed_the_second_time: set[str] = field(default_factory=set)
    early: set[str] = field(default_factory=set)
    not_everywhere: set[str] = field(default_factory=set)
    answered_as_accepted: set[str] = field(default_factory=set)
    decided_again: set[str] = field(default_factory=set)
    in_another_region: set[str] = field(default_factory=set)
    superseded: set[str] = field(default_factory=set)
    busy: dict[str, int] = field(default_factory=dict)
    conflicts: dict[str, int] = field(default_factory=dict)
    stale_reads: bool = False


class System:
    """Three regions in memory, served on consecutive ports and one AWS port."""

    def __init__(self) -> None:
        self.misbehaviour = Misbehaviour()
        self.received: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.reads: list[tuple[str, str]] = []
        self.wan_requests: list[dict[str, Any]] = []
        self.cut: set[tuple[str, str]] = set()
        self.killed: set[str] = set()
        self._decided: dict[str, dict[str, Any]] = {}
        self._sequences: dict[str, int] = defaultdict(int)
        self._answers: dict[str, dict[str, Any]] = {}
        self._mail: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._followers: dict[tuple[str, str], str] = {}
        self.followed = threading.Semaphore(0)
        self.rules: set[tuple[str, str]] = set()
        self.states: dict[str, str] = {}
        self.queues: set[tuple[str, str]] = set()
        self.tables: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.dead_letters: dict[tuple[str, str], int] = {}
        self.orders: list[tuple[str, dict[str, Any]]] = []
        self.outcomes: dict[str, list[str]] = {}
        self.sent: list[tuple[str, str]] = []
        self.operations: list[str] = []
        self.refuses: str | None = None
        self.settings = dict(SETTINGS)
        self.consistency = "STRONG"
        self._news = threading.Condition(threading.RLock())
        self.base_port, servers = consecutive_servers(len(REGIONS))
        self.aws_port = servers[0].server_port
        self._servers = servers
        servers[0].RequestHandlerClass = handler_class(self._aws)
        for region, server in zip(REGIONS, servers[1:], strict=True):
            server.RequestHandlerClass = handler_class(self._region_handler(region))
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
            for server in servers
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    def close_region(self, region: str) -> None:
        """Take a region's server away; what connects to it is refused."""
        server = self._servers.pop(1 + REGIONS.index(region))
        server.shutdown()
        server.server_close()

    @property
    def ports(self) -> list[str]:
        """The options that point the command line here."""
        return ["--base-port", str(self.base_port), "--aws-port", str(self.aws_port)]

    def mailbox(self, region: str) -> list[str]:
        """What waits in the producers' mailbox of a region."""
        return self._mail[region, MAILBOX]

    def publish(self, region: str, envelope: dict[str, Any]) -> None:
        """Put an answer on a region's bus: into the mailbox and to whoever follows."""
        with self._news:
            followers = [queue for (at, _), queue in self._followers.items() if at == region]
            for queue in (MAILBOX, *followers):
                self._mail[region, queue].append(json.dumps(envelope))
            self._news.notify_all()

    def _region_handler(self, region: str) -> Any:
        def handle(method: str, path: str, headers: Any, body: bytes) -> Any:
            if method == "POST" and path == "/commands":
                return self._command(region, json.loads(body), dict(headers))
            if path == "/health":
                if region in self.states:
                    return 503, {"status": "not serving", "state": self.states[region]}, {}
                return 200, {"status": "ok"}, {}
            if path.startswith("/commands/"):
                return self._command_status(path.removeprefix("/commands/"))
            return self._read(region, path, headers)

        return handle

    def _command(self, region: str, command: dict[str, Any], headers: dict[str, str]) -> Any:
        with self._news:
            self.received.append((region, command, headers))
            wrong, command_id = self.misbehaviour, command["command_id"]
            if wrong.busy.get(command_id, 0) > 0:
                wrong.busy[command_id] -= 1
                return 503, {"code": "unavailable", "detail": "try again"}, PROBLEM
            if wrong.conflicts.get(command_id, 0) > 0:
                wrong.conflicts[command_id] -= 1
                return 409, {"code": "conflict", "detail": "others were first"}, PROBLEM
            if "invalid" in command_id:
                errors = [{"field": "data.imsi", "message": "15 digits"}]
                told = {"code": "invalid", "detail": "the command is not valid", "errors": errors}
                return 422, told, PROBLEM
            key = json.dumps(command, sort_keys=True)
            first = self._decided.get(key)
            if first is not None and command_id not in wrong.decided_again:
                return STATUS[first["status"]], {**first, "duplicate": True}, {}
            result = self._decide(region, command)
            if command_id in wrong.superseded:
                # Told once; whoever sends it again has it decided anew.
                wrong.superseded.remove(command_id)
                detail = {"command": {"commit": result["commit"]}, "origin": region}
                self.publish(region, {"detail-type": "CommandSuperseded", "detail": detail})
                return STATUS[result["status"]], result, {}
            self._decided[key] = result
            if command_id not in wrong.unanswered:
                self._answer(region, command, result)
            return STATUS[result["status"]], result, {"Antiphon-Attempts": "2"}

    def _decide(self, region: str, command: dict[str, Any]) -> dict[str, Any]:
        aggregate = self._aggregate(command)
        self._sequences[aggregate] += 1
        sequence = self._sequences[aggregate]
        kind = command["command_id"].partition("-")[0]
        status = {"refuse": "rejected", "same": "unchanged"}.get(kind, "accepted")
        result = {
            "status": status,
            "aggregate_id": aggregate,
            "sequence": sequence,
            "commit": f"{aggregate}.{sequence}",
            "consistency_token": f"token-{sequence}",
            "region": region,
            "duplicate": False,
            "answer": None,
        }
        return result | ({"reason": "not_active"} if status == "rejected" else {})

    @staticmethod
    def _aggregate(command: dict[str, Any]) -> str:
        data = command["data"]
        return "sub." + str(abs(hash(data.get("imsi") or data.get("element_id"))))

    def _answer(self, region: str, command: dict[str, Any], result: dict[str, Any]) -> None:
        wrong, command_id = self.misbehaviour, command["command_id"]
        regions = REGIONS[:2] if command_id in wrong.not_everywhere else REGIONS
        as_of = result["sequence"] - (1 if command_id in wrong.early else 0)
        status = "accepted" if command_id in wrong.answered_as_accepted else result["status"]
        detail = {
            "answer_id": f"answer-{result['commit']}",
            "outcome": status,
            "command": {
                "type": command["type"],
                "command_id": command_id,
                "producer": command["producer"],
                "commit": result["commit"],
            },
            "sequence": result["sequence"],
            "as_of_sequence": as_of,
            "regions": dict.fromkeys(regions, "2026-11-23T10:00:00.000Z"),
            "origin": region,
        }
        self._answers[result["commit"]] = detail
        mailbox = region
        if command_id in wrong.in_another_region:
            mailbox = next(name for name in REGIONS if name != region)
        envelope = {"source": "antiphon", "detail-type": DETAIL_TYPE[status], "detail": detail}
        self.publish(mailbox, envelope)
        if command_id in wrong.twice | wrong.changed_the_second_time:
            changed = {"state": "other"} if command_id in wrong.changed_the_second_time else {}
            self.publish(mailbox, envelope | {"detail": detail | changed})

    def _command_status(self, commit: str) -> Any:
        detail = self._answers.get(commit)
        if detail is None:
            return 404, {"code": "not_found"}, PROBLEM
        statuses = {"accepted": "answered"}
        outcome = detail["outcome"]
        return 200, {"status": statuses.get(outcome, outcome), "answer": detail}, {}

    def _read(self, region: str, path: str, headers: Any) -> Any:
        self.reads.append((region, path))
        if "unknown" in path:
            return 404, {"code": "not_found", "detail": "nothing is known of it"}, PROBLEM
        token = headers.get("Consistency-Token")
        sequence = int(token.removeprefix("token-")) if token else 1
        applied = sequence - 1 if self.misbehaviour.stale_reads else sequence
        return 200, {"status": "active", "applied_sequence": applied, "region": region}, {}

    # What the AWS endpoint does.

    def _aws(self, method: str, path: str, headers: Any, body: bytes) -> Any:
        if path == "/_antiphon/wan":
            return self._wan(method, body)
        if path.endswith("/configuration"):
            return 200, {"Environment": {"Variables": self.settings}}, {}
        region = REGION_OF_SIGNATURE.search(headers["Authorization"])
        assert region is not None
        if path.endswith("/antiphon-dead-letters/invocations"):
            return self._order(region[1], json.loads(body))
        service, _, operation = headers["X-Amz-Target"].partition(".")
        request = json.loads(body)
        if service.startswith("DynamoDB"):
            return self._dynamodb(region[1], operation, request)
        if service == "AWSEvents":
            return self._events(region[1], operation, request)
        return self._sqs(region[1], operation, request)

    def _dynamodb(self, region: str, operation: str, request: dict[str, Any]) -> Any:
        self.operations.append(operation)
        if operation == self.refuses:
            return 400, {"__type": "AccessDeniedException", "message": "you may not"}, {}
        if operation == "DescribeTable":
            return 200, {"Table": {"MultiRegionConsistency": self.consistency}}, {}
        if operation == "BatchGetItem":
            return self._batch(region, request["RequestItems"])
        items = self.tables.get((region, request["TableName"]), [])
        if operation == "PutItem":
            self.tables.setdefault((region, request["TableName"]), []).append(request["Item"])
            return 200, {}, {}
        if operation == "GetItem":
            found = next((one for one in items if request["Key"].items() <= one.items()), None)
            return 200, ({"Item": found} if found else {}), {}
        if (index := request.get("IndexName")) is not None:
            items = [item for item in items if index in item]
        elif operation == "Query":
            [[name, value]] = request["ExpressionAttributeValues"].items()
            items = [item for item in items if item[name.removeprefix(":")] == value]
        items = [] if request.get("Segment") else items  # all in the first
        return 200, {"Items": items, "Count": len(items)}, {}

    def _batch(self, region: str, wanted: dict[str, Any]) -> Any:
        found = {
            name: [
                item
                for item in self.tables.get((region, name), [])
                if any(key.items() <= item.items() for key in keys["Keys"])
            ]
            for name, keys in wanted.items()
        }
        return 200, {"Responses": found}, {}

    def _order(self, region: str, order: dict[str, Any]) -> Any:
        """Say what the test has planned for a letter, one outcome after the other."""
        self.orders.append((region, order))
        planned = self.outcomes.get(order["letter"], ["done"])
        outcome = planned.pop(0) if len(planned) > 1 else planned[0]
        if outcome == "crash":
            return 200, {"errorType": "KeyError"}, {"X-Amz-Function-Error": "Unhandled"}
        told = {"letter": order["letter"], "outcome": outcome, "detail": f"it is {outcome}"}
        return 200, told, {}

    def _events(self, region: str, operation: str, request: dict[str, Any]) -> Any:
        name = (region, request.get("Name") or request.get("Rule"))
        if operation == "PutRule":
            self.rules.add(name)
        if operation == "DeleteRule":
            self.rules.remove(name)
        if operation == "PutTargets":
            (target,) = request["Targets"]
            self._followers[name] = target["Arn"].rpartition(":")[2]
            self.followed.release()
        if operation == "RemoveTargets":
            del self._followers[name]
        return 200, {"RuleArn": f"arn:aws:events:{region}:000000000000:rule/antiphon/{name[1]}"}, {}

    def _sqs(self, region: str, operation: str, request: dict[str, Any]) -> Any:
        name = (request.get("QueueUrl") or request.get("QueueName", "")).rpartition("/")[2]
        if operation == "ReceiveMessage":
            return 200, {"Messages": self._receive(region, name)}, {}
        if operation in {"SendMessage", "SendMessageBatch"}:
            self.sent.append((region, name))
        if operation == "CreateQueue":
            self.queues.add((region, name))
        if operation == "DeleteQueue":
            self.queues.remove((region, name))
        if operation == "ListQueues":
            return 200, {"QueueUrls": [f"http://127.0.0.1/{queue}" for queue in DEAD_QUEUES]}, {}
        if operation == "GetQueueAttributes":
            letters = self.dead_letters.get((region, name), 0)
            arn = f"arn:aws:sqs:{region}:000000000000:{name}"
            attributes = {"QueueArn": arn, "ApproximateNumberOfMessages": str(letters)}
            return 200, {"Attributes": attributes}, {}
        successful = [{"Id": entry["Id"]} for entry in request.get("Entries", [])]
        queue_url = f"http://127.0.0.1/{name}"
        return 200, {"QueueUrl": queue_url, "Successful": successful, "Failed": []}, {}

    def _receive(self, region: str, queue: str) -> list[dict[str, str]]:
        with self._news:
            mail = self._mail[region, queue]
            self._news.wait_for(lambda: mail, timeout=LONG_POLL_S)
            taken, mail[:] = mail[:10], mail[10:]
        return [
            {"MessageId": str(n), "ReceiptHandle": str(n), "Body": text}
            for n, text in enumerate(taken)
        ]

    def _wan(self, method: str, body: bytes) -> Any:
        if method == "POST":
            request = json.loads(body)
            self.wan_requests.append(request)
            if request["action"] == "cut":
                self.cut.add((request["a"], request["b"]))
            if request["action"] == "heal":
                both = (request.get("a"), request.get("b"))
                self.cut -= {both} if "a" in request else set(self.cut)
            if request["action"] == "kill":
                if request["region"] in self.killed:
                    return 400, {"message": f"{request['region']} is killed already"}, {}
                self.killed.add(request["region"])
            if request["action"] == "start":
                self.killed.discard(request["region"])
        links = [
            {"a": a, "b": b, "rtt_ms": ms, "cut": (a, b) in self.cut}
            for (a, b), ms in RTT_MS.items()
        ]
        lag = {"origin": REGIONS[0], "region": REGIONS[1], "last_ms": 35, "pending": 0}
        faults = [{"region": region, "killed": region in self.killed} for region in REGIONS]
        told = {"regions": REGIONS, "links": links, "replication": [lag], "faults": faults}
        return 200, told, {}
