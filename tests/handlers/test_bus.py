"""The bus: what it refused was not published, whatever the request's own status says."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError

from handlers.bus import Bus
from projections.responder import Answer


class ScriptedEvents:
    """EventBridge's client as far as the bus uses it, with a script for entries and requests."""

    def __init__(
        self,
        *,
        refused: frozenset[str] = frozenset(),
        code: str = "ThrottlingException",
        times: int = 1000,
        error: Exception | None = None,
    ) -> None:
        self.requests: list[list[dict[str, Any]]] = []
        self.pauses: list[float] = []
        self._refused = refused
        self._code = code
        self._times = times
        self._error = error

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803 - AWS's
        self.requests.append(Entries)
        if self._error is not None:
            raise self._error
        refusing = len(self.requests) <= self._times
        told = [
            {"ErrorCode": self._code}
            if refusing and e["Detail"] in self._refused
            else {"EventId": "1"}
            for e in Entries
        ]
        return {"FailedEntryCount": len(self._refused), "Entries": told}


def answers(count: int, body: str = "{}") -> list[Answer]:
    return [Answer(f"sub.{n}.1", "CommandAnswered", f"{n}{body}") for n in range(count)]


def publish(client: ScriptedEvents, *given: Answer) -> frozenset[str]:
    bus = Bus(client, name="antiphon", pause=client.pauses.append)  # type: ignore[arg-type]
    return bus(given)


def test_an_entry_that_was_refused_is_not_counted_as_published():
    client = ScriptedEvents(refused=frozenset({"1{}"}))

    assert publish(client, *answers(3)) == {"sub.0.1", "sub.2.1"}


def test_entries_refused_in_passing_are_put_again_alone():
    client = ScriptedEvents(refused=frozenset({"1{}"}), times=2)

    assert publish(client, *answers(3)) == {"sub.0.1", "sub.1.1", "sub.2.1"}
    assert [[e["Detail"] for e in request] for request in client.requests] == [
        ["0{}", "1{}", "2{}"],
        ["1{}"],
        ["1{}"],
    ]
    assert client.pauses == sorted(client.pauses)
    assert len(client.pauses) == 2


@pytest.mark.parametrize(("code", "requests"), [("ThrottlingException", 4), ("MalformedDetail", 1)])
def test_putting_again_is_bounded_and_only_for_what_may_pass(code: str, requests: int):
    client = ScriptedEvents(refused=frozenset({"0{}"}), code=code)

    assert publish(client, *answers(1)) == frozenset()
    assert len(client.requests) == requests


def test_what_is_published_is_the_body_as_stored_under_its_detail_type():
    client = ScriptedEvents()
    publish(client, Answer("sub.a.1", "CommandRejected", '{"as": "stored"}'))

    assert client.requests == [
        [
            {
                "EventBusName": "antiphon",
                "Source": "antiphon",
                "DetailType": "CommandRejected",
                "Detail": '{"as": "stored"}',
            }
        ]
    ]


def test_a_request_holds_ten_entries_at_most():
    client = ScriptedEvents()

    assert len(publish(client, *answers(25))) == 25
    assert [len(request) for request in client.requests] == [10, 10, 5]


@pytest.mark.parametrize("character", ["x", "ä"])
def test_a_request_stays_under_a_megabyte_of_bytes(character: str):
    client = ScriptedEvents()
    publish(client, *answers(6, character * 200_000))

    sizes = [sum(len(e["Detail"].encode()) for e in request) for request in client.requests]
    assert max(sizes) < 1_000_000
    assert sum(len(request) for request in client.requests) == 6


@pytest.mark.parametrize(
    "error",
    [
        ConnectTimeoutError(endpoint_url="http://bus"),
        ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, "PutEvents"),
    ],
)
def test_a_bus_out_of_reach_has_published_nothing(error: Exception):
    client = ScriptedEvents(error=error)

    assert publish(client, *answers(2)) == frozenset()
    assert len(client.requests) == 1, "the client itself tries again"
