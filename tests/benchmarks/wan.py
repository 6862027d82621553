"""What a DynamoDB call costs more for going through the WAN: `python -m tests.benchmarks.wan`.

Starts the engines and the WAN without any round trips, and makes the same calls through the WAN
and at the engine directly, by turns in one run, so that both meet the same machine. Look at the
ratios and at what the median gains: absolute numbers say more about the machine.
"""

import argparse
import http.client
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from infra.local.children import Child
from infra.local.configuration import LocalConfig
from infra.local.engine_calls import authorization
from infra.local.engines import wait_until_ready
from infra.local.launch import Launch, Ports
from infra.local.lifeline import Lifeline
from infra.local.ports import address_of

REGION, *OTHERS = LocalConfig().regions
WARM_UP = 100
THREADS = 4
ROUND_S = 0.5
ITEM = {"k": {"S": "a"}, "v": {"S": "x" * 400}}
KINDS = ("regional", "eventual", "strong")
CALLS = {
    "PutItem": {"Item": ITEM},
    "GetItem": {"Key": {"k": ITEM["k"]}},
    "GetItem, consistent": {"Key": {"k": ITEM["k"]}, "ConsistentRead": True},
}


class Caller:
    """One connection, kept; nothing but the call itself is measured."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)

    def call(self, operation: str, request: dict) -> dict:
        self._connection.request(
            "POST",
            "/",
            body=orjson.dumps(request),
            headers={
                "X-Amz-Target": f"DynamoDB_20120810.{operation}",
                "Content-Type": "application/x-amz-json-1.0",
                "Authorization": authorization(region=REGION, service="dynamodb"),
            },
        )
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != http.client.OK:
            raise SystemExit(f"{operation}: {answer.status} {body.decode()}")
        return orjson.loads(body)

    def close(self) -> None:
        self._connection.close()


@dataclass
class Measured:
    """What calls of one kind took, in ms, and how many were made in a second."""

    took_ms: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    @property
    def median_ms(self) -> float:
        return statistics.median(self.took_ms)

    @property
    def p99_ms(self) -> float:
        return statistics.quantiles(self.took_ms, n=100)[98]

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


@contextmanager
def engines_and_wan() -> Iterator[tuple[str, str]]:
    """Run them. Gives: the addresses of a region's engine and of the WAN for that region."""
    children: list[Child] = []
    lifeline = Lifeline()
    with tempfile.TemporaryDirectory() as directory:
        # As many ports in a row as the regions need, from wherever this machine has them free.
        config = LocalConfig(wan="none", base_port=23_100, aws_port=23_166)
        try:
            with Ports(config) as ports:
                wan_url = address_of(ports.aws)
                started = Launch(
                    config=config,
                    ports=ports,
                    lifeline=lifeline,
                    run_directory=Path(directory),
                    log_directory=Path(directory),
                    functions=(),
                    children=children,
                    supervisor=wan_url,
                ).start()
            for engine in (started.journal, *started.engines):
                wait_until_ready(engine.child, f"{engine.url}/_ministack/health")
            wait_until_ready(*started.wan)
            yield started.engines[0].url, wan_url
        finally:
            lifeline.cut()
            for child in children:
                child.wait_or_kill()


def make_tables(wan: Caller) -> None:
    """One table of each kind, called by its kind."""
    for kind in KINDS:
        wan.call(
            "CreateTable",
            {
                "TableName": kind,
                "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
            },
        )
        if kind != "regional":
            updates = [{"Create": {"RegionName": region}} for region in OTHERS]
            request = {"TableName": kind, "ReplicaUpdates": updates}
            wan.call("UpdateTable", {**request, "MultiRegionConsistency": kind.upper()})


def by_turns(direct: Caller, wan: Caller, *, call: str, kind: str, count: int) -> list[Measured]:
    """Make the same call here and there, one after the other."""
    operation, request = call.partition(",")[0], {"TableName": kind, **CALLS[call]}
    measured = [Measured(), Measured()]
    for number in range(WARM_UP + count):
        for caller, into in zip((direct, wan), measured, strict=True):
            started = time.perf_counter()
            caller.call(operation, request)
            if number >= WARM_UP:
                into.took_ms.append(1000 * (time.perf_counter() - started))
    return measured


def in_parallel(url: str, *, call: str, kind: str) -> float:
    """How many calls a second some threads get through together, each on its own connection."""
    operation, request = call.partition(",")[0], {"TableName": kind, **CALLS[call]}
    end = time.perf_counter() + ROUND_S
    made = [0] * THREADS

    def work(number: int) -> None:
        with closing(Caller(url)) as caller:
            while time.perf_counter() < end:
                caller.call(operation, request)
                made[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(made) / ROUND_S


def main() -> None:
    """Measure, and print one line for each kind of table and call."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="calls of each kind, each way")
    parser.add_argument("--rounds", type=int, default=4, help="rounds of parallel calls, each way")
    options = parser.parse_args()
    with engines_and_wan() as (engine_url, wan_url):
        direct, wan = Caller(engine_url), Caller(wan_url)
        with closing(direct), closing(wan):
            make_tables(wan)
            say(f"{'table':9} {'call':20} {'':8} {'median ms':>9} {'p99 ms':>8} {'calls/s':>8}")
            for kind in KINDS:
                for call in CALLS:
                    both = by_turns(direct, wan, call=call, kind=kind, count=options.count)
                    for _ in range(options.rounds):
                        for url, into in zip((engine_url, wan_url), both, strict=True):
                            into.rates.append(in_parallel(url, call=call, kind=kind))
                    show(kind, call, *both)


def show(kind: str, call: str, direct: Measured, wan: Measured) -> None:
    """Print both ways, and what the WAN adds."""
    for name, one in (("direct", direct), ("WAN", wan)):
        say(f"{kind:9} {call:20} {name:8} {one.median_ms:9.2f} {one.p99_ms:8.2f} {one.rate:8.0f}")
    say(
        f"{'':30} {'added':8} {wan.median_ms - direct.median_ms:9.2f} ms; "
        f"{wan.median_ms / direct.median_ms:.2f} times the median, "
        f"{wan.rate / direct.rate:.2f} times the calls/s"
    )


def say(line: str) -> None:
    """Print a line, now."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
