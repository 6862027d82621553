"""The rules of MREC tables; each test names what DynamoDB's documentation says.

"How it works" is the page "How DynamoDB global tables work" of the developer guide
(V2globaltables_HowItWorks), "Transactions" is "Amazon DynamoDB Transactions: How it works"
(transaction-apis).
"""

import math
import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.replication import ROUND_TRIPS_MS, EventualReplication, Links

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")


class Table:
    """Replicas that hold what the rules say, and the stream of each."""

    def __init__(self, *, pickup_ms: float = 0.0, seed: int = 0) -> None:
        self.links = Links(REGIONS, round_trips_ms=ROUND_TRIPS_MS)
        self.rules = EventualReplication(
            self.links, replicas=REGIONS, pickup_ms=pickup_ms, chance=random.Random(seed)
        )
        self.now_ms = 0.0
        self.items: dict[str, dict[str, str]] = {region: {} for region in REGIONS}
        self.uncopied: list[str] = []
        self.streams: dict[str, list[tuple]] = {region: [] for region in REGIONS}

    def write(self, region: str, key: str, image: str | None, *, at: float | None = None) -> None:
        self.now_ms = self.now_ms if at is None else at
        self._apply(region, key, image)
        self.rules.wrote(region, key, image, now_ms=self.now_ms)

    def put_if_absent(self, region: str, key: str, image: str) -> bool:
        if key in self.items[region]:
            return False
        self.write(region, key, image)
        return True

    def run(self, *, until: float) -> None:
        """Take in every replica, in order of time, what the rules say is due."""
        while True:
            region = min(self.rules.replicas, key=self.rules.next_ms)
            if self.rules.next_ms(region) > until:
                self.now_ms = until
                return
            self.now_ms = max(self.now_ms, self.rules.next_ms(region))
            arrival = self.rules.due(region, now_ms=self.now_ms)
            if self.rules.wins(region, arrival):
                self._apply(region, arrival.key, arrival.image)
            self.rules.arrived(region, arrival)

    def cut(self, a: str, b: str | None = None) -> None:
        self.links.cut(a, b)
        self.rules.links_changed(now_ms=self.now_ms)

    def heal(self) -> None:
        self.links.heal()
        self.rules.links_changed(now_ms=self.now_ms)

    def remove(self, region: str) -> None:
        self.rules.remove_replica(region)
        self.items[region].clear()

    def add(self, region: str, *, source: str) -> None:
        """Add a replica; what the source holds is copied, item by item, by `copy_one`."""
        self.rules.add_replica(region, source=source, now_ms=self.now_ms)
        self.uncopied = sorted(self.items[source])

    def copy_one(self, region: str, *, source: str) -> None:
        if self.uncopied:
            key = self.uncopied.pop()
            image = self.items[source].get(key)
            if image is not None and self.rules.copy(key, source=source, to=region):
                self._apply(region, key, image)

    def _apply(self, region: str, key: str, image: str | None) -> None:
        old = self.items[region].pop(key, None)
        if image is not None:
            self.items[region][key] = image
        if old != image:
            name = "REMOVE" if image is None else "INSERT" if old is None else "MODIFY"
            self.streams[region].append((name, key, old, image))


def test_a_condition_sees_the_local_replica_so_two_regions_can_both_put_if_absent():
    """How it works, MREC: conditional writes evaluate against the version in that Region."""
    table = Table()
    assert table.put_if_absent(US, "k", "us")
    assert table.put_if_absent(EU, "k", "eu")
    table.run(until=1000)
    assert not table.put_if_absent(AP, "k", "ap")


def test_the_last_writer_wins_on_every_replica_and_the_other_write_is_lost():
    """How it works, MREC: conflicts are resolved per item by the latest internal timestamp."""
    table = Table()
    table.write(US, "k", "first", at=0)
    table.write(EU, "k", "last", at=1)
    table.run(until=1000)
    assert [table.items[region]["k"] for region in REGIONS] == ["last"] * 3


@pytest.mark.parametrize("order", [(US, AP), (AP, US)])
def test_of_two_writes_at_one_moment_that_of_the_later_region_in_the_list_wins(order):
    """Our own rule where the documentation is silent: a tie has one winner everywhere."""
    table = Table()
    for region in order:
        table.write(region, "k", region, at=5)
    table.run(until=1000)
    assert [table.items[region]["k"] for region in REGIONS] == [AP] * 3


