"""The figures of a feed: what is counted, and latency beside its floor."""

import pytest

from antiphon.ledger import Arrival, Ledger, Receipt
from antiphon.network import Link, Wan
from antiphon.scores import percentile, score

EAST, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-south-1"
WAN = Wan(
    regions=(EAST, WEST, SOUTH),
    links=(
        Link(a=EAST, b=WEST, rtt_ms=70),
        Link(a=WEST, b=SOUTH, rtt_ms=118),
        Link(a=EAST, b=SOUTH, rtt_ms=182),
    ),
)


def answered(ledger: Ledger, name: str, *, region: str, latency_s: float, conflicts: int = 0):
    played = ledger.command(
        name, about="/x", type_="X", command_id=name, expect=frozenset({"accepted"})
    )
    ledger.sent(played, at_s=100.0)
    receipt = Receipt(
        region=region, outcome="accepted", commit=name, sequence=1, conflicts=conflicts
    )
    ledger.received(played, receipt)
    detail = {"command": {"commit": name}}
    at_s = 100.0 + latency_s
    ledger.arrived(Arrival(region=region, at_s=at_s, detail_type="CommandAnswered", detail=detail))


def scored(ledger: Ledger):
    return score(ledger, wan=WAN, elapsed_s=1.0, violations=[])


@pytest.mark.parametrize(("region", "floor_ms"), [(EAST, 252), (WEST, 188), (SOUTH, 300)])
def test_the_floor_is_the_nearest_round_trip_and_the_farthest(region, floor_ms):
    assert WAN.answer_floor_ms(region) == floor_ms


def test_a_witness_makes_an_append_durable_and_proves_no_answer():
    links = (Link(a=EAST, b=WEST, rtt_ms=70), Link(a=EAST, b="w", rtt_ms=10))
    near = Wan(regions=(EAST, WEST), links=links)
    assert near.answer_floor_ms(EAST) == 10 + 70
    far = Wan(regions=(EAST, WEST), links=(links[0], Link(a=EAST, b="w", rtt_ms=500)))
    assert far.answer_floor_ms(EAST) == 70 + 70


def test_without_links_there_is_no_floor_to_wait_for():
    assert Wan(regions=(EAST,)).answer_floor_ms(EAST) == 0


@pytest.mark.parametrize(("share", "value"), [(50, 5), (95, 10), (99, 10), (1, 1)])
def test_a_percentile_is_a_value_that_occurred(share, value):
    assert percentile(range(1, 11), share) == value


def test_latency_is_told_for_each_origin_then_for_all():
    ledger = Ledger()
    answered(ledger, "a", region=EAST, latency_s=0.3)
    answered(ledger, "b", region=WEST, latency_s=0.2)
    answered(ledger, "c", region=WEST, latency_s=0.9, conflicts=2)
    rows = {row.origin: row for row in scored(ledger).latency}
    assert list(rows) == [EAST, WEST, "all", "all without conflict"]
    assert (rows[WEST].p50_ms, rows[WEST].p99_ms) == (200, 900)
    assert (rows["all"].answers, rows["all"].p99_ms) == (3, 900)
    assert (rows["all without conflict"].answers, rows["all without conflict"].p99_ms) == (2, 300)
    assert scored(ledger).conflicts == 2


def test_an_answer_that_overtakes_its_http_result_is_matched_when_that_comes():
    told = []
    ledger = Ledger(on_answer=told.append)
    played = ledger.command(
        "a", about="/x", type_="X", command_id="a", expect=frozenset({"accepted"})
    )
    ledger.sent(played, at_s=1.0)
    detail = {"command": {"commit": "c.1"}}
    arrival = Arrival(region=EAST, at_s=1.2, detail_type="CommandAnswered", detail=detail)
    ledger.arrived(arrival)
    assert ledger.unmatched == 1
    ledger.received(played, Receipt(region=EAST, outcome="accepted", commit="c.1", sequence=1))
    assert (told, ledger.unmatched, ledger.unanswered) == ([played], 0, [])
    assert played.latency_ms == pytest.approx(200)
