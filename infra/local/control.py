"""The WAN's controls: see the links, the faults and replication, and order any of the actions.

Served beside the AWS endpoint, for people, scenarios and tests; nothing of the deployment
itself may know of it. An order is carried out as a whole before it is answered.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from pydantic import ValidationError

from infra.local.actions import (
    NAMES,
    Action,
    Calm,
    Cut,
    Delay,
    Heal,
    Kill,
    Lose,
    Repeat,
    Skew,
    Slow,
    Start,
    Throttle,
    Undelay,
    read_action,
    reasons,
)
from infra.local.global_tables import GlobalTables
from infra.local.network import Network
from infra.local.region_control import RegionControl, RegionFailed

PATH = "/_antiphon/wan"


class Control:
    """Serves the controls."""

    def __init__(self, network: Network, tables: GlobalTables, *, regions: RegionControl) -> None:
        self._network = network
        self._tables = tables
        self._regions = regions

    async def show(self, _request: web.Request) -> web.Response:
        """Answer with the state of the network, of the regions and of replication."""
        return web.json_response(self._state())

    async def order(self, request: web.Request) -> web.Response:
        """Carry out an order, and answer with the state after it."""
        try:
            action = read_action(_order_in(await request.read()))
            await self._carry_out(action)
        except ValidationError as error:
            return _refused(HTTPStatus.BAD_REQUEST, "; ".join(reasons(error)))
        except ValueError as error:
            return _refused(HTTPStatus.BAD_REQUEST, str(error))
        except RegionFailed as error:
            return _refused(HTTPStatus.BAD_GATEWAY, str(error))
        self._network.changed()
        return web.json_response(self._state())

    async def _carry_out(self, action: Action) -> None:
        """Raises: ValueError for what cannot be done; RegionFailed for what went wrong."""
        match action:
            case Kill(region=region):
                await self._regions.kill(region)
            case Start(region=region):
                await self._regions.start(region)
            case Skew(region=region, ms=ms):
                self._network.faults.skew(action)
                await self._regions.skew(region, ms=ms)
            case Calm():
                await self._calm()
            case Lose():
                self._network.faults.lose(action)
            case Repeat():
                self._network.faults.repeat(action)
            case Throttle():
                self._network.faults.throttle(action)
            case Slow():
                self._network.faults.slow(action)
            case _:
                self._change_links(action)

    def _change_links(self, action: Cut | Heal | Delay | Undelay) -> None:
        links = self._network.links
        match action:
            case Cut(a=a, b=b):
                links.cut(a, b)
            case Heal(a=a, b=b):
                links.heal(a, b)
            case Delay(a=a, b=b, ms=ms, jitter_ms=jitter_ms):
                links.delay(a, b, rtt_ms=ms, jitter_ms=jitter_ms)
            case Undelay(a=a, b=b):
                links.undelay(a, b)

    async def _calm(self) -> None:
        """End every fault. What was set wrong is set right before anything starts again."""
        skewed = [r for r in self._network.faults.regions if self._network.faults.skew_ms(r)]
        self._network.faults.calm()
        self._network.links.heal()
        self._network.changed()
        # First, since what is not set right now would be known to nobody if a start failed.
        for region in skewed:
            await self._regions.skew(region, ms=0)
        await self._regions.start_all()

    def _state(self) -> dict[str, Any]:
        faults = self._network.faults
        # Not a witness, in which nothing runs; its links are links as any other.
        regions = faults.regions
        return {
            "regions": list(regions),
            "links": [
                {
                    "a": link.a,
                    "b": link.b,
                    "rtt_ms": link.rtt_ms,
                    "jitter_ms": link.jitter_ms,
                    "cut": link.cut,
                    **faults.of_link(link.a, link.b),
                }
                for link in self._network.links.table()
            ],
            "faults": [faults.of_region(region) for region in regions],
            "in_flight": [
                {"a": a, "b": b, "calls": calls}
                for (a, b), calls in sorted(self._network.under_way.items())
                if calls
            ],
            "replication": [
                {"origin": origin, "region": region, "last_ms": last_ms, "pending": pending}
                for (origin, region), (last_ms, pending) in self._lags().items()
            ],
        }

    def _lags(self) -> dict[tuple[str, str], tuple[float | None, int]]:
        """By (origin, region): the longest last lag of the global tables, and what waits in all."""
        lags: dict[tuple[str, str], tuple[float | None, int]] = {}
        for table in self._tables.tables:
            for pair, lag in table.lags().items():
                last_ms, pending = lags.get(pair, (None, 0))
                known = [ms for ms in (last_ms, lag.last_ms) if ms is not None]
                lags[pair] = (max(known, default=None), pending + lag.pending)
        return lags


def _order_in(body: bytes) -> dict[str, Any]:
    """The order of a body, without what it leaves open. Raises: ValueError, saying why."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the order is not JSON: {error}") from None
    action = content.get("action") if isinstance(content, dict) else None
    if action not in NAMES:
        raise ValueError(f"there is no action {action!r}; there are: {', '.join(NAMES)}")
    return {name: value for name, value in content.items() if value is not None}


def _refused(status: HTTPStatus, why: str) -> web.Response:
    return web.json_response({"message": why}, status=status)
