"""What each mode costs, takes and stops under faults: `python -m tests.benchmarks.modes`.

Both modes run side by side, with all faults at the same moments, so that both meet the same
machine. Trust shares, counts and ratios: milliseconds say more about the machine, and a busy one
adds to each. Requests and write units are counted on an engine that charges as DynamoDB does.
"""

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import Any, Literal

import httpx

from antiphon.connection import Connection
from antiphon.homes import spread_homes
from antiphon.installation import dependencies_of
from antiphon.terminal import say
from infra.local.regions import LocalConfig, LocalRegions
from tests.benchmarks.modes_cost import costs

US, EU, AP = LocalConfig().regions
MODES: tuple[Literal["strong", "eventual"], ...] = ("strong", "eventual")
ROUNDS = 4
FAULT_S, EVERY_S = 10.0, 1.0
TRY_S, PROMPT_S, PATIENCE_S = 6.0, 5.0, 90.0
PAUSE_S = 0.5


@dataclass
class Sent:
    """One command that was sent while a fault lasted, again and again until it was decided."""

    region: str
    at_s: float
    decided_s: float | None = None
    answered_s: float | None = None
    commit: str | None = None


@dataclass
class System:
    """The running regions of one mode."""

    mode: Literal["strong", "eventual"]
    connection: Connection
    http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=30, trust_env=False))
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @cached_property
    def deps(self) -> Any:
        return dependencies_of(self.connection, US)

    def imsi(self, home: str | None = None) -> str:
        """Return a new subscriber, in EVENTUAL mode at home in a region if one is named."""
        while True:
            imsi = f"26201{next(self.numbers):010}"
            aggregate_id = self.deps.keys.aggregate_id("sub", imsi)
            if self.mode == "strong" or home in {None, self.deps.homes.home_of(aggregate_id)}:
                return imsi

    def post(self, region: str, kind: str, imsi: str, *, wait: bool = False, **data: Any) -> Any:
        body = {
            "type": kind,
            "command_id": f"{kind}-{imsi}-{data.get('service_profile')}",
            "producer": "bench",
            "data": {"imsi": imsi, **data},
        }
        headers = {"Prefer": "wait=20"} if wait else {}
        url = f"{self.connection.url(region)}/commands"
        return self.http.post(url, json=body, headers=headers, timeout=30 if wait else TRY_S)

    def activate(self, region: str, imsi: str) -> Any:
        return self.post(
            region,
            "ActivateSubscriber",
            imsi,
            msisdn="+4915112345678",
            iccid="8949020000012345670",
            service_profile="a",
        )

    def command(self, *words: str) -> None:
        """Run an operator's command to its end."""
        ports = ["--base-port", str(self.connection.base_port)]
        ports += ["--aws-port", str(self.connection.aws_port)]
        told = subprocess.run(  # noqa: S603 - this command line itself
            [sys.executable, "-m", "antiphon", *words, *ports],
            check=False,
            capture_output=True,
            text=True,
        )
        assert told.returncode == 0, told.stdout + told.stderr


# ------------------------------------------------------------------ in calm


def latencies(systems: Sequence[System]) -> list[tuple[str, dict[str, float]]]:
    """Return medians in ms, by what is measured, of each kind of command, by turns."""
    kinds = [("strong", None), ("eventual", US), ("eventual", EU)]
    by_mode = {system.mode: system for system in systems}
    replies: dict[Any, list[float]] = {kind: [] for kind in kinds}
    answers: dict[Any, list[float]] = {kind: [] for kind in kinds}
    for number in range(ROUNDS + 1):
        for kind in kinds:
            system = by_mode[kind[0]]  # type: ignore[index]
            imsi = system.imsi(kind[1])
            _decided(lambda s=system, i=imsi: s.activate(US, i))
            for into, wait in ((replies, False), (answers, True)):
                begun_s = time.monotonic()
                told = system.post(
                    US,
                    "ChangeServiceProfile",
                    imsi,
                    wait=wait,
                    service_profile="answered" if wait else "told",
                )
                assert told.status_code == (200 if wait else 202), told.text
                if number:  # the first of each finds cold functions
                    into[kind].append((time.monotonic() - begun_s) * 1000)
    names = ["STRONG, any region", "EVENTUAL, at home", "EVENTUAL, home at 70 ms"]
    return [
        (name, {"reply": statistics.median(replies[k]), "answer": statistics.median(answers[k])})
        for name, k in zip(names, kinds, strict=True)
    ]


def _decided(send: Callable[[], httpx.Response]) -> None:
    for _ in range(60):
        if send().status_code == httpx.codes.ACCEPTED:
            return
        time.sleep(PAUSE_S)
    raise AssertionError("never decided")


# --------------------------------------------------------------- under faults


