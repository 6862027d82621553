"""Which regions serve and which are required, and how old that may be to go by it."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore.errors import StoreUnavailable
from projections.control import Control
from projections.regions import NotServing, RegionRefused, RegionState, Topology

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
ACTIVE, LEAVING, DRAINED, JOINING = RegionState
FRESH_S = 10.0


def moved(*moves: tuple[str, RegionState], adopter: str | None = None) -> Topology:
    topology = Topology.all_active(REGIONS)
    for region, state in moves:
        by = adopter if state is DRAINED else None
        topology = topology.moved(region, state, at_ms=1, adopter=by)
    return topology


def test_while_nobody_has_moved_a_region_all_serve_and_are_required():
    topology = Topology.all_active(REGIONS)

    assert topology.serving == REGIONS
    assert topology.required(US) == frozenset(REGIONS)
    assert topology.left_out(US) == ()


@pytest.mark.parametrize("way", [(LEAVING,), (LEAVING, JOINING), (LEAVING, DRAINED, JOINING)])
def test_a_region_on_its_way_is_required_and_does_not_serve(way: tuple[RegionState, ...]):
    topology = moved(*((AP, state) for state in way))

    assert topology.required(US) == frozenset(REGIONS)
    assert topology.serving == (US, EU)
    with pytest.raises(NotServing, match=f"{AP} is {way[-1]} .* ask us-east-1 or eu-west-1"):
        topology.check_serves(AP)
    topology.check_serves(EU)


def test_a_drained_region_is_left_out_but_of_its_own_answers():
    topology = moved((AP, LEAVING), (AP, DRAINED))

    assert topology.required(US) == {US, EU}
    assert topology.left_out(US) == (AP,)
    assert topology.required(AP) == frozenset(REGIONS)
    assert topology.left_out(AP) == ()


def test_a_leaving_region_empties_its_queue_of_commands_and_no_other_state_takes_any():
    taken = {
        topology.state(AP): topology.takes_queued(AP)
        for topology in (
            moved(),
            moved((AP, LEAVING)),
            moved((AP, LEAVING), (AP, DRAINED)),
            moved((AP, LEAVING), (AP, JOINING)),
        )
    }

    assert taken == {ACTIVE: True, LEAVING: True, DRAINED: False, JOINING: False}


def test_an_unknown_region_is_refused_by_name():
    with pytest.raises(RegionRefused, match="no region mars here; there are us-east-1, eu-west-1"):
        moved(("mars", LEAVING))


def test_the_last_region_that_serves_stays_whatever_the_others_are():
    topology = moved((AP, LEAVING), (EU, LEAVING), (EU, JOINING))

    with pytest.raises(RegionRefused, match="us-east-1 is the last region that serves"):
        topology.moved(US, LEAVING, at_ms=1)


@pytest.mark.parametrize("adopter", [AP, EU, "mars"])
def test_who_adopts_a_lost_region_is_another_and_active(adopter: str):
    topology = moved((EU, LEAVING), (AP, LEAVING))

    with pytest.raises(RegionRefused):
        topology.moved(AP, DRAINED, at_ms=1, adopter=adopter)


def test_who_adopted_a_region_answers_for_it_and_for_whom_that_one_had_adopted():
    topology = moved((AP, LEAVING), (AP, DRAINED), (AP, DRAINED), adopter=EU)
    assert topology.answered_by(EU) == {EU, AP}

    topology = topology.moved(EU, LEAVING, at_ms=1).moved(EU, DRAINED, at_ms=1, adopter=US)

    assert topology.answering_region(AP) == US
    assert topology.answered_by(US) == frozenset(REGIONS)
    assert topology.answered_through(EU) == {EU, AP}
    assert topology.keepers(AP) == (AP, EU, US)
    assert not any(topology.may_answer(region, AP) for region in REGIONS), "not begun"
    assert topology.moved(EU, DRAINED, at_ms=1, adopter=US).may_answer(US, AP)


def answer_for(topology: Topology, origin: str) -> set[str]:
    return {region for region in REGIONS if topology.may_answer(region, origin)}


def test_between_two_who_answer_for_a_region_there_is_a_time_in_which_nobody_does():
    told = []
    topology = moved()
    for state in (LEAVING, DRAINED, DRAINED, JOINING, JOINING, ACTIVE):
        topology = topology.moved(AP, state, at_ms=1, adopter=EU)
        told.append((state, answer_for(topology, AP), answer_for(topology, US)))

    assert told == [
        (LEAVING, {AP}, {US}),
        (DRAINED, set(), {US}),
        (DRAINED, {EU}, {US}),
        (JOINING, {EU}, {US}),
        (JOINING, {AP}, {US}),
        (ACTIVE, {AP}, {US}),
    ]


def test_a_region_that_comes_back_answers_again_before_it_serves_and_what_was_is_remembered():
    joining = moved((AP, LEAVING), (AP, DRAINED), (AP, DRAINED), (AP, JOINING), adopter=EU)
    assert joining.answering_region(AP) == EU
    with pytest.raises(RegionRefused, match="eu-west-1 answers for ap-south-1 until its answers"):
        joining.moved(AP, ACTIVE, at_ms=1)

    active = joining.moved(AP, JOINING, at_ms=1).moved(AP, ACTIVE, at_ms=1)

    assert active.answering_region(AP) == AP
    assert active.standings[AP].adopters == (EU,)
    assert active.standings[AP].drained_before
    assert not active.standings[US].drained_before


def test_a_region_whose_answers_are_being_taken_over_does_not_come_back_half_way():
    named = moved((AP, LEAVING), (AP, DRAINED), adopter=EU)

    with pytest.raises(RegionRefused, match="end that first: region drain ap-south-1 --lost"):
        named.moved(AP, JOINING, at_ms=1)


@given(st.lists(st.tuples(st.sampled_from(REGIONS), st.sampled_from(RegionState)), max_size=40))
def test_however_regions_are_moved_one_serves_and_whoever_serves_is_required(
    moves: Sequence[tuple[str, RegionState]],
):
    topology = Topology.all_active(REGIONS)
    for region, state in moves:
        adopter = next((r for r in topology.serving if r != region), None)
        try:
            topology = topology.moved(region, state, at_ms=1, adopter=adopter)
        except RegionRefused:
            continue
        assert topology.serving
        assert {topology.answering_region(origin) for origin in REGIONS} <= set(REGIONS)
        for origin in REGIONS:
            assert sum(topology.may_answer(region, origin) for region in REGIONS) <= 1
            assert topology.standings[origin].adopter is None or origin not in topology.serving
        for answering in REGIONS:
            assert {answering, *topology.serving} <= topology.required(answering)


class States:
    """A control item that takes `took_s` to read, and cannot be read while `broken`."""

    def __init__(self) -> None:
        self.topology = Topology.all_active(REGIONS)
        self.now_s = 0.0
        self.took_s = 0.0
        self.reads = 0
        self.broken = False

    def read(self) -> Topology:
        self.reads += 1
        topology = self.topology
        self.now_s += self.took_s
        if self.broken:
            raise StoreUnavailable("no way there")
        return topology


@pytest.fixture
def states() -> States:
    return States()


@pytest.fixture
def control(states: States) -> Control:
    return Control(
        states,  # type: ignore[arg-type]
        elapsed_s=lambda: states.now_s,
        fresh_s=FRESH_S,
        assumed=Topology.all_active(REGIONS),
    )


def test_many_commands_share_one_read_of_the_states(control: Control, states: States):
    for _ in range(100):
        control.current()

    assert states.reads == 1


def test_states_are_read_again_when_half_of_their_time_is_over(control: Control, states: States):
    control.current()
    states.topology = moved((AP, LEAVING))

    states.now_s = FRESH_S / 2 - 0.1
    assert control.current().state(AP) is ACTIVE
    states.now_s = FRESH_S / 2
    assert control.current().state(AP) is LEAVING


def test_states_older_than_the_bound_decide_nothing(control: Control, states: States):
    control.current()
    states.broken = True
    states.now_s = FRESH_S
    assert control.current().serving == REGIONS, "in time still"

    states.now_s = FRESH_S + 0.1

    with pytest.raises(StoreUnavailable, match="not known now: StoreUnavailable: no way there"):
        control.current()
    assert control.known().serving == REGIONS, "a hint may be old"


def test_the_age_of_states_counts_from_before_they_were_asked_for(control: Control, states: States):
    states.took_s = FRESH_S + 0.1

    with pytest.raises(StoreUnavailable):
        control.current()


def test_what_cannot_be_read_is_not_guessed_and_not_asked_for_by_everyone_at_once(
    control: Control, states: States
):
    states.broken = True

    for _ in range(100):
        with pytest.raises(StoreUnavailable):
            control.current()
        control.known()
    assert states.reads == 1

    states.broken = False
    states.now_s += 1.0
    assert control.current().serving == REGIONS


def test_hints_are_not_waited_for_again_and_again_while_states_cannot_be_read(
    control: Control, states: States
):
    states.broken, states.took_s = True, 2.0

    for _ in range(10):
        control.known()

    assert states.reads == 1


def test_a_slow_read_does_not_bring_back_what_was_read_later(control: Control, states: States):
    control.current()
    states.now_s = FRESH_S / 2
    old, read = states.topology, states.read

    def slow() -> Topology:
        """Another thread reads, and is done, while this one's answer is on its way."""
        states.read = read  # type: ignore[method-assign]
        states.topology = moved((AP, LEAVING))
        states.now_s = FRESH_S
        control.current()
        return old

    states.read = slow  # type: ignore[method-assign]
    control.current()

    assert control.current().state(AP) is LEAVING
