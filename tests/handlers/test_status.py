"""What `GET /status` tells: what waits in a region, for whom, and nothing of anybody."""

import json
import threading
from dataclasses import replace
from typing import Any

import pytest

from eventstore.errors import StoreUnavailable
from handlers.status import make_handler
from projections import owed
from projections.homes import SLOTS
from projections.letters import Filing
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.eventual import EventualNetwork
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS


def status_of(network: Network, region: str) -> dict[str, Any]:
    event = {
        "version": "2.0",
        "rawPath": "/status",
        "headers": {},
        "requestContext": {"http": {"method": "GET", "path": "/status"}, "stage": "$default"},
    }
    answer = make_handler(network[region].deps)(event, None)
    assert answer["statusCode"] == 200, answer
    told: dict[str, Any] = json.loads(answer["body"])
    return told


def behind(told: dict[str, Any]) -> dict[tuple[str, str], int]:
    return {(one["region"], one["projection"]): one["behind"] for one in told["lags"]}


def test_an_answer_that_is_owed_is_told_with_who_has_it_and_what_lags(network: Network):
    _, recorded = network[US].post(ACTIVATION)
    for region in (US, EU):
        network[region].project(*network.take(region, "lane"))
    network[US].acknowledge(*network.take(US, "acks"))

    told = status_of(network, US)

    assert told["pending"] == 1
    [held] = told["held"]
    assert held["commit"] == recorded["commit"]
    assert set(held["applied_at_ms"]) == {US, EU}
    assert held["due_ms"] == told["oldest_due_ms"]
    lags = behind(told)
    assert lags[AP, "subscriber-view"] == lags[AP, "activity"] == 1
    assert lags[US, "subscriber-view"] == lags[EU, "subscriber-view"] == 0
    # A projection that does not cover the aggregate lacks nothing of it.
    assert lags[AP, "network-inventory"] == 0
    text = json.dumps(told)
    assert not any(secret in text for secret in ACTIVATION["data"].values())


def test_what_is_answered_is_owed_no_more_and_nothing_lags(network: Network):
    network[US].post(ACTIVATION)
    network.settle()

    told = status_of(network, US)

    assert (told["pending"], told["held"], told["oldest_due_ms"]) == (0, [], None)
    assert set(behind(told).values()) == {0}
    assert told["states"] == dict.fromkeys(REGIONS, "active")
    assert told["letters"] == {"waiting": 0, "by_source": {}}


def test_letters_that_wait_are_counted_by_their_source_and_dropped_ones_are_not(network: Network):
    letters = network[EU].deps.letters
    for source in ("projector", "projector", "responder"):
        letter_id = f"{source}.{len(list(letters.all()))}"
        letters.file(Filing(letter_id=letter_id, source=source, error="x"), at_ms=1)
    told = status_of(network, EU)["letters"]
    assert told == {"waiting": 3, "by_source": {"projector": 2, "responder": 1}}

    first = next(one for one in letters.all() if one.source == "projector")
    letters.drop(first, by="somebody", reason="a test", at_ms=2)

    told = status_of(network, EU)["letters"]
    assert told == {"waiting": 2, "by_source": {"projector": 1, "responder": 1}}


def test_a_region_that_cannot_be_asked_is_named_and_the_others_are_told(network: Network):
    network[US].post(ACTIVATION)
    network[US].project(*network.take(US, "lane"))

    def nowhere(region: str) -> Any:
        if region == AP:
            raise StoreUnavailable("cannot be reached")
        return network[US].deps.dynamodb(region)

    asked = replace(network[US].deps.laggards, client_of=nowhere)
    network[US].deps.__dict__["laggards"] = asked

    told = status_of(network, US)

    assert told["unreached"] == [AP]
    assert {one["region"] for one in told["lags"]} == {US, EU}


def test_the_document_of_the_api_describes_it(network: Network):
    _, document = network[US].get("/openapi.json")
    assert "dead letters" in document["paths"]["/status"]["get"]["summary"]


def test_a_region_that_answers_too_late_holds_nothing_up(
    network: Network, monkeypatch: pytest.MonkeyPatch
):
    network[US].post(ACTIVATION)
    network[US].project(*network.take(US, "lane"))
    monkeypatch.setattr(owed, "ASK_WITHIN_S", 0.2)
    late = threading.Event()

    def slow(region: str) -> Any:
        if region == AP:
            late.wait(20)
        return network[US].deps.dynamodb(region)

    asked = replace(network[US].deps.laggards, client_of=slow)
    network[US].deps.__dict__["laggards"] = asked
    try:
        assert status_of(network, US)["unreached"] == [AP]
    finally:
        late.set()


def test_in_eventual_mode_the_homes_are_told_with_who_was_evicted(network: Network):
    assert status_of(network, US)["homes"] is None
    regions = EventualNetwork(InProcessRegions())
    aggregate_id = regions[US].deps.keys.aggregate_id("sub", "somebody")
    before = status_of(regions, EU)["homes"]
    assert sum(one["slots"] for one in before.values()) == SLOTS
    home = regions.homes.read().of(aggregate_id).home
    other = next(region for region in REGIONS if region != home)

    regions.take_by_force(aggregate_id, other)

    after = status_of(regions, other)["homes"]
    assert after[home] == before[home] | {"slots": before[home]["slots"] - 1, "evicted_from": 1}
    assert after[other]["slots"] == before[other]["slots"] + 1
