"""Whatever fails inside, a caller is told a code and what to do, and nothing of the inside."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from eventstore.errors import CorruptLog
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.network import ACTIVATION, REGIONS, Crashes, Network

US, EU, AP = REGIONS
INSIDE = "arn:aws:dynamodb:us-east-1:123456789012:table/inside"
IMSI = ACTIVATION["data"]["imsi"]


def denied() -> Exception:
    told = {"Code": "AccessDeniedException", "Message": f"not authorized on {INSIDE}"}
    return ClientError({"Error": told}, "GetItem")  # type: ignore[arg-type]


def throttled() -> Exception:
    told = {"Code": "ProvisionedThroughputExceededException", "Message": f"slow down {INSIDE}"}
    return ClientError({"Error": told}, "GetItem")  # type: ignore[arg-type]


def unreachable() -> Exception:
    return EndpointConnectionError(endpoint_url=INSIDE)


class Failing(Crashes):
    """Has the calls from one on fail."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Callable[[], Exception] | None = None
        self.first = 0

    def around(self, call: Callable[..., Any], *args: Any, **more: Any) -> Any:
        # Queues raise errors of their own, which are not what fails here.
        if call.__name__ != "_send":
            number, self.calls = self.calls, self.calls + 1
            if self.error is not None and number >= self.first:
                raise self.error()
        return call(*args, **more)


def failing_network() -> tuple[Network, Failing, str]:
    """Return regions with a subscriber, what can fail them, and the commit of the subscriber."""
    network = Network(InProcessRegions())
    crashes = Failing()
    network.crashes.around = crashes.around  # type: ignore[method-assign]
    elapsed = [0.0]

    def pause(seconds: float) -> None:
        elapsed[0] += seconds

    edge = network[US].deps.edge
    clock = replace(edge.clock, pause=pause, elapsed_s=lambda: elapsed[0])
    network[US].deps.edge = replace(edge, clock=clock)
    _, told = network[US].post(ACTIVATION)
    network.settle()
    return network, crashes, told["commit"]


@pytest.mark.parametrize("error", [denied, throttled, unreachable])
@pytest.mark.parametrize(
    "path",
    [
        "POST",
        f"/subscribers/{IMSI}",
        f"/subscribers/{IMSI}?consistency=strong",
        f"/subscribers/{IMSI}/timeline",
        f"/subscribers/{IMSI}/history",
        "/subscribers?status=active",
        "/commands/COMMIT",
        "/health",
    ],
)
def test_no_error_of_a_store_is_told(path: str, error: Callable[[], Exception]):
    """The first call of a request fails, or the second, and so on, until it needs no more."""
    network, failing, commit = failing_network()
    path, _, query = path.replace("COMMIT", commit).partition("?")
    told: list[int] = []
    for first in range(12):
        network.states_grow_old()
        failing.calls, failing.first, failing.error = 0, first, error
        command = ACTIVATION | {"command_id": f"c{first}"}
        try:
            status, body = (
                network[US].post(command)
                if path == "POST"
                else network[US].get(path, **dict([query.split("=")] if query else []))
            )
        except (ClientError, CorruptLog):
            # The function ends with an error, of which the gateway tells nothing: 500, and the
            # alarm on the functions' errors rings.
            assert error is denied
            continue
        finally:
            failing.error = None
        told.append(status)
        assert "inside" not in str(body).lower()
        assert "Error" not in str(body)
        assert "Exception" not in str(body)
        if status >= 500:
            assert (status, body.get("code") or body["status"]) in {
                (503, "unavailable"),
                (503, "not serving"),
            }
    assert told[-1] in {200, 202}, "it goes well without a failure"
