"""Play a feed while faults happen, with every reply looked at and every region asked meanwhile.

What cannot be answered safely may be late or refused for now, in one form: a problem with
503 and Retry-After. A connection may end without a word. Anything else is wrong, and so is
any read from before what its reader knows.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from antiphon.connection import Connection
from antiphon.feed_plan import plan_feed
from antiphon.feeds.generate import generate
from antiphon.judgement import judge
from antiphon.ledger import Ledger
from antiphon.mailboxes import Mailbox
from antiphon.player import Delivery, Pace, Player
from antiphon.scenario import Scenario, read
from antiphon.scenario_player import playing
from antiphon.verification import Verdict
from antiphon.verify import settled_verdict
from antiphon.violations import Violation

COMMANDS = 48
DUPLICATES = 0.35
PACE = Pace(rate_per_s=8, at_once=16, patience_s=240, read_every=4)
PROBE_EVERY_S = 0.25
SETTLE_S = 90.0
UNAVAILABLE = 503
# What a reply may be besides 503: an answer, a decision, or that the command lost a race.
SAFE = frozenset({200, 202, 409})


@dataclass
class Replies:
    """Every reply of the regions, counted, and those that must not be."""

    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    async def look_at(self, reply: httpx.Response) -> None:
        body = await reply.aread()
        self.seen[str(reply.status_code)] += 1
        if reply.status_code in SAFE:
            return
        kind = reply.headers.get("Content-Type", "")
        refused = reply.status_code == UNAVAILABLE and kind.startswith("application/problem+json")
        if not (refused and reply.headers.get("Retry-After", "").isdecimal()):
            self.wrong.append(f"{reply.request.url}: {reply.status_code} {body[:300]!r}")


class WatchedConnection(Connection):
    """A connection whose HTTP replies are all looked at."""

    replies: Replies

    def async_http(self, *, connections: int) -> httpx.AsyncClient:
        client = super().async_http(connections=connections)
        client.event_hooks = {"response": [self.replies.look_at]}
        return client


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a play came to."""

    replies: Replies
    violations: Sequence[Violation]
    verdict: Verdict
    connections_ended: int


class Prober:
    """Reads aggregates in every region, in every consistency, while things go wrong."""

    def __init__(
        self, connection: WatchedConnection, ledger: Ledger, deliveries: Sequence[Delivery]
    ) -> None:
        self._connection = connection
        self._ledger = ledger
        self._paths = {delivery.key: delivery.path for delivery in deliveries}
        self.connections_ended = 0

    async def run(self) -> None:
        """Read until cancelled."""
        async with (
            self._connection.async_http(connections=30) as http,
            asyncio.TaskGroup() as reads,
        ):
            for number in itertools.count():
                known = self._known()
                if known:
                    path, sequence, token = known[number % len(known)]
                    for region in self._connection.regions:
                        url = self._connection.url(region) + path
                        at_least = {"headers": {"Consistency-Token": token}}
                        at_least["params"] = {"wait_ms": "500"}
                        strong = {"params": {"consistency": "strong"}}
                        reads.create_task(self._read(http, url, sequence, **at_least))
                        reads.create_task(self._read(http, url, sequence, **strong))
                await asyncio.sleep(PROBE_EVERY_S)

    def _known(self) -> list[tuple[str, int, str]]:
        """Where to read, what it must show at least, and a token that says so."""
        return [
            (self._paths[key], receipt.sequence, receipt.token)
            for key, played in self._ledger.commands.items()
            for receipt in [played.recorded]
            if receipt and receipt.sequence and receipt.token and receipt.outcome == "accepted"
        ]

    async def _read(self, http: httpx.AsyncClient, url: str, sequence: int, **request: Any) -> None:
        try:
            reply = await http.get(url, **request)
        except httpx.TransportError:
            self.connections_ended += 1
            return
        if reply.status_code == httpx.codes.OK and reply.json()["applied_sequence"] < sequence:
            told = f"{url} {request}: from before {sequence}: {reply.text[:300]}"
            self._connection.replies.wrong.append(told)


class System:
    """The running regions, as a producer and a reader meet them."""

    def __init__(self, *, base_port: int, aws_port: int) -> None:
        self._ports = {"base_port": base_port, "aws_port": aws_port}

    def play(self, steps: str, *, seed: int) -> Outcome:
        """Play a feed of its own under a scenario, heal, wait for it all, and judge it."""
        connection = WatchedConnection.open(**self._ports)
        connection.replies = Replies()
        scenario = read(steps, name="case", regions=connection.regions)
        ledger, ended = asyncio.run(_play(connection, scenario, seed=seed))
        assert connection.wan().is_calm()
        return Outcome(
            replies=connection.replies,
            violations=judge(ledger, regions=connection.regions),
            verdict=settled_verdict(connection, settle_s=SETTLE_S),
            connections_ended=ended,
        )


async def _play(
    connection: WatchedConnection, scenario: Scenario, *, seed: int
) -> tuple[Ledger, int]:
    lines = generate(COMMANDS, seed=seed, regions=connection.regions, duplicates=DUPLICATES)
    plan = plan_feed(lines, regions=connection.regions)
    deliveries = [delivery for subject in plan.subjects for step in subject for delivery in step]
    ledger = Ledger()
    prober = Prober(connection, ledger, deliveries)
    mailboxes = [Mailbox.of(connection, region) for region in connection.regions]
    with playing(connection, scenario) as faults:
        assert faults is not None
        probing = asyncio.create_task(prober.run())
        try:
            await Player(connection, ledger=ledger, pace=PACE).play(plan.subjects, mailboxes)
            await asyncio.to_thread(faults.finish)
        finally:
            probing.cancel()
            await asyncio.gather(probing, return_exceptions=True)
    return ledger, prober.connections_ended
