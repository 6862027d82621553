"""What operators do, by the command line itself, in an installation that asks their policy.

Everything that the command line calls on AWS is put to the policy of the global stack first: it
goes by the deployment's connection, whose clients and HTTP are those of the installation.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from boto3.session import Session

from antiphon.cli import app
from antiphon.connection import work_on
from antiphon.deployed import DeployedConnection
from infra.deploy.system import System
from tests.permissions import Check
from tests.privileges.installation import REGIONS, Clients, Installation
from tests.privileges.scenes import activation, imsi_of
from tests.simulation.deployment import NAMES, SECRET

US, EU, AP = REGIONS
# Everybody knows everything at once, or an operator would wait for it.
VARIABLES = {
    "ANTIPHON_FUNCTION": "responder",
    "ANTIPHON_REGIONS": ",".join(REGIONS),
    "ANTIPHON_SECRET": SECRET,
    **NAMES,
    "ANTIPHON_CONTROL_FRESH_S": "1",
    "ANTIPHON_HOMES_FRESH_S": "1",
    "ANTIPHON_KEYS_FRESH_S": "1",
    "ANTIPHON_BUILDS_FRESH_S": "0.5",
    "ANTIPHON_BUILDS_HOLD_S": "1.1",
    "ANTIPHON_APPEND_S": "1",
    "ANTIPHON_CALL_TRIES": "1",
    "ANTIPHON_CONNECT_S": "0.01",
    "ANTIPHON_READ_S": "0.01",
}


# Where operators work now: what is sent there arrives while they wait.
_operated: list[Installation] = []


class Operators(DeployedConnection):
    """A deployment's connection to an installation in this process."""

    def __init__(self, here: Installation, check: Check) -> None:
        super().__init__(System(regions=REGIONS, mode=here.mode.lower()), Session())
        self._here = here
        self._check_of_acts = check
        self._clients = Clients(here, region="", check=check)

    def client(self, service: str, region: str) -> Any:
        named = "functions" if service == "lambda" else service
        return getattr(self._clients, named)(region)

    def url(self, region: str) -> str:
        self._may("cloudformation:DescribeStacks", "stack/antiphon-region/*")
        return f"https://{region}.example"

    def http(self, region: str, *, timeout_s: float = 1.0) -> httpx.Client:
        def answer(request: httpx.Request) -> httpx.Response:
            if request.method == "GET":
                return httpx.Response(200, json=self._here.get(region, "queries", request.url.path))
            self._may("execute-api:Invoke", "*/$default/POST/commands")
            told = self._here.post(region, json.loads(request.content), **dict(request.headers))
            self._here.deliver()
            return httpx.Response(200, json=told)

        transport = httpx.MockTransport(answer)
        return httpx.Client(base_url=self.url(region), transport=transport, timeout=timeout_s)

    def _may(self, action: str, resource: str) -> None:
        self._check_of_acts(action, resource, here=False)


class Acts:
    """An operator at the command line, for whom no time passes that is waited."""

    def __init__(self, here: Installation, check: Check) -> None:
        """Work on this installation, until another is made."""
        self.here = here
        self._commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
        here.variables = {**VARIABLES, "ANTIPHON_MODE": here.mode}
        work_on(lambda: Operators(here, check))
        _operated.append(here)

    def do(self, *words: str, ends: int = 0) -> None:
        """Give a command; fail unless it ends so."""
        told = self._commands[words[0]].main(list(words[1:]), standalone_mode=False)
        assert (told or 0) == ends, words


@contextmanager
def waiting_is_over_at_once() -> Iterator[None]:
    """Have what is waited for pass: clocks go on by it, messages arrive, and nobody sleeps."""
    waited = [0.0]
    monotonic, wall = time.monotonic, time.time

    def sleep(seconds: float) -> None:
        waited[0] += seconds
        for here in _operated:
            here.deliver()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", sleep)
        patch.setattr(time, "monotonic", lambda: monotonic() + waited[0])
        patch.setattr(time, "time", lambda: wall() + waited[0])
        try:
            yield
        finally:
            _operated.clear()
            work_on(None)


def regions_are_moved(acts: Acts) -> None:
    """Drain regions and bring them back, one that is lost, too; look how all are."""
    acts.do("status")
    acts.do("region", "show")
    acts.do("region", "drain", AP)
    acts.do("region", "undrain", AP)
    acts.here.post(AP, activation(41))
    acts.here.deliver(without=frozenset({"antiphon-acks"}))
    acts.do("region", "drain", AP, "--lost")
    acts.do("region", "undrain", AP)
    acts.do("acts")


def letters_are_dealt_with(acts: Acts) -> None:
    """List, show, replay and drop dead letters."""
    for text in ("{", "[", "("):
        acts.here.send(EU, "antiphon-commands-dead.fifo", text, Antiphon_Error="invalid: x")
    acts.here.deliver()
    first, second, _ = acts.here.letters(EU)
    acts.do("dlq", "list", "--ended")
    acts.do("dlq", "show", first, "--reveal")
    acts.do("dlq", "replay", first)
    acts.do("dlq", "drop", second, "--reason", "no use", "--yes")
    acts.do("dlq", "list", "--dropped")
    acts.do("dlq", "replay", "--all")
    acts.here.messages.clear()


def read_models_are_rebuilt(acts: Acts) -> None:
    """Rebuild a read model, give up another, and remove what is out of use."""
    acts.do("rebuild", "subscriber-view", "--region", US, "--units-per-second", "9000", "--yes")
    acts.do("rebuild", "activity", "--region", EU)
    acts.do("rebuild", "activity", "--region", EU, "--status")
    acts.do("rebuild", "activity", "--region", EU, "--abort")


def the_system_is_verified(acts: Acts) -> None:
    """Verify it, mend what lacks, and follow a command."""
    here = acts.here
    told = here.post(US, activation(42))
    here.deliver()
    acts.do("verify")
    acts.do("trace", told["commit"])
    acts.do("trace", "a42", "--search")
    for table, keys in (("antiphon-views", "ks"), ("antiphon-responses", "c")):
        for item in here.tables[US].items(table):
            if told["aggregate_id"] in str(item):
                here.tables[US].delete_item(TableName=table, Key={n: item[n] for n in keys})
    acts.do("verify", "--settle", "0", "--repair", "--yes", ends=1)
    here.deliver()


def homes_are_moved(acts: Acts) -> None:
    """In EVENTUAL mode move homes, take them by force, and give them back."""
    acts.do("homes", "show")
    acts.do("homes", "spread")
    acts.do("homes", "move", AP, "--to", US)
    acts.do("homes", "stay")
    acts.do("region", "drain", EU)
    acts.do("region", "undrain", EU)
    acts.do("region", "evict", US)
    acts.do("region", "undrain", US)


def a_subscriber_is_forgotten(acts: Acts) -> None:
    """Forget a subscriber of whom there are views, answers, snapshots and letters."""
    here = acts.here
    here.send(EU, "antiphon-commands-dead.fifo", json.dumps(activation()), Antiphon_Error="x: y")
    here.deliver()
    acts.here.send(EU, "antiphon-answers", json.dumps(here.published[0]))
    acts.here.send(EU, "antiphon-answers", "{}")
    acts.do("forget", imsi_of(0), "--yes")


def the_log_is_put_elsewhere(acts: Acts, file: Path, check: Check) -> None:
    """Back the log up, and restore it into a new installation."""
    acts.do("backup", str(file))
    new = Acts(Installation(acts.here.mode), check)
    new.here.variables["ANTIPHON_GENERATION"] = "2"
    new.do("restore", str(file))