def test_a_write_made_on_top_of_another_is_the_later_one_even_at_the_same_moment():
    """How it works, MREC: an item converges to the version created by its last write."""
    table = Table()
    table.links.delay(AP, US, rtt_ms=0)
    table.write(AP, "k", "below", at=5)
    table.run(until=5)
    table.write(US, "k", "on top", at=5)
    table.run(until=1000)
    assert [table.items[region]["k"] for region in REGIONS] == ["on top"] * 3


@pytest.mark.parametrize(("a", "b", "one_way_ms"), [(US, EU, 35), (US, AP, 91), (EU, AP, 59)])
def test_a_change_takes_the_way_between_its_two_regions(a, b, one_way_ms):
    """How it works, MREC: changes are replicated asynchronously to all other replicas."""
    table = Table()
    table.write(a, "k", "v")
    assert table.rules.next_ms(b) == one_way_ms


def test_one_direction_of_a_pair_can_take_longer_than_the_other():
    """ReplicationLatency is measured from one Region to a ReceivingRegion (Metrics page)."""
    table = Table()
    table.rules.delay(US, EU, extra_ms=500)
    table.write(US, "there", "v")
    table.write(EU, "back", "v")
    assert table.rules.next_ms(EU) == 535
    assert table.rules.next_ms(US) == 35


def test_a_later_item_of_a_partition_can_come_before_an_earlier_one():
    """How it works, Streams: the order of different items may differ between replicas."""
    met = set()
    for seed in range(20):
        table = Table(pickup_ms=200, seed=seed)
        table.write(US, "partition#1", "first", at=0)
        table.write(US, "partition#2", "second", at=1)
        table.run(until=1000)
        met.add(tuple(key for _, key, _, _ in table.streams[EU]))
    assert met == {("partition#1", "partition#2"), ("partition#2", "partition#1")}


def test_several_changes_of_an_item_may_reach_a_replica_as_one():
    """How it works, Streams: changes in a short time may be combined into one replicated write."""
    met = set()
    for seed in range(100):
        table = Table(pickup_ms=200, seed=seed)
        for number in range(3):
            table.write(US, "k", f"v{number}", at=number)
        table.run(until=1000)
        assert len(table.streams[US]) == 3
        assert table.items[EU]["k"] == table.items[AP]["k"] == "v2"
        met.add(len(table.streams[EU]))
    assert {1, 3} <= met


def test_two_changes_that_leave_together_may_leave_as_one():
    """How it works, Streams: changes in a short time may be combined into one replicated write."""
    met = set()
    for seed in range(20):
        table = Table(pickup_ms=200, seed=seed)
        for image in ("v1", "v2"):
            table.write(US, "k", image, at=0)
        met.add(table.rules.pending(EU)[US])
    assert met == {1, 2}


def test_changes_that_left_as_one_are_as_late_as_the_last_of_them():
    """How it works, MREC: the latest write wins, also over one between two that were merged."""
    for seed in range(20):
        table = Table(pickup_ms=200, seed=seed)
        table.write(US, "k", "first", at=0)
        table.write(EU, "k", "between", at=5)
        table.write(US, "k", "last", at=10)
        table.run(until=1000)
        assert [table.items[region]["k"] for region in REGIONS] == ["last"] * 3


def test_changes_of_an_item_never_go_backwards_in_a_replicas_stream():
    """How it works, Streams: records of MREC replicas are ordered per item."""
    for seed in range(50):
        table = Table(pickup_ms=300, seed=seed)
        for number in range(6):
            table.write(US, "k", f"v{number}", at=number * 20)
        table.run(until=2000)
        seen = [new for _, _, _, new in table.streams[EU]]
        assert seen == sorted(seen)
        assert seen[-1] == "v5"


def test_the_losing_replica_shows_the_loser_as_old_image_and_the_winning_one_shows_nothing():
    """How it works, Streams: a replica's stream holds the changes made to that replica."""
    table = Table()
    table.write(US, "k", "loser", at=0)
    table.write(EU, "k", "winner", at=1)
    table.run(until=1000)
    assert table.streams[US] == [
        ("INSERT", "k", None, "loser"),
        ("MODIFY", "k", "loser", "winner"),
    ]
    assert table.streams[EU] == [("INSERT", "k", None, "winner")]


