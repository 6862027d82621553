"""Regions that a producer's client reaches by HTTP requests carried in this process."""

import json
from collections.abc import Callable

import httpx
import pytest

from antiphon.client import Producer
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.network import REGIONS, Network

Fault = Callable[[httpx.Request], httpx.Response | None]


class Carrier(httpx.BaseTransport):
    """Carries requests to the regions' handlers; each planned fault meets one request.

    A fault gives the response, raises what httpx would, or gives None and lets the request by.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.faults: list[Fault] = []
        self.asked: list[str] = []
        self.bodies: list[bytes] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        region = request.url.host
        self.asked.append(region)
        fault = self.faults.pop(0) if self.faults else None
        response = fault(request) if fault else None
        return response or self.deliver(request)

    def deliver(self, request: httpx.Request) -> httpx.Response:
        region = self.network[request.url.host]
        if request.method == "POST":
            self.bodies.append(request.content)
            status, told = region.post(request.content.decode(), dict(request.headers))
        else:
            status, told = region.get(request.url.path)
        return httpx.Response(status, content=json.dumps(told))


@pytest.fixture
def network() -> Network:
    return Network(InProcessRegions())


@pytest.fixture
def carrier(network: Network) -> Carrier:
    return Carrier(network)


@pytest.fixture
def producer(carrier: Carrier) -> Producer:
    regions = [f"http://{region}" for region in REGIONS]
    return Producer(regions, name="crm-emea", patience_s=5, transport=carrier)
