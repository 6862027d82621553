"""A command's traceparent: the caller's if it is valid, else a new one, and the way it goes."""

import json

import pytest
from hypothesis import given

from handlers.tracing import traceparent_of
from tests.garbage.strategies import texts, torn
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize("given_", [GIVEN, f"00-{TRACE}-{PARENT}-00", f"01-{TRACE}-{PARENT}-01-x"])
def test_a_valid_traceparent_is_handed_on_as_it_came(given_: str):
    assert traceparent_of(given_) == given_


@pytest.mark.parametrize(
    "given_",
    [
        None,
        "",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE}-{PARENT}-1",
        f"{GIVEN}\n",
        f" {GIVEN}",
        f"01-{TRACE}-{PARENT}-01-{'x' * 200}",
    ],
)
def test_one_that_is_not_valid_is_ignored_and_a_new_trace_is_started(given_: str | None):
    started = traceparent_of(given_)

    assert traceparent_of(started) == started
    assert TRACE not in started
    assert started.endswith("-00"), "nobody asked for it to be sampled"
    assert traceparent_of(given_) != started


@given(text=texts | torn(GIVEN))
def test_whatever_comes_the_traceparent_is_valid_and_short(text: str):
    told = traceparent_of(text, xray=text)

    assert traceparent_of(told) == told
    assert len(told) <= 184
    assert told.isascii()


@pytest.mark.parametrize(
    ("xray", "flags"),
    [
        ("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", "01"),
        ("Self=1-67891234-12456789abcdef012345678;Root=1-5759e988-bd862e3fe1be46a994272793", "00"),
    ],
)
def test_a_new_trace_is_that_of_xray_where_there_is_one(xray: str, flags: str):
    version, trace, _, told = traceparent_of("junk", xray=xray).split("-")

    assert (version, trace, told) == ("00", "5759e988bd862e3fe1be46a994272793", flags)


def test_what_is_no_xray_header_starts_a_trace_of_its_own():
    assert "5759e988" not in traceparent_of(None, xray="Root=1-5759e988-bd862e3fe1be46a99427279")


def test_a_new_trace_goes_with_the_commit_its_acknowledgements_and_its_answer(network: Network):
    network[US].post(ACTIVATION, {"traceparent": "junk", "X-Correlation-Id": "order-7"})
    commit = network.log.head(
        network[US].deps.keys.aggregate_id("sub", ACTIVATION["data"]["imsi"]), consistent=True
    )
    assert commit is not None
    network[EU].project(*network.take(EU, "lane"))

    [message] = network.messages[US, "acks"]

    [ack] = json.loads(message)["acks"]
    assert (ack["correlation_id"], ack["traceparent"]) == ("order-7", commit.traceparent)
    network.settle()
    [answer] = network[US].answers
    assert answer["traceparent"] == commit.traceparent is not None


def test_an_acknowledgement_that_is_given_up_can_be_found_by_its_trace(network: Network):
    commit = network.posted()
    network[EU].project(*network.take(EU, "lane"))

    network[US].bury("acks-dead", *network.take(US, "acks"))

    [letter] = network[US].letters.values()
    assert letter.correlation_id == commit.correlation_id
    assert letter.traceparent == commit.traceparent is not None


def test_the_way_through_every_region_is_kept_with_the_answer(network: Network):
    commit = network.posted()
    network.settle()

    response = network[US].deps.responses_of(US).get(commit.commit_id)

    assert response is not None
    assert response.ways.keys() == set(REGIONS)
    for way in response.ways.values():
        assert way.applied.keys() == {"subscriber-view", "activity"}
        times = [way.committed, way.arrived, *way.applied.values(), way.heard]
        assert all(at is not None and 0 <= at < 60_000 for at in times)
        assert way.arrived is not None
        assert way.heard is not None
        assert way.arrived <= min(way.applied.values()) <= max(way.applied.values()) <= way.heard


def test_a_commit_found_at_a_gap_did_not_arrive_and_tells_no_commit_time(network: Network):
    first = network.posted()
    second = network.posted(command_id="2", data={**ACTIVATION["data"], "service_profile": "gold"})
    network.messages.clear()
    network[EU].stream(second)

    network[US].acknowledge(*network.take(US, "acks"))

    ways = [
        response.ways[EU]
        for commit in (first, second)
        if (response := network[US].deps.responses_of(US).get(commit.commit_id))
    ]
    assert [way.arrived is None for way in ways] == [True, False]
    assert all(way.applied and way.committed is None for way in ways)


def test_what_was_applied_before_is_acknowledged_again_without_a_way(network: Network):
    commit = network.posted()
    [lane] = network.take(EU, "lane")
    network[EU].project(lane)
    network.take(US, "acks")

    network[EU].project(lane)
    network[US].acknowledge(*network.take(US, "acks"))

    response = network[US].deps.responses_of(US).get(commit.commit_id)
    assert response is not None
    way = response.ways[EU]
    assert (way.arrived, way.applied) == (None, {})
    assert way.heard is not None
