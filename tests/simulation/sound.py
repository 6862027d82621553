"""A sound run, played step by step with the real handlers, and recorded as a history.

It is what the checker must find nothing in, though it contains something for each invariant;
what it must find is made by altering this. Nothing happens here that the test does not order.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from antiphon.opening import opened
from eventstore.sealing import Sealing
from eventstore.subject_keys import SubjectKeys
from tests.dynamodb.in_process import Change
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.forgetter import forgetting
from tests.handlers.network import REGIONS, Network
from tests.simulation.history import (
    Appended,
    Applied,
    BodyStored,
    Final,
    Forgotten,
    History,
    Invoked,
    KeptMessage,
    Published,
    Recorder,
    Returned,
    Terms,
)
from tests.simulation.history_json import plain_text

US, EU, AP = REGIONS
FORGOTTEN_IMSI = "262011234567888"
IMSI = "262011234567890"
ELEMENT = "gnb-ber-0001"
SECRET = "a secret of the tests"


class SoundRun:
    """Three regions whose every step the test orders, with a recorder beside them."""

    def __init__(self) -> None:
        self._engine = InProcessRegions()
        self.network = Network(self._engine)
        # Who watches goes by a key for ever, and so knows what was told before it was destroyed.
        deps = self.network[US].deps
        keys = SubjectKeys(
            self._engine.client("dynamodb", US),
            deps.subject_keys._kms,
            table=deps.settings.keys_table,
            kms_key=deps.settings.kms_key,
            elapsed_s=lambda: 0.0,
            fresh_s=float("inf"),
            random_bytes=bytes,
        )
        self._cipher = Sealing(keys, tags=frozenset({"sub"}))
        self.ms = 0.0
        self.recorder = Recorder(lambda: self.ms)
        self._taken = dict.fromkeys(REGIONS, 0)
        self._sent = 0
        self._kept: list[KeptMessage] = []
        for region in REGIONS:
            self._tap_bus(region)

    def _tap_bus(self, region: str) -> None:
        bus = self.network[region].bus
        publish = bus._publish

        def recorded(answers: Any) -> Any:
            self.take_changes()
            for answer in answers:
                self.recorder.take(
                    Published, region=region, detail_type=answer.detail_type, body=answer.body
                )
            return publish(answers)

        bus._publish = recorded  # type: ignore[method-assign]

    def take_changes(self) -> None:
        """Record what changed in the tables since it was last asked."""
        for region in REGIONS:
            changes = self._engine.client("dynamodb", region).changes
            for change in changes[self._taken[region] :]:
                self._take(region, change)
            self._taken[region] = len(changes)

    def _in_clear(self, item: dict[str, Any]) -> dict[str, Any]:
        [clear] = opened([item], self._cipher)
        return clear

    def _take(self, region: str, change: Change) -> None:
        table, new, old = change.table.split("-")[0], change.new, change.old
        if table == "events":
            item = self._in_clear(new or old or {})
            self.recorder.take(Appended, region=region, item=item, change=change.kind)
        elif table == "views" and (new or old or {})["s"]["S"] == "head":
            before, after = (int(i["n"]["N"]) if i else 0 for i in (old, new))
            key = (new or old or {})["k"]["S"]
            self.recorder.take(Applied, region=region, key=key, before=before, after=after)
        elif (
            table == "responses"
            and new
            and "body" in new
            and new.get("body") != (old or {}).get("body")
        ):
            commit, body = new["c"]["S"], self._in_clear(new)["body"]["S"]
            self.recorder.take(BodyStored, region=region, commit=commit, body=body)

    def _invoke(self, kind: str, region: str, **fields: Any) -> str:
        self.ms += 10
        self._sent += 1
        op = f"op-{self._sent}"
        self.recorder.take(Invoked, op=op, kind=kind, region=region, **fields)
        return op

    def _return(self, op: str, status: int, body: Any) -> None:
        self.take_changes()
        self.ms += 10
        self.recorder.take(Returned, op=op, status=status, body=json.dumps(body))

    def post(self, region: str, body: Any, *, valid: bool = True, **headers: str) -> dict[str, Any]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        text = body if isinstance(body, str) else json.dumps(body)
        op = self._invoke("command", region, path="/commands", body=text, headers=sent, valid=valid)
        status, told = self.network[region].post(text, sent)
        self._return(op, status, told)
        return told

    def get(self, region: str, path: str, token: str | None = None, **query: str) -> dict[str, Any]:
        headers = {"Consistency-Token": token} if token else {}
        op = self._invoke("read", region, path=path, query=query, headers=headers)
        status, told = self.network[region].get(path, headers, **query)
        self._return(op, status, told)
        return told

    def enqueue(self, region: str, body: Mapping[str, Any], *, valid: bool = True) -> None:
        text = json.dumps(body)
        op = self._invoke("queue", region, body=text, valid=valid)
        self._return(op, 200, {"MessageId": op})
        record = {
            "messageId": op,
            "body": text,
            "attributes": {"MessageGroupId": "g", "SentTimestamp": "1764000000000"},
        }
        assert self.network[region].take_from_queue(record) == []
        self.take_changes()
        for dead in self.network.take(region, "dead"):
            attributes = {"Antiphon-Error": "invalid", "Antiphon-Message-Id": op}
            self._kept.append(
                KeptMessage(
                    region=region,
                    place="antiphon-commands-dead.fifo",
                    body=dead,
                    attributes=attributes,
                )
            )

    def forget(self, imsi: str) -> None:
        """Forget a subscriber as an operator does, with the command sent like any other."""

        def order() -> str:
            body = command("ForgetSubscriber", 1) | {"data": {"imsi": imsi}, "producer": "operator"}
            return str(self.post(US, body)["commit"])

        way = replace(forgetting(self.network, imsi), order=order)
        for step in way.forget():
            self.take_changes()
            if step.waits:
                self.settle()
                self.network.elapsed_s += 1
        self.take_changes()
        self.recorder.take(Forgotten, path="subscribers", key=imsi)

    def settle(self) -> None:
        """Deliver everything until nothing is on its way, one region after the other."""
        for _ in range(10):
            busy = False
            for name in REGIONS:
                lane, acks = (self.network.take(name, queue) for queue in ("lane", "acks"))
                self.ms += 10
                for deliver, bodies in (("project", lane), ("acknowledge", acks)):
                    assert not bodies or getattr(self.network[name], deliver)(*bodies) == []
                    self.take_changes()
                busy = busy or bool(lane or acks)
            if not busy:
                return
        raise AssertionError("the regions do not come to rest")

    def history(self) -> History:
        """Return the records and the tables as they are now."""
        self.take_changes()
        return self.recorder.finish(
            Terms(secret=SECRET, regions=REGIONS),
            Final(
                log=tuple(self._items(US, "events")),
                views={region: tuple(self._items(region, "views")) for region in REGIONS},
                responses={region: tuple(self._items(region, "responses")) for region in REGIONS},
                letters={region: tuple(self._items(region, "letters")) for region in REGIONS},
                kept=tuple(self._kept),
                legible=self._legible(),
            ),
        )

    def _legible(self) -> dict[str, tuple[str, ...]]:
        """Return what can be read with the keys that are left."""
        cipher = self.network[US].deps.cipher
        return {
            f"{region} {kind}": tuple(map(plain_text, opened(self._raw(region, kind), cipher)))
            for region, kind in (
                (US, "events"),
                *product(REGIONS, ("views", "responses", "snapshots", "letters")),
            )
        }

    def _items(self, region: str, kind: str) -> list[dict[str, Any]]:
        return [self._in_clear(item) for item in self._raw(region, kind)]

    def _raw(self, region: str, kind: str) -> list[dict[str, Any]]:
        client = self._engine.client("dynamodb", region)
        table = getattr(self.network[region].deps.settings, f"{kind}_table")
        items: list[dict[str, Any]] = client.scan(TableName=table)["Items"]
        return items


def command(name: str, number: int, /, **data: Any) -> dict[str, Any]:
    """Return a command's body; `number` makes its id."""
    named = {"element_id": ELEMENT} if "Network" in name or "Conf" in name else {"imsi": IMSI}
    return {
        "type": name,
        "command_id": f"c-{number}",
        "producer": "crm",
        "occurred_at": "2026-11-23T10:00:00Z",
        "data": named | data,
    }


