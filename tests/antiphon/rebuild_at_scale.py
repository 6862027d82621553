"""Rebuild a large log beside a live feed, killed twice; run by `make rebuild-100k` too.

The command line's own driver over the production code, on the DynamoDB in this process. The
feed asks after every answer: has it come, and does whoever reads in the region get it?
"""

import json
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from antiphon.rebuild_lease import Lease, Pace
from antiphon.rebuilding import Driver
from eventstore.commits import RecordedEvent
from eventstore.folding import opened_events
from eventstore.scanning import LogPage, LogSegments
from projections.filling import fill
from projections.holding import Holds
from projections.subscriber_view import SUBSCRIBER_VIEW
from projections.views import opened_document
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.network import ACTIVATION, REGIONS, Network
from tests.projections.test_rebuild_memory import peak_bytes

US, EU, _ = REGIONS
NAME = SUBSCRIBER_VIEW.name
COMMITS_OF_AN_AGGREGATE = 10
FRESH_S, HOLD_S, LEASE_S = 1.0, 2.5, 1.0
SEGMENTS = 4
FED = 8
# What the memory of a whole pass is compared with.
LESS = 10_000


class Killed(BaseException):
    """The process is gone: nothing tidies up."""


class KillingScan(LogSegments):
    """A scan that kills its process after some pages."""

    def __init__(self, client: Any, *, table: str, commits: int, pages: int) -> None:
        super().__init__(client, table=table)
        self._commits = commits
        self._left = pages

    def page(self, **more: Any) -> LogPage:
        self._left -= 1
        if self._left < 0:
            raise Killed
        return super().page(**more)

    def estimated_commits(self) -> int:
        return self._commits


