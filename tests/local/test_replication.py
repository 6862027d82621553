"""The pure rules: who is reached, how fast, and in which order records arrive."""

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.replication import ROUND_TRIPS_MS, Deliveries, Links, round_trips

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")


def realistic() -> Links:
    return Links(REGIONS, round_trips_ms=ROUND_TRIPS_MS)


# The rules of DynamoDB's multi-Region strong consistency (MRSC).


@pytest.mark.parametrize(("region", "round_trip_ms"), [(US, 70), (EU, 70), (AP, 118)])
def test_a_write_waits_for_the_nearest_other_region(region, round_trip_ms):
    assert realistic().majority_round_trip_ms(region) == round_trip_ms


def test_a_write_waits_for_the_next_region_when_the_link_to_the_nearest_is_cut():
    links = realistic()
    links.cut(US, EU)
    assert links.majority_round_trip_ms(US) == 182
    assert links.majority_round_trip_ms(EU) == 118


def test_a_region_that_reaches_no_other_has_no_majority_and_the_others_still_do():
    links = realistic()
    links.cut(AP)
    assert links.majority_round_trip_ms(AP) is None
    assert links.majority_round_trip_ms(US) == 70
    assert links.majority_round_trip_ms(EU) == 70


def test_of_five_replicas_two_others_make_a_majority():
    links = Links("abcde", round_trips_ms={frozenset("ab"): 10.0, frozenset("ac"): 30.0})
    assert links.majority_round_trip_ms("a") == 30
    links.cut("a", "b")
    links.cut("a", "c")
    links.cut("a", "d")
    # Over e, which is 150 ms away like all that has no round trip of its own.
    assert links.majority_round_trip_ms("a") == 300


def test_of_three_members_among_five_regions_the_nearest_other_member_is_enough():
    members = "abc"
    links = Links("abcde", round_trips_ms={frozenset("ad"): 1.0, frozenset("ab"): 10.0})
    assert links.majority_round_trip_ms("a", members=members) == 10
    assert links.nearest("a", members=members) == "b"
    for other in members[1:]:
        links.take_down(other)
    # Those that are left are no members, however many they are.
    assert links.majority_round_trip_ms("a", members=members) is None


# The network.


def test_the_quickest_way_may_lead_over_another_region():
    links = realistic()
    assert links.route(US, AP).regions == (US, AP)
    links.delay(US, AP, rtt_ms=500)
    assert links.route(US, AP).regions == (US, EU, AP)
    assert links.route(US, AP).one_way_ms == (70 + 118) / 2


def test_mending_everything_takes_back_delays_and_cuts():
    links = realistic()
    before = links.table()
    links.cut(US)
    links.delay(EU, AP, rtt_ms=1)
    assert links.table() != before
    links.heal()
    assert links.table() == before


def test_mending_one_link_leaves_the_others_cut():
    links = realistic()
    links.cut(US)
    links.heal(US, EU)
    assert [(link.a, link.b) for link in links.table() if link.cut] == [(US, AP)]


@pytest.mark.parametrize(("a", "b"), [("mars-1", None), (US, "mars-1"), (US, US)])
def test_links_that_do_not_exist_cannot_be_cut(a, b):
    with pytest.raises(ValueError, match=r"mars-1|itself"):
        realistic().cut(a, b)


@pytest.mark.parametrize("rtt_ms", [-1, math.inf, math.nan])
def test_a_round_trip_cannot_be_negative_or_endless(rtt_ms):
    with pytest.raises(ValueError, match="cannot take"):
        realistic().delay(US, EU, rtt_ms=rtt_ms)


def test_without_a_wan_every_round_trip_is_zero():
    links = Links(REGIONS, round_trips_ms=round_trips(REGIONS, realistic=False))
    assert {link.rtt_ms for link in links.table()} == {0}


LINKS = tuple(combinations(REGIONS, 2))
CUTS = st.sets(st.sampled_from(LINKS))