def test_an_older_write_that_comes_after_a_delete_does_not_bring_the_item_back():
    """How it works, MREC: the latest write wins; a delete is a write."""
    table = Table()
    table.cut(US, AP)
    table.write(US, "k", "old", at=0)
    table.run(until=100)
    table.write(EU, "k", None, at=100)
    table.run(until=500)
    table.heal()
    table.run(until=2000)
    assert [table.items[region] for region in REGIONS] == [{}] * 3
    assert table.rules.remembered() == 0


def test_the_items_of_a_transaction_reach_another_region_one_by_one():
    """Transactions: atomic only where made; others may see part until all is replicated."""
    partial = 0
    for seed in range(20):
        table = Table(pickup_ms=200, seed=seed)
        for key in ("debit", "credit"):
            table.write(US, key, "v", at=0)
        table.run(until=100)
        partial += len(table.items[EU]) == 1
    assert partial


def test_an_isolated_region_goes_on_and_what_it_wrote_comes_when_it_is_back():
    """How it works, MREC: what was not replicated is replicated when the replica is healthy."""
    table = Table()
    table.cut(AP)
    table.write(AP, "mine", "v", at=0)
    table.write(US, "theirs", "v", at=1)
    table.run(until=60_000)
    assert table.items[AP] == {"mine": "v"}
    assert table.items[EU] == {"theirs": "v"}
    assert table.rules.next_ms(AP) == math.inf
    assert table.rules.pending(AP) == {US: 1, EU: 0, AP: 0}
    table.heal()
    table.run(until=61_000)
    for region in REGIONS:
        assert table.items[region] == {"mine": "v", "theirs": "v"}


def test_however_long_a_link_is_cut_one_change_of_each_item_waits_for_it():
    """How it works, Streams: changes of an item may be combined into one replicated write."""
    table = Table()
    table.cut(US, EU)
    for number in range(50):
        table.write(US, "k", f"v{number}", at=number)
    assert table.rules.pending(EU)[US] == 1
    assert table.rules.pending(AP)[US] == 50
    table.heal()
    table.run(until=1000)
    assert table.streams[EU] == [("INSERT", "k", None, "v49")]


def test_what_is_on_a_link_when_it_is_cut_waits_for_it():
    """How it works, MREC: a replica that is isolated gets its changes once it no longer is."""
    table = Table()
    table.write(US, "k", "v", at=0)
    table.run(until=20)
    table.cut(US, EU)
    table.run(until=500)
    assert table.items[EU] == {}
    assert table.items[AP] == {"k": "v"}
    table.heal()
    assert table.rules.next_ms(EU) == 535


@pytest.mark.parametrize("image", ["newer", None])
def test_an_older_change_that_comes_to_a_new_replica_does_not_take_the_place_of_what_was_copied(
    image,
):
    """How it works, MREC: the latest write wins, on every replica."""
    table = Table()
    table.remove(AP)
    table.write(EU, "k", "older", at=0)
    table.write(US, "k", image, at=10)
    table.add(AP, source=US)
    table.copy_one(AP, source=US)
    table.run(until=1000)
    assert table.items[US] == table.items[EU] == table.items[AP]
    assert table.items[AP].get("k") == image


def test_an_older_change_that_is_there_before_the_copy_gives_way_to_it():
    """How it works, MREC: the latest write wins, on every replica."""
    table = Table()
    table.remove(AP)
    table.write(EU, "k", "older", at=0)
    table.write(US, "k", "newer", at=10)
    table.add(AP, source=US)
    table.run(until=1000)
    table.copy_one(AP, source=US)
    assert table.items[AP] == {"k": "newer"}


def test_what_was_copied_to_a_new_replica_does_not_go_backwards_there():
    """How it works, Streams: records of MREC replicas are ordered per item."""
    table = Table()
    table.remove(AP)
    table.write(US, "k", "first", at=0)
    table.add(AP, source=US)
    table.write(EU, "k", "second", at=50)
    table.write(US, "k", "third", at=51)
    table.copy_one(AP, source=US)
    table.run(until=1000)
    assert table.streams[AP] == [("INSERT", "k", None, "third")]


