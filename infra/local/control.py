"""The WAN's controls: see the links and replication, cut, mend and delay links.

Served beside the AWS endpoint, for people and tests; nothing of the deployment
itself may know of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.local.network import Network
from infra.local.replicas import ReplicatedTable

PATH = "/_antiphon/wan"


class Order(BaseModel):
    """What to do with a link, or with every link of a region when `b` is left out."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["cut", "heal", "delay"]
    a: str | None = None
    b: str | None = None
    ms: float | None = Field(default=None, ge=0, le=60_000)


class Control:
    """Serves the controls."""

    def __init__(self, network: Network, tables: Sequence[ReplicatedTable]) -> None:
        self._network = network
        self._tables = tables

    async def show(self, _request: web.Request) -> web.Response:
        """Answer with the state of the network and of replication."""
        return web.json_response(self._state())

    async def order(self, request: web.Request) -> web.Response:
        """Carry out an order, and answer with the state after it."""
        try:
            order = Order.model_validate_json(await request.read())
            self._action(order)()
        except (ValidationError, ValueError) as error:
            return web.json_response({"message": str(error)}, status=HTTPStatus.BAD_REQUEST)
        self._network.changed()
        return web.json_response(self._state())

    def _action(self, order: Order) -> Callable[[], None]:
        links, a, b = self._network.links, order.a, order.b
        if order.action == "heal":
            return lambda: links.heal(a, b)
        if a is None:
            raise ValueError(f"{order.action} needs a region, or two, as a and b")
        if order.action == "cut":
            return lambda: links.cut(a, b)
        if order.ms is None:
            raise ValueError("delay needs ms, the round trip in milliseconds")
        milliseconds = order.ms
        return lambda: links.delay(a, b, rtt_ms=milliseconds)

    def _state(self) -> dict[str, Any]:
        lags = [
            {"origin": origin, "region": region, "last_ms": lag.last_ms, "pending": lag.pending}
            for table in self._tables
            for (origin, region), lag in table.lags().items()
        ]
        return {
            "regions": list(self._network.links.regions),
            "links": [
                {"a": link.a, "b": link.b, "rtt_ms": link.rtt_ms, "cut": link.cut}
                for link in self._network.links.table()
            ],
            "replication": lags,
        }