@given(cuts=CUTS)
def test_a_route_exists_exactly_where_the_regions_hang_together(cuts):
    links = realistic()
    for a, b in cuts:
        links.cut(a, b)
    for a, b in LINKS:
        (other,) = set(REGIONS) - {a, b}
        joined = (a, b) not in cuts or not {frozenset({a, other}), frozenset({b, other})} & {
            frozenset(cut) for cut in cuts
        }
        route = links.route(a, b)
        assert (route is not None) == joined
        if route is not None:
            assert links.is_open(route)
            assert route.one_way_ms == links.route(b, a).one_way_ms


# When records arrive.


def test_a_record_is_at_its_origin_when_the_writer_is_told_and_then_travels_on():
    deliveries = Deliveries(realistic())
    deliveries.append(1, origin=US, now_ms=1000)
    assert deliveries.next_ms(US) == 1000 + 35
    assert deliveries.next_ms(EU) == 1000 + 35 + 35
    assert deliveries.next_ms(AP) == 1000 + 35 + 91
    assert deliveries.due(AP, now_ms=1125, limit=9) == []
    assert deliveries.due(AP, now_ms=1126, limit=9) == [1]


def test_a_record_that_came_the_quicker_way_waits_for_the_one_before_it():
    deliveries = Deliveries(realistic())
    deliveries.append(1, origin=US, now_ms=0)
    deliveries.append(2, origin=AP, now_ms=1)
    assert deliveries.due(AP, now_ms=125, limit=9) == []
    assert deliveries.due(AP, now_ms=126, limit=9) == [1, 2]


def test_records_for_a_region_that_is_cut_off_are_held_back_until_it_is_mended():
    links = realistic()
    deliveries = Deliveries(links)
    links.cut(AP)
    deliveries.append(1, origin=US, now_ms=0)
    deliveries.append(2, origin=EU, now_ms=0)
    assert deliveries.next_ms(AP) == math.inf
    assert deliveries.pending(AP) == {US: 1, EU: 1, AP: 0}
    links.heal()
    deliveries.links_changed(now_ms=10_000)
    assert deliveries.due(AP, now_ms=10_058, limit=9) == []
    assert deliveries.due(AP, now_ms=10_059, limit=9) == [1, 2]


def test_a_record_under_way_over_a_link_that_is_cut_takes_the_way_around():
    links = realistic()
    deliveries = Deliveries(links)
    deliveries.append(1, origin=US, now_ms=0)
    links.cut(US, AP)
    deliveries.links_changed(now_ms=100)
    # eu-west-1 has it by then, and is 59 ms away.
    assert deliveries.next_ms(AP) == 100 + 59


def test_a_record_keeps_its_way_when_another_link_changes():
    links = realistic()
    deliveries = Deliveries(links)
    deliveries.append(1, origin=US, now_ms=0)
    links.cut(EU)
    deliveries.links_changed(now_ms=100)
    assert deliveries.next_ms(AP) == 126


def test_what_the_origin_committed_before_it_was_cut_off_still_spreads():
    links = realistic()
    deliveries = Deliveries(links)
    deliveries.append(1, origin=US, now_ms=0)
    links.cut(US)
    deliveries.links_changed(now_ms=40)
    assert deliveries.next_ms(US) == 35
    assert deliveries.next_ms(AP) == 70 + 59
    # The other holder has had it from the start: it took part in the write.
    assert deliveries.next_ms(EU) == 70


def test_what_had_come_before_a_cut_need_not_come_again():
    far = {frozenset(pair): 1000.0 for pair in ("ab", "ac")}
    near = {frozenset(pair): 10.0 for pair in ("bc", "bd", "cd")}
    links = Links("abcd", round_trips_ms={**far, **near, frozenset("ad"): 2000.0})
    deliveries = Deliveries(links)
    deliveries.append(1, origin="a", now_ms=0)
    deliveries.append(2, origin="c", now_ms=1)
    # The second is at d by now, and waits for the first, which is still on its way to b.
    links.cut("d")
    deliveries.links_changed(now_ms=100)
    links.heal("a", "d")
    deliveries.links_changed(now_ms=200)
    assert deliveries.due("d", now_ms=500 + 1000, limit=9) == [1, 2]