ACTIVATE = {
    "msisdn": "+4915112345678",
    "iccid": "8949020000012345670",
    "service_profile": "consumer-5g",
}
REGISTER = {"kind": "gnb", "site": "ber-mitte-3", "plmn": "262-01"}


def sound_history() -> History:
    """Return a run with something for every invariant to look at."""
    run = SoundRun()
    _commands(run)
    _forgetting(run)
    _reads(run)
    return run.history()


def _commands(run: SoundRun) -> None:
    activated = run.post(US, command("ActivateSubscriber", 1, **ACTIVATE))
    run.get(EU, f"/subscribers/{IMSI}", activated["consistency_token"], wait_ms="0")
    run.get(EU, f"/subscribers/{IMSI}")
    stale = {"wait_ms": "0", "on_timeout": "stale"}
    run.get(EU, f"/subscribers/{IMSI}", activated["consistency_token"], **stale)
    run.get(EU, f"/subscribers/{IMSI}", consistency="strong")
    run.get(EU, f"/commands/{activated['commit']}")
    run.post(EU, command("ActivateSubscriber", 1, **ACTIVATE))
    run.settle()
    run.get(AP, f"/subscribers/{IMSI}")
    run.get(US, f"/commands/{activated['commit']}")
    run.post(AP, command("ChangeServiceProfile", 2, service_profile="gold"), Prefer="wait=0")
    run.post(US, command("ResumeSubscriber", 3))
    changed = command("ChangeMsisdn", 4, msisdn="+49 151 12345679")
    run.post(EU, changed | {"expected_sequence": 2}, X_Correlation_Id="trace-me")
    run.post(EU, command("ResumeSubscriber", 5) | {"expected_sequence": 1})
    run.post(AP, command("SuspendSubscriber", 6, reason="fraud"), Idempotency_Key="k")
    run.post(US, command("SuspendSubscriber", 6, reason="fraud"), Idempotency_Key="k")
    run.post(US, command("SuspendSubscriber", 6, reason="unpaid"), Idempotency_Key="k")
    run.settle()
    run.post(AP, command("ChangeServiceProfile", 7, service_profile="silver"))
    run.post(AP, command("RegisterNetworkElement", 8, **REGISTER) | {"data": {}}, valid=False)
    run.post(AP, "{", valid=False)
    registered = command("RegisterNetworkElement", 9, **REGISTER)
    run.post(US, registered | {"depends_on": activated["consistency_token"]})
    run.enqueue(EU, command("ApplyConfiguration", 10, base_revision=0, parameters={"power": 40}))
    run.enqueue(EU, command("ApplyConfiguration", 11, base_revision=1, parameters={"power": 41}))
    run.enqueue(EU, command("ApplyConfiguration", 12, base_revision=-1), valid=False)
    run.post(US, command("ApplyConfiguration", 13, base_revision=1, parameters={"power": 1.0}))
    run.post(US, command("RollBackConfiguration", 14, revision=1))
    run.post(US, command("DecommissionNetworkElement", 15, reason="old"))
    run.settle()