class Silent:
    """Shows nothing, and keeps what was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.passes: list[tuple[str, int]] = []

    def tell(self, text: str) -> None:
        self.told.append(text)

    def pass_over(self, title: str, *, done: int, total: int) -> None:
        self.passes.append((title, done))

    def advance(self, done: int) -> None:
        pass


@dataclass(frozen=True)
class Outcome:
    """What was seen. `passes` are those of every process, with what was done before it."""

    commits: int
    answers: int
    passes: list[tuple[str, int]]
    old: Mapping[str, Any]
    new: Mapping[str, Any]
    seconds: float


class System:
    """A network whose Europe has a long log behind it."""

    def __init__(self, commits: int) -> None:
        self.commits = commits
        # What is written here is right, and to look at each request takes most of the time.
        self.network = Network(InProcessRegions(trusting=True))
        self.deps = self.network[EU].deps
        self.answers = 0
        self.network[US].post(_command("ActivateSubscriber", "26201000000000", {}))
        self.network.settle()
        for name in REGIONS:
            for known in self.network[name].deps._builds.values():
                known._fresh_s = FRESH_S
        self._write_the_log()

    def _write_the_log(self) -> None:
        """Put commits as they were decided, and the live view of them."""
        [seen] = {item["a"]["S"] for item in self._table_of_log()["Items"]}
        first = next(iter(self.network.log.read(seen, consistent=True)))
        # In clear, as before there were keys: it is the log's length that counts.
        activated = opened_events(first, self.deps.cipher)
        profile = RecordedEvent(
            "Subscriber.ServiceProfileChanged", 1, b'{"service_profile":"business-5g"}'
        )
        for number in range(self.commits // COMMITS_OF_AN_AGGREGATE):
            aggregate_id = self.deps.keys.aggregate_id("sub", f"of old {number}")
            for at in range(1, COMMITS_OF_AN_AGGREGATE + 1):
                commit = replace(
                    first,
                    aggregate_id=aggregate_id,
                    position=at,
                    predecessor=at - 1,
                    token=at.to_bytes(16, "big"),
                    events=activated if at == 1 else (profile,),
                )
                assert self.network.log.put(commit) is None
        start = None
        scan = self._scan(pages=sys.maxsize)
        while True:
            page = scan.page(segment=0, segments=1, start=start, limit=500)
            assert not fill(self.deps.applier, SUBSCRIBER_VIEW, page.items)
            start = page.following
            if start is None:
                return

    def _table_of_log(self) -> Any:
        return self.network.log._client.scan(TableName=self.deps.settings.events_table)

    def _scan(self, *, pages: int) -> KillingScan:
        client, table = self.network.log._client, self.deps.settings.events_table
        return KillingScan(client, table=table, commits=self.commits, pages=pages)

    def process(self, *, number: int, pages: int, display: Silent) -> Driver:
        """Return what a new process has; it is killed after so many pages."""
        engine = replace(
            self.deps.rebuild,
            scan=self._scan(pages=pages),
            holds=Holds(elapsed_s=time.monotonic, hold_s=HOLD_S),
            page_commits=max(10, min(500, self.commits // 100)),
        )
        lease = Lease(rebuild=engine, name=NAME, who=f"process {number}", lasts_s=LEASE_S)
        lease.take(waiting=display.tell)
        return Driver(
            rebuild=engine,
            name=NAME,
            segments=SEGMENTS,
            lease=lease,
            pace=Pace(None),
            display=display,
            go_on="again",
        )

    def feed(self, until: threading.Event) -> None:
        """Send, answer and read, one command after the other."""
        imsis = [f"2620111111111{number:02d}" for number in range(FED)]
        for imsi in imsis:
            self._one("ActivateSubscriber", imsi, {})
        turn = 0
        while not until.is_set():
            turn += 1
            changed = {"service_profile": f"profile-{turn}"}
            self._one("ChangeServiceProfile", imsis[turn % FED], changed)

    def _one(self, kind: str, imsi: str, data: Mapping[str, str]) -> None:
        status, told = self.network[US].post(_command(kind, imsi, data))
        assert status == 202, told
        self._settle()
        answer = self.network[US].answers[-1]
        assert answer["command"]["commit"] == told["commit"]
        assert answer["as_of_sequence"] == told["sequence"]
        assert len(self.network[US].answers) == self.answers + 2, "one answer for each command"
        self.answers += 1
        status, read = self.network[EU].get(f"/subscribers/{imsi}")
        assert status == 200
        assert read["applied_sequence"] == told["sequence"], "read after its answer"
        shown = {name: read[name] for name in answer["state"]}
        assert shown == answer["state"]

    def _settle(self) -> None:
        """Deliver until nothing is on its way; what failed comes again."""
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            busy = False
            for name in REGIONS:
                for queue in ("lane", "acks"):
                    bodies = self.network.take(name, queue)
                    region = self.network[name]
                    deliver = region.project if queue == "lane" else region.acknowledge
                    failed = deliver(*bodies) if bodies else []
                    self.network.messages[name, queue] += [bodies[int(at)] for at in failed]
                    busy = busy or bool(bodies)
            if not busy:
                return
        raise AssertionError("nothing comes to rest")

    def views(self, label: str) -> dict[str, str]:
        """Return the documents of a build, by aggregate, with where each stands."""
        client, prefix = self.deps._clients.dynamodb(EU), f"{NAME}#{label}#"
        found: dict[str, str] = {}
        scan: dict[str, Any] = {"TableName": self.deps.settings.views_table}
        while True:
            page = client.scan(**scan)
            for item in page["Items"]:
                if item["k"]["S"].startswith(prefix):
                    told = [item["n"]["N"], opened_document(item, self.deps.cipher)]
                    found[item["k"]["S"].removeprefix(prefix)] = json.dumps(told)
            if "LastEvaluatedKey" not in page:
                return found
            scan["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _command(kind: str, imsi: str, data: Mapping[str, str]) -> dict[str, Any]:
    whole = ACTIVATION["data"] if kind == "ActivateSubscriber" else {}
    return {
        **ACTIVATION,
        "type": kind,
        "command_id": f"{kind}-{imsi}-{data.get('service_profile', '')}",
        "data": {**whole, "imsi": imsi.ljust(15, "0"), **data},
    }


def play(commits: int) -> Outcome:
    """Rebuild so many commits beside a feed, in three processes of which two are killed."""
    system, display = System(commits), Silent()
    over, failures = threading.Event(), []

    def fed() -> None:
        try:
            system.feed(over)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    feed = threading.Thread(target=fed)
    began_s = time.monotonic()
    feed.start()
    try:
        # In the first pass, and in the second, whose pages the first one had too.
        for number, pages in enumerate((40, 130, sys.maxsize)):
            driver = system.process(number=number, pages=pages, display=display)
            try:
                state = driver.build_and_switch()
            except Killed:
                continue
    finally:
        over.set()
        feed.join()
    if failures:
        raise failures[0]
    old, new = system.views(state.other or ""), system.views(state.live)
    took_s = time.monotonic() - began_s
    return Outcome(commits, system.answers, display.passes, old, new, took_s)


def main() -> None:
    """Play with as many commits as the command line says, and tell."""
    commits = int(sys.argv[1])
    outcome = play(commits)
    assert outcome.new == outcome.old
    sys.stdout.write(
        f"{outcome.commits} commits rebuilt in {outcome.seconds:.0f} s beside {outcome.answers} "
        f"commands, each answered and read; killed twice: {outcome.passes}\n"
    )
    peak_bytes(LESS)
    less, more = peak_bytes(LESS), peak_bytes(commits)
    sys.stdout.write(
        f"peak memory of a pass: {less / 1e6:.2f} MB for {LESS} commits, {more / 1e6:.2f} MB for "
        f"{commits}: {more / less:.2f} times as much\n"
    )


if __name__ == "__main__":
    main()
