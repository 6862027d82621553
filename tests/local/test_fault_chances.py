"""Actions and chances without a network: what undoes what, and what strikes how often."""

import asyncio
import random

import pytest
from pydantic import ValidationError

from infra.local.actions import (
    NAMES,
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
    told,
)
from infra.local.control import Control
from infra.local.faults import Fate, Faults
from infra.local.network import Network
from infra.local.refusals import with_refused, without
from infra.local.region_control import RegionFailed
from infra.local.replication import Links

REGIONS = US, EU, AP = ("us-east-1", "eu-west-1", "ap-south-1")
CALLS = 4_000


def links(chance: random.Random | None = None) -> Links:
    return Links(REGIONS, round_trips_ms={}, chance=chance)


def faults(*, seed: int = 1) -> Faults:
    return Faults(links(), seed=seed)


def fates(of: Faults, *regions: str) -> list[Fate]:
    return [of.fate(regions) for _ in range(CALLS)]


@pytest.mark.parametrize(
    ("action", "undo"),
    [
        (Cut(a=US, b=EU), Heal(a=US, b=EU)),
        (Delay(a=US, ms=5), Undelay(a=US)),
        (Lose(a=US, requests=0.5), Lose(a=US)),
        (Repeat(rate=0.5), Repeat(rate=0)),
        (
            Throttle(region=US, services=("sqs",), rate=1),
            Throttle(region=US, services=("sqs",), rate=0),
        ),
        (Slow(region=US, ms=5), Slow(region=US, ms=0)),
        (Skew(region=US, ms=-5), Skew(region=US, ms=0)),
        (Kill(region=US), Start(region=US)),
        (Heal(), None),
        (Calm(), None),
        (Start(region=US), None),
    ],
    ids=lambda value: getattr(value, "action", "nothing"),
)
def test_what_lasts_is_undone_where_it_was_done(action, undo):
    assert action.undo() == undo
    assert read_action(action.model_dump(mode="json")) == action


def test_every_action_has_its_name():
    assert len(NAMES) == len(set(NAMES)) == 12
    with pytest.raises(ValidationError):
        read_action({"action": "explode"})


def test_an_action_is_told_in_one_line():
    action = Lose(a=US, b=EU, answers=0.25)
    assert told(action) == "lose us-east-1 eu-west-1 answers=0.25"
    assert told(Throttle(region=AP, services=("sqs", "events"), rate=0.5)) == (
        "throttle ap-south-1 rate=0.5 services=sqs,events"
    )


@pytest.mark.parametrize(
    ("order", "fate"),
    [
        (Lose(a=US, b=EU, requests=0.2), Fate.REQUEST_LOST),
        (Lose(a=US, b=EU, answers=0.2), Fate.ANSWER_LOST),
        (Repeat(a=US, b=EU, rate=0.2), Fate.TWICE),
    ],
)
def test_a_fault_strikes_at_its_rate_in_both_directions_of_its_link_alone(order, fate):
    struck = faults()
    (struck.lose if isinstance(order, Lose) else struck.repeat)(order)
    for way in ((US, EU), (EU, US)):
        assert 0.17 < fates(struck, *way).count(fate) / CALLS < 0.23
    assert set(fates(struck, US, AP)) == {Fate.ARRIVES}


def test_the_same_seed_draws_the_same_fates_and_another_one_others():
    def drawn(seed: int) -> list[Fate]:
        one = faults(seed=seed)
        one.lose(Lose(requests=0.3, answers=0.3))
        return fates(one, US, EU)

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_service_is_throttled_in_its_region_alone_until_calm():
    one = faults()
    one.throttle(Throttle(region=US, services=("sqs",), rate=1))
    assert one.throttles(US, "sqs")
    assert not one.throttles(US, "dynamodb")
    assert not one.throttles(EU, "sqs")
    one.calm()
    assert not one.throttles(US, "sqs")


def test_calm_ends_everything_but_death():
    one = faults()
    one.slow(Slow(region=US, ms=5))
    one.skew(Skew(region=US, ms=5))
    one.repeat(Repeat(rate=1))
    one.kill(EU)
    one.calm()
    assert (one.slow_ms(US), one.skew_ms(US), one.killed()) == (0, 0, [EU])
    assert one.fate((US, AP)) is Fate.ARRIVES


def test_a_region_dies_once_and_is_started_once():
    one = faults()
    one.kill(US)
    with pytest.raises(ValueError, match="killed already; start it with"):
        one.kill(US)
    one.start(US)
    with pytest.raises(ValueError, match="us-east-1 is running"):
        one.start(US)
    with pytest.raises(ValueError, match="mars-1 is not one of us-east-1"):
        one.kill("mars-1")


def test_jitter_adds_up_to_half_of_itself_to_each_way_and_never_takes_any_off():
    uneven = links(random.Random(7))
    uneven.delay(US, EU, rtt_ms=100, jitter_ms=60)
    ways = [uneven.travel_ms((US, EU)) for _ in range(CALLS)]
    assert 50 <= min(ways) < 52
    assert 78 < max(ways) <= 80
    uneven.undelay(US, EU)
    assert uneven.travel_ms((US, EU)) == links().one_way_ms(US, EU)


def test_a_region_that_is_down_has_no_link_and_afterwards_those_it_had():
    around = links()
    around.cut(US, EU)
    around.take_down(AP)
    assert [link.cut for link in around.table()] == [True, True, True]
    assert around.majority_round_trip_ms(EU) is None
    around.bring_up(AP)
    assert [link.cut for link in around.table()] == [True, False, False]


def test_entries_that_a_bus_refuses_are_told_in_their_places():
    refused = iter([False, True, True, False])
    kept, chosen = without(["a", "b", "c", "d"], lambda: next(refused))
    assert kept == ["a", "d"]
    # None of them taken: nobody was asked.
    told_all = with_refused(None, [True, True]).json()
    assert told_all["FailedEntryCount"] == 2
    assert chosen == [False, True, True, False]
    assert {one["ErrorCode"] for one in told_all["Entries"]} == {"ThrottlingException"}


class FailingRegions:
    """Regions of which none can be started."""

    def __init__(self) -> None:
        self.skews: list[tuple[str, int]] = []

    async def skew(self, region: str, *, ms: int) -> None:
        self.skews.append((region, ms))

    async def start_all(self) -> None:
        raise RegionFailed("it does not start")


def test_calm_sets_every_clock_right_though_a_region_does_not_start():
    network = Network(links(), faults())
    network.faults.skew(Skew(region=EU, ms=5000))
    regions = FailingRegions()
    control = Control(network, None, regions=regions)
    with pytest.raises(RegionFailed):
        asyncio.run(control._carry_out(Calm()))
    assert regions.skews == [(EU, 0)]
    assert network.faults.skew_ms(EU) == 0


def test_nothing_runs_in_a_witness_so_only_its_links_can_fail():
    network = links()
    faults = Faults(network, seed=1, regions=(US, EU))
    for order in (
        lambda: faults.kill(AP),
        lambda: faults.slow(Slow(region=AP, ms=1)),
        lambda: faults.skew(Skew(region=AP, ms=1)),
    ):
        with pytest.raises(ValueError, match="ap-south-1 is not one of us-east-1, eu-west-1"):
            order()
    faults.lose(Lose(a=US, b=AP, requests=1))
    assert faults.fate((US, AP)) is Fate.REQUEST_LOST
    network.cut(EU, AP)
    assert network.is_cut(EU, AP)