def test_a_region_that_got_a_record_passes_it_on_when_those_that_wrote_it_are_gone():
    links = Links("abcd", round_trips_ms={frozenset("ab"): 10.0})
    deliveries = Deliveries(links)
    links.cut("d")
    deliveries.append(1, origin="a", now_ms=0)
    assert deliveries.due("c", now_ms=1000, limit=9) == [1]
    deliveries.delivered("c", 1, now_ms=1000)
    links.take_down("a")
    links.take_down("b")
    links.heal("c", "d")
    deliveries.links_changed(now_ms=2000)
    assert deliveries.next_ms("d") == 2075


def test_a_delivery_says_how_long_the_record_took():
    deliveries = Deliveries(realistic())
    deliveries.append(7, origin=US, now_ms=100)
    assert deliveries.delivered(US, 7, now_ms=140) == 40


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sampled_from(REGIONS)),
        st.tuples(st.just("cut"), st.sampled_from(LINKS)),
        st.tuples(st.just("heal"), st.sampled_from(LINKS)),
        st.tuples(st.just("wait"), st.integers(1, 300)),
        st.tuples(st.just("take"), st.sampled_from(REGIONS)),
    ),
    max_size=60,
)


class Network:
    """Replicas that take what the rules say is due, while the network changes."""

    def __init__(self) -> None:
        self.links = realistic()
        self.deliveries = Deliveries(self.links)
        self.now_ms = 0.0
        self.written = 0
        self.replicas: dict[str, list[int]] = {region: [] for region in REGIONS}

    def append(self, origin: str) -> None:
        self.written += 1
        self.deliveries.append(self.written, origin=origin, now_ms=self.now_ms)

    def cut(self, pair: tuple[str, str]) -> None:
        self.links.cut(*pair)
        self.deliveries.links_changed(now_ms=self.now_ms)

    def heal(self, pair: tuple[str, str]) -> None:
        self.links.heal(*pair)
        self.deliveries.links_changed(now_ms=self.now_ms)

    def wait(self, milliseconds: int) -> None:
        self.now_ms += milliseconds

    def take(self, region: str) -> None:
        for position in self.deliveries.due(region, now_ms=self.now_ms, limit=3):
            self.deliveries.delivered(region, position, now_ms=self.now_ms)
            self.replicas[region].append(position)


@given(actions=ACTIONS)
def test_every_replica_gets_every_record_once_in_one_order_whatever_the_network_does(actions):
    network = Network()
    for action, what in actions:
        getattr(network, action)(what)
        for replica in network.replicas.values():
            assert replica == list(range(1, len(replica) + 1))
    network.links.heal()
    network.deliveries.links_changed(now_ms=network.now_ms)
    network.wait(1000)
    for region, replica in network.replicas.items():
        while len(replica) < network.written:
            before = len(replica)
            network.take(region)
            assert len(replica) > before
        assert network.deliveries.next_ms(region) == math.inf


@given(
    before=st.lists(st.sampled_from(REGIONS), max_size=5),
    during=st.lists(st.sampled_from((US, EU)), min_size=1, max_size=5),
)
def test_nothing_written_elsewhere_reaches_a_region_while_it_is_cut_off(before, during):
    links = realistic()
    deliveries = Deliveries(links)
    for position, origin in enumerate(before, start=1):
        deliveries.append(position, origin=origin, now_ms=0)
    links.cut(AP)
    deliveries.links_changed(now_ms=5000)
    first = len(before) + 1
    for position, origin in enumerate(during, start=first):
        deliveries.append(position, origin=origin, now_ms=5000)
    assert all(position < first for position in deliveries.due(AP, now_ms=1e9, limit=100))