@dataclass
class Load:
    """Producers in every region, one command a second each, until it is stopped."""

    system: System
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(90)
        self._tries: list[Future[None]] = []
        self._thread = threading.Thread(target=self._produce)
        self._given_up = threading.Event()
        self._thread.start()

    def _produce(self) -> None:
        while not self._stopped.wait(EVERY_S):
            for region in self.system.connection.regions:
                one = Sent(region, time.time())
                self.sent.append(one)
                self._tries.append(self._pool.submit(self._send, one, self.system.imsi()))

    def _send(self, one: Sent, imsi: str) -> None:
        while not self._given_up.is_set() and time.time() - one.at_s < PATIENCE_S:
            try:
                told = self.system.activate(one.region, imsi)
                if told.status_code == httpx.codes.ACCEPTED:
                    one.decided_s, one.commit = time.time() - one.at_s, told.json()["commit"]
                    return
            except httpx.TransportError:
                pass
            self._given_up.wait(PAUSE_S)

    def stop(self, *, without: str | None) -> None:
        """Wait for what was sent, and for its answers; `without`: the region that is not back."""
        self._stopped.set()
        self._thread.join()
        for one, attempt in zip(self.sent, self._tries, strict=True):
            if one.region != without:
                attempt.result()
        self._given_up.set()
        self._pool.shutdown()
        until_s = time.time() + PATIENCE_S
        for one in self.sent:
            while one.commit and one.region != without and one.answered_s is None:
                assert time.time() < until_s, f"{one} has no answer"
                url = f"{self.system.connection.url(one.region)}/commands/{one.commit}"
                answer = self.system.http.get(url).json().get("answer")
                if answer:
                    at = datetime.fromisoformat(answer["answered_at"]).timestamp()
                    one.answered_s = max(at - one.at_s, 0.0)
                else:
                    time.sleep(PAUSE_S)


def cut(system: System) -> None:
    system.connection.change_wan("cut", a=US, b=AP)
    time.sleep(FAULT_S)


def isolate(system: System) -> None:
    system.connection.change_wan("cut", a=AP)
    time.sleep(FAULT_S)


def lose(system: System) -> None:
    system.connection.change_wan("kill", region=AP)
    if system.mode == "strong":
        system.command("region", "drain", AP, "--lost")
    else:
        system.command("region", "evict", AP)


FAULTS: list[tuple[str, str | None, str | None, Callable[[System], None]]] = [
    ("calm", None, None, lambda _system: time.sleep(FAULT_S)),
    ("a link is cut, 10 s", None, None, cut),
    ("a region is out of reach, 10 s", AP, None, isolate),
    ("a region is lost, then left out or evicted", AP, AP, lose),
]


def availability(systems: Sequence[System]) -> list[tuple[str, str, list[Sent]]]:
    """Return what became of commands under each fault, in both modes at the same time."""
    rows = []
    for name, _, without, fault in FAULTS:
        say(f"  {name}", style="dim")
        loads = [Load(system) for system in systems]
        with ThreadPoolExecutor() as pool:
            list(pool.map(fault, systems))
            for system in systems:
                system.connection.change_wan("heal")
            list(pool.map(partial(Load.stop, without=without), loads))
        rows += [(name, load.system.mode.upper(), load.sent) for load in loads]
    return rows


def share(values: Sequence[float | None]) -> str:
    """Return how many of some waits were prompt."""
    prompt = sum(value is not None and value <= PROMPT_S for value in values)
    return f"{100 * prompt / len(values):.0f}%" if values else ""


def longest(values: Sequence[float | None]) -> str:
    """Return the longest wait of those that ended."""
    known = [value for value in values if value is not None]
    return f"{max(known):.1f} s" if known else "never"


def main() -> None:
    """Run it all and print the tables of docs/MODES.md."""
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        systems = []
        for number, mode in enumerate(MODES):
            base = 23_200 + 100 * number
            config = LocalConfig(
                mode=mode, base_port=base, aws_port=base + 60, directory=Path(directory)
            )
            stack.enter_context(LocalRegions(config, progress=lambda _step: None))
            connection = Connection.open(base_port=base, aws_port=config.aws_port)
            if mode == "eventual":
                spread_homes(connection)
            systems.append(System(mode, connection))
        say("in calm, then under each fault", style="dim")
        calm = latencies(systems)
        faults = availability(systems)
    first = calm[0][1]
    lines = ["| a command | reply | x | Event B | x |", "|---|---|---|---|---|"]
    lines += [
        f"| {name} | {ms['reply']:.0f} ms | {ms['reply'] / first['reply']:.2f} "
        f"| {ms['answer']:.0f} ms | {ms['answer'] / first['answer']:.2f} |"
        for name, ms in calm
    ]
    lines += ["", *costs(), ""]
    lines += [
        "| fault | mode | decided in 5 s | longest wait | there | answered in 5 s | longest wait |",
        "|---|---|---|---|---|---|---|",
    ]
    where = {name: at for name, at, _, _ in FAULTS}
    for name, mode, sent in faults:
        others = [one for one in sent if one.region != where[name]]
        inside = [one.decided_s for one in sent if one.region == where[name]]
        decided, answered = [o.decided_s for o in others], [o.answered_s for o in others]
        lines.append(
            f"| {name} | {mode} | {share(decided)} | {longest(decided)} | {share(inside)} "
            f"| {share(answered)} | {longest(answered)} |"
        )
    say("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
