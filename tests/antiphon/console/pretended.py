"""A console beside a network that only pretends: for looking at the page, and for load.

Everything that the console asks is answered as the WAN and the regions answer it; what happens
is told by the WAN's own `Watch`, so what a browser gets is what it would get.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from multidict import CIMultiDict

from antiphon.console.deployed import DeployedSettings
from antiphon.console.server import application
from antiphon.console.settings import ConsoleSettings
from infra.local import watching
from infra.local.engine_calls import Answer
from infra.local.sightings import EVENTS_TABLE, Sighting
from infra.local.watching import Watch

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
HOST = "127.0.0.1"
SUBSCRIBER = {
    "imsi": "262011234567890",
    "msisdn": "+4915112345678",
    "iccid": "8949020000012345670",
    "applied_sequence": 1,
}
T = TypeVar("T")


class Pretended:
    """What happens, as a test has it."""

    def __init__(self, settings: ConsoleSettings) -> None:
        self.url = f"http://localhost:{settings.base_port}"
        self.settings = settings
        self.watch = Watch(REGIONS)
        self.cut: set[tuple[str, str]] = set()
        self.held: dict[str, list[str]] = {}
        self.letters = 0
        # What regions tell of commands, by commit; and of the homes, in EVENTUAL mode.
        self.commands: dict[str, dict[str, Any]] = {}
        self.homes: dict[str, dict[str, int]] | None = None
        self.is_garbled = False
        self.loop = asyncio.new_event_loop()

    def do(self, act: Callable[[], T]) -> T:
        """Do something where the servers run."""

        async def acting() -> T:
            return act()

        return self.run(acting())

    def commit(
        self,
        number: int,
        *,
        origin: str = US,
        topic: str = "ServiceProfileChanged",
        arrives: Sequence[str] = REGIONS,
    ) -> None:
        """Have a commit come into the log, and to these regions."""
        keys = {"a": {"S": f"s.{number:026d}"}, "q": {"N": "1"}}
        image = {
            **keys,
            "e": {"L": [{"M": {"t": {"S": topic}}}]},
            "m": {"M": {"t": {"S": "ChangeServiceProfile"}}},
        }
        self.watch.committed(EVENTS_TABLE, {"Keys": keys, "NewImage": image}, origin=origin)
        for region in arrives:
            self.watch.arrived(EVENTS_TABLE, {"Keys": keys}, region=region)

    def answer(self, number: int, *, origin: str = US) -> None:
        """Have the bus take the answer to a commit."""
        found = Sighting(kind="answered", commit=f"s.{number:026d}.1", region=origin)
        self.watch.done([found], _taken_by_the_bus())

    async def wan(self, _request: web.Request) -> web.Response:
        if self.is_garbled:
            return web.json_response([])
        links = [
            {"a": a, "b": b, "rtt_ms": ms, "jitter_ms": 0, "cut": (a, b) in self.cut}
            for a, b, ms in ((US, EU, 70.0), (US, AP, 182.0), (EU, AP, 118.0))
        ]
        faults = [{"region": region, "killed": False} for region in REGIONS]
        return web.json_response({"regions": REGIONS, "links": links, "faults": faults})

    async def tables(self, request: web.Request) -> web.Response:
        asked = await request.json()
        region = request.headers["Authorization"].split("/")[2]
        if asked.get("IndexName") == "pending":
            items = [
                {"c": {"S": commit}, "due": {"N": "1700000000000"}}
                for commit in self.held.get(region, [])
            ]
            return web.json_response({"Items": items, "Count": len(items)})
        if "Key" in asked:
            return web.json_response({"Item": {"c": asked["Key"]["c"], f"ack#{US}": {"N": "1"}}})
        return web.json_response({"Items": [], "Count": self.letters})

    async def region(self, request: web.Request) -> web.Response:
        if request.path == "/status":
            return web.json_response(self._status_of(request))
        if (answer := self.commands.get(request.path.rpartition("/")[2])) is not None:
            return web.json_response(answer)
        told: dict[str, Any] = {"state": "active", "path": request.raw_path}
        told |= SUBSCRIBER | {
            "token": request.headers.get("Consistency-Token"),
            "body": await request.text(),
        }
        return web.json_response(told, headers={"Retry-After": "1", "X-Inside": "kept back"})

    def _status_of(self, request: web.Request) -> dict[str, Any]:
        """Tell what a region's status function tells, where nothing is wrong."""
        port = request.url.port or 0
        return {
            "region": REGIONS[port - self.settings.base_port - 1],
            "states": dict.fromkeys(REGIONS, "active"),
            "homes": self.homes,
            "pending": 0,
            "oldest_due_ms": None,
            "held": [],
            "lags": [],
            "unreached": [],
            "letters": {"waiting": self.letters, "by_source": {}},
        }

    @contextmanager
    def of_a_deployment(self, *, file: Path | None) -> Iterator[str]:
        """Serve a console that knows these regions as a deployment's; yield its address."""
        endpoints = {region: f"http://{HOST}:{self._port_of(region)}" for region in REGIONS}
        settings = DeployedSettings(endpoints=endpoints, credentials=lambda *_: {}, file=file)
        port = self.settings.aws_port + 1
        runner = self.run(_serve(application(settings), port))
        try:
            yield f"http://localhost:{port}"
        finally:
            self.run(runner.cleanup())

    def _port_of(self, region: str) -> int:
        return self.settings.base_port + 1 + REGIONS.index(region)

    def open_console(self) -> None:
        """Serve the console."""
        runner = self.run(_serve(application(self.settings), self.settings.base_port))
        self._console = runner

    def close_console(self) -> None:
        """End the console, with every connection to it."""
        self.run(self._console.cleanup())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Have something done where the servers run."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    async def serve_network(self) -> list[web.AppRunner]:
        """Serve what the console asks."""
        aws = web.Application()
        aws.add_routes(
            [
                web.get(watching.PATH, self.watch.serve),
                web.get("/_antiphon/wan", self.wan),
                web.post("/", self.tables),
            ]
        )
        served = [await _serve(aws, self.settings.aws_port)]
        for number in range(len(REGIONS)):
            front = web.Application()
            front.router.add_route("*", "/{path:.*}", self.region)
            served.append(await _serve(front, self.settings.base_port + 1 + number))
        return served


def _taken_by_the_bus() -> Answer:
    return Answer(status=200, headers=CIMultiDict(), body=b'{"Entries":[{"EventId":"e"}]}')


async def _serve(application: web.Application, port: int) -> web.AppRunner:
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    return runner


async def _end_tasks() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


@contextmanager
def pretending(first_port: int) -> Iterator[Pretended]:
    """Serve the console on `first_port`, what it asks on four more, a deployment's on the next."""
    settings = ConsoleSettings(regions=REGIONS, base_port=first_port, aws_port=first_port + 4)
    pretended = Pretended(settings)
    thread = threading.Thread(target=pretended.loop.run_forever, daemon=True)
    thread.start()
    served = pretended.run(pretended.serve_network())
    ticking = asyncio.run_coroutine_threadsafe(pretended.watch.run(), pretended.loop)
    pretended.open_console()
    try:
        yield pretended
    finally:
        pretended.close_console()
        ticking.cancel()
        for runner in served:
            pretended.run(runner.cleanup())
        pretended.run(_end_tasks())
        pretended.loop.call_soon_threadsafe(pretended.loop.stop)
        thread.join()
        pretended.loop.close()