def _reads(run: SoundRun) -> None:
    element = run.get(EU, f"/network-elements/{ELEMENT}")
    run.get(AP, f"/network-elements/{ELEMENT}", element["consistency_token"])
    run.get(AP, f"/network-elements/{ELEMENT}/timeline", limit="2")
    run.get(AP, f"/subscribers/{IMSI}/timeline")
    run.get(AP, f"/subscribers/{IMSI}/history")
    run.get(AP, f"/network-elements/{ELEMENT}/history", at_sequence="2", limit="1")
    run.get(AP, "/subscribers", msisdn="+4915112345679")
    run.get(AP, "/network-elements", site="ber-mitte-3")
    run.get(AP, "/subscribers/262011234567891")
    run.get(US, f"/subscribers/{IMSI}", consistency="strong")


def _forgetting(run: SoundRun) -> None:
    """Forget a subscriber of whom there is something of every kind."""
    named = {"imsi": FORGOTTEN_IMSI}
    run.post(US, command("ActivateSubscriber", 20, **{**ACTIVATE, **named}))
    run.post(EU, command("SuspendSubscriber", 21, reason="fraud", **named))
    run.settle()
    run.get(AP, f"/subscribers/{FORGOTTEN_IMSI}")
    run.forget(FORGOTTEN_IMSI)
    run.post(AP, command("ResumeSubscriber", 22, **named))
    run.settle()
    for path in ("", "/timeline", "/history"):
        run.get(EU, f"/subscribers/{FORGOTTEN_IMSI}{path}")