def test_what_a_region_wrote_before_it_lost_its_replica_comes_to_its_new_one_too():
    """How it works, MREC: what was not replicated is replicated when the replica is healthy."""
    table = Table()
    table.cut(AP)
    table.write(AP, "k", "v", at=0)
    table.remove(AP)
    table.add(AP, source=US)
    table.heal()
    table.run(until=1000)
    assert [table.items[region] for region in REGIONS] == [{"k": "v"}] * 3


def test_a_change_that_is_just_being_put_into_the_source_comes_to_a_new_replica_too():
    """How it works, MREC: changes are replicated to all other replicas."""
    table = Table()
    table.remove(AP)
    table.write(EU, "k", "v", at=0)
    arrival = table.rules.due(US, now_ms=35)
    table.now_ms = 35
    table.add(AP, source=US)  # Nothing is there to be copied yet.
    table.rules.arrived(US, arrival)
    table.run(until=1000)
    assert table.items[AP] == {"k": "v"}
    assert table.rules.remembered() == 0


@given(data=st.data(), pickup_ms=st.sampled_from([0, 100]))
def test_a_replica_that_is_added_amid_writes_ends_as_all_others(data, pickup_ms):
    """How it works, MREC: an item converges, in all replicas, to the version last written."""
    table = Table(pickup_ms=pickup_ms, seed=data.draw(st.integers(0, 99)))
    table.remove(AP)
    for number in range(data.draw(st.integers(1, 30))):
        joined = AP in table.rules.replicas
        match data.draw(st.sampled_from(["write", "write", "wait", "add", "copy"])):
            case "write":
                region = data.draw(st.sampled_from(table.rules.replicas))
                image = f"v{number}" if data.draw(st.booleans()) else None
                table.write(region, data.draw(st.sampled_from("xy")), image)
            case "wait":
                table.run(until=table.now_ms + data.draw(st.integers(0, 150)))
            case "add" if not joined:
                table.add(AP, source=US)
            case "copy" if joined:
                table.copy_one(AP, source=US)
    if AP not in table.rules.replicas:
        table.add(AP, source=US)
    while table.uncopied:
        table.copy_one(AP, source=US)
    table.run(until=table.now_ms + 10_000)
    assert table.items[US] == table.items[EU] == table.items[AP]
    assert table.rules.remembered() == 0


ACTIONS = st.lists(
    st.one_of(
        st.tuples(
            st.just("write"),
            st.tuples(st.sampled_from(REGIONS), st.sampled_from("xy"), st.booleans()),
        ),
        st.tuples(st.just("cut"), st.sampled_from(tuple(combinations(REGIONS, 2)))),
        st.tuples(st.just("heal"), st.just(())),
        st.tuples(st.just("wait"), st.tuples(st.integers(0, 200))),
    ),
    max_size=40,
)


@given(actions=ACTIONS, seed=st.integers(0, 99), pickup_ms=st.sampled_from([0, 100]))
def test_whatever_happens_all_replicas_end_as_the_last_write_says_and_nothing_is_remembered(
    actions, seed, pickup_ms
):
    """How it works, MREC: an item converges, in all replicas, to the version last written."""
    table = Table(pickup_ms=pickup_ms, seed=seed)
    last: dict[str, tuple[tuple, str | None]] = {}
    for number, (action, what) in enumerate(actions):
        if action == "write":
            region, key, there = what
            image = f"v{number}" if there else None
            table.write(region, key, image)
            rank = (table.now_ms, REGIONS.index(region), number)
            if table.now_ms > last.get(key, ((-1.0,), None))[0][0]:
                last[key] = (rank, image)
            else:
                last.pop(key, None)  # A tie: only that all agree can be said.
                last[key] = ((table.now_ms,), "tie")
        elif action == "wait":
            table.run(until=table.now_ms + what[0])
        else:
            getattr(table, action)(*what)
    table.heal()
    table.run(until=table.now_ms + 10_000)
    assert table.items[US] == table.items[EU] == table.items[AP]
    for key, (_, image) in last.items():
        if image != "tie":
            assert table.items[US].get(key) == image
    assert table.rules.remembered() == 0
