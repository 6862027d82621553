"""A region is lost for good: the others go on without it, and one of them answers for it."""

import json

import pytest

from eventstore.commits import Commit
from eventstore.errors import StoreUnavailable
from projections.regions import RegionRefused, RegionState
from projections.responses import ResponseStore
from tests.handlers.bodies import activation
from tests.handlers.network import ACTIVATION, REGIONS, Network
from tests.handlers.operator import Operator

US, EU, AP = REGIONS
MINUTE_MS = 60_000


@pytest.fixture
def operator(network: Network) -> Operator:
    return Operator(network)


def lose(network: Network, region: str) -> None:
    """A region is gone with all that it held: its functions, its queues, its tables."""
    network.unreachable = {region}
    network.without_states = {region}
    for queue in ("lane", "acks", "later"):
        network.take(region, queue)


def test_a_lost_region_is_left_out_and_a_survivor_answers_what_came_in_there(
    network: Network, operator: Operator
):
    for number in range(15):
        network[AP].post(activation(number))
    for name in (US, EU):
        network[name].project(*network.take(name, "lane"))
    lose(network, AP)
    network[US].post(activation(99))
    network.settle(without=[AP])
    assert network[US].answers == [], "the lost region is required still"

    steps = operator.do(
        operator.moves.drain_lost(AP, adopter=EU), lambda _step: network.settle(without=[AP])
    )

    assert len(network[EU].answers) == 15
    assert {answer["origin"] for answer in network[EU].answers} == {AP}
    assert all(answer["drained"] == [AP] for answer in network[EU].answers)
    assert "15 answers to give of 16 commits" in " ".join(step.told for step in steps)
    network[US].later(ms=MINUTE_MS)
    network[US].sweep()
    assert len(network[US].answers) == 1


def test_an_adoption_that_was_left_off_is_begun_again_and_answers_nothing_twice(
    network: Network, operator: Operator
):
    for number in range(15):
        network[AP].post(activation(number))
    for name in (US, EU):
        network[name].project(*network.take(name, "lane"))
    lose(network, AP)
    way = operator.moves.drain_lost(AP, adopter=EU)
    for step in way:
        network.elapsed_s += 1
        if step.phase == "adopted by eu-west-1":
            break
    way.close()

    operator.do(operator.moves.drain_lost(AP))

    given = [answer["answer_id"] for answer in network[EU].answers]
    assert (len(given), len(set(given))) == (15, 15)


def test_a_region_that_is_taking_over_answers_is_not_drained_before_that_is_ended(
    network: Network, operator: Operator
):
    network[AP].post(activation(1))
    for name in (US, EU):
        network[name].project(*network.take(name, "lane"))
    lose(network, AP)
    way = operator.moves.drain_lost(AP, adopter=EU)
    while operator.state(AP) is not RegionState.DRAINED:
        next(way)
        network.elapsed_s += 1

    with pytest.raises(RegionRefused, match="end that first: region drain ap-south-1 --lost"):
        operator.do(operator.moves.drain(EU))

    assert operator.state(EU) is RegionState.ACTIVE
    operator.do(way)
    operator.do(operator.moves.drain(EU), lambda _step: network.settle(without=[AP]))
    assert operator.state(EU) is RegionState.DRAINED


def test_what_the_lost_region_had_published_is_not_published_again_if_it_can_be_asked(
    network: Network, operator: Operator
):
    network[AP].post(activation(1))
    network.settle()
    network[AP].bus.refusing = True
    network[AP].post(activation(2))
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    network[AP].acknowledge(*network.take(AP, "acks"))
    stored = network[AP].deps.responses_of(AP)
    assert len(network[AP].answers) == 1
    lose(network, AP)
    network[EU].later(ms=MINUTE_MS)

    operator.do(operator.moves.drain_lost(AP, adopter=EU))

    [answer] = network[EU].answers
    assert answer["command"]["command_id"] == "c2"
    kept = stored.get(answer["command"]["commit"])
    assert kept is not None
    assert network[EU].bus.published[0].body == kept.body, "the body that was built there"


def test_a_region_drained_in_order_and_lost_then_can_still_be_adopted(
    network: Network, operator: Operator
):
    operator.do(operator.moves.drain(AP))

    operator.do(operator.moves.drain_lost(AP, adopter=EU))

    assert network.states.read().answering_region(AP) == EU
    with pytest.raises(RegionRefused, match="eu-west-1 answers for ap-south-1 already"):
        operator.do(operator.moves.drain_lost(AP, adopter=US))
    with pytest.raises(RegionRefused, match="is drained, and eu-west-1 answers for it"):
        operator.do(operator.moves.drain(AP))


def test_a_loss_does_not_end_well_if_the_region_was_brought_back_meanwhile(
    network: Network, operator: Operator
):
    network[AP].post(ACTIVATION)
    way = operator.moves.drain_lost(AP, adopter=EU)
    for step in way:
        network.elapsed_s += 1
        if "answers given now" in step.told:
            break

    network.move(AP, RegionState.JOINING)

    with pytest.raises(RegionRefused, match="ap-south-1 is joining now"):
        operator.do(way)


def test_a_lost_region_that_comes_back_answers_for_itself_again(
    network: Network, operator: Operator
):
    lose(network, AP)
    operator.do(operator.moves.drain_lost(AP, adopter=EU))
    network.unreachable, network.without_states = set(), set()

    operator.do(operator.moves.undrain(AP), lambda _step: network.settle())
    network.states_grow_old()
    network[AP].post(ACTIVATION)
    network.settle()

    assert network[EU].answers == []
    [answer] = network[AP].answers
    assert sorted(answer["regions"]) == sorted(REGIONS)


def cut_off(network: Network, operator: Operator, region: str, *, reads: int = 10**6) -> None:
    """A region is away with its tables, functions and queues, and all that may come back."""
    network.unreachable = {region}
    network.without_states = {region}
    operator.unreadable[region] = reads


def mended(network: Network, operator: Operator, region: str) -> None:
    network.unreachable, network.without_states = set(), set()
    operator.unreadable.clear()
    # Functions ask again for what they could not read.
    network.elapsed_s += 1


def bodies(network: Network) -> dict[str, set[str]]:
    """Every body that was ever published, by its id."""
    told: dict[str, set[str]] = {}
    for region in network.regions.values():
        for answer in region.bus.published:
            told.setdefault(json.loads(answer.body)["answer_id"], set()).add(answer.body)
    return told


def test_a_region_that_was_only_cut_off_and_comes_back_never_gives_a_second_body(
    network: Network, operator: Operator
):
    posted = [network[AP].post(activation(number))[1]["commit"] for number in range(3)]
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    late = network.take(AP, "acks")
    cut_off(network, operator, AP)
    operator.do(operator.moves.drain_lost(AP, adopter=EU))
    network[EU].later(ms=MINUTE_MS)
    network[EU].sweep()
    assert len(network[EU].answers) == 3

    mended(network, operator, AP)
    network[AP].later(ms=2 * MINUTE_MS)

    def it_tries_to_answer(_step: object) -> None:
        network[AP].acknowledge(*late)
        network[AP].sweep()
        network.settle()

    it_tries_to_answer(None)
    operator.do(operator.moves.undrain(AP), it_tries_to_answer)
    network.states_grow_old()
    it_tries_to_answer(None)

    assert network[AP].answers == []
    assert len(bodies(network)) == 3
    assert all(len(one) == 1 for one in bodies(network).values())
    for commit_id, answer in zip(posted, network[EU].bus.published, strict=True):
        kept = network[AP].deps.responses_of(AP).get(commit_id)
        assert kept is not None
        assert kept.published_at_ms is not None
        assert json.loads(kept.body or "")["answer_id"] in bodies(network)
        assert network[US].get(f"/commands/{answer.commit_id}")[1]["answer"] is not None


def test_nobody_answers_for_a_lost_region_before_what_it_had_built_was_looked_at(
    network: Network, operator: Operator
):
    network[AP].bus.refusing = True
    network[AP].post(ACTIVATION)
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    network[AP].acknowledge(*network.take(AP, "acks"))
    commit_id = told_commit(network)
    built = network[AP].deps.responses_of(AP).get(commit_id)
    assert built is not None
    assert built.body is not None

    def europe_hears_of_it(_step: object) -> None:
        # It is acknowledged again, now to who is to answer, and Europe's sweeper is at it.
        network[EU].stream(network.log.get(*commit_id_parts(commit_id), consistent=True))
        network[US].stream(network.log.get(*commit_id_parts(commit_id), consistent=True))
        network.settle(without=[AP])
        network[EU].sweep()

    operator.do(operator.moves.drain_lost(AP, adopter=EU), europe_hears_of_it)
    network[EU].later(ms=MINUTE_MS)
    network[EU].sweep()

    [answer] = network[EU].bus.published
    assert answer.body == built.body


def test_what_a_lost_region_has_published_is_kept_by_who_answers_for_it(
    network: Network, operator: Operator
):
    _, told = network[AP].post(ACTIVATION)
    network.settle()
    [given] = network[AP].answers

    operator.do(operator.moves.drain_lost(AP, adopter=EU))
    network.states_grow_old()

    assert network[US].get(f"/commands/{told['commit']}")[1]["answer"] == given
    assert network[EU].answers == []


def test_a_read_that_fails_a_few_times_does_not_make_a_lost_region_silent(
    network: Network, operator: Operator
):
    network[AP].post(ACTIVATION)
    network.settle()
    operator.unreadable[AP] = 4

    steps = operator.do(operator.moves.drain_lost(AP, adopter=EU))

    assert len(operator.pauses) == 4
    assert network[EU].answers == []
    assert not any("cannot be asked" in step.told for step in steps)


def test_a_lost_region_that_is_silent_is_asked_no_more_and_that_is_told(
    network: Network, operator: Operator
):
    network[AP].post(ACTIVATION)
    network.settle()
    cut_off(network, operator, AP)

    steps = operator.do(operator.moves.drain_lost(AP, adopter=EU))

    assert any("ap-south-1 cannot be asked" in step.told for step in steps)
    assert 10**6 - operator.unreadable[AP] == 5


def test_a_region_that_was_heard_and_then_falls_silent_stops_the_adoption(
    network: Network, operator: Operator
):
    network[AP].post(ACTIVATION)
    network.settle()
    way = operator.moves.drain_lost(AP, adopter=EU)
    store = operator.responses_of
    heard = []

    def silent_after_once(region: str) -> ResponseStore:
        if region == AP:
            heard.append(region)
            if len(heard) > 1:
                raise StoreUnavailable("gone")
        return store(region)

    object.__setattr__(operator.moves.adoption, "responses_of", silent_after_once)
    with pytest.raises(StoreUnavailable, match="gone"):
        operator.do(way)
    assert network[EU].answers == []

    object.__setattr__(operator.moves.adoption, "responses_of", store)
    operator.do(operator.moves.drain_lost(AP))
    assert network[EU].answers == []


@pytest.mark.parametrize("tables", ["readable", "gone"])
def test_an_answer_owed_for_longer_than_the_tokens_are_known_is_adopted(
    network: Network, operator: Operator, tables: str
):
    bounds = network[US].deps.settings
    network[AP].post(ACTIVATION)
    for name in (US, EU):
        network[name].project(*network.take(name, "lane"))
    if tables == "readable":
        # It is pending there: then its age does not matter at all.
        network[AP].project(*network.take(AP, "lane"))
        age_ms = bounds.answer_kept_s * 1000 + MINUTE_MS
        lose(network, AP)
    else:
        age_ms = bounds.token_window_s * 1000 + MINUTE_MS
        cut_off(network, operator, AP)
        for queue in ("lane", "acks"):
            network.take(AP, queue)
    now_ms = operator.moves.adoption.now_ms
    object.__setattr__(operator.moves.adoption, "now_ms", lambda: now_ms() + age_ms)
    network[EU].later(ms=age_ms + MINUTE_MS)

    operator.do(operator.moves.drain_lost(AP, adopter=EU))

    assert len(network[EU].answers) == 1


def test_what_was_answered_and_forgotten_elsewhere_is_not_answered_at_home_again(
    network: Network, operator: Operator
):
    network[AP].post(ACTIVATION)
    for name in REGIONS:
        network[name].project(*network.take(name, "lane"))
    network.take(AP, "acks")
    cut_off(network, operator, AP)
    operator.do(operator.moves.drain_lost(AP, adopter=EU))
    network[EU].later(ms=MINUTE_MS)
    network[EU].sweep()
    [answer] = network[EU].bus.published
    network[EU].deps.responses_of(EU).forget(answer.commit_id)
    assert network[EU].deps.responses_of(EU).get(answer.commit_id), "published: only time ends it"
    expire(network, EU, answer.commit_id)
    mended(network, operator, AP)
    kept_ms = network[US].deps.settings.answer_kept_s * 1000 + MINUTE_MS
    now_ms = operator.moves.adoption.now_ms
    object.__setattr__(operator.moves.adoption, "now_ms", lambda: now_ms() + kept_ms)

    operator.do(operator.moves.undrain(AP), lambda _step: network.settle())
    network.states_grow_old()
    network[AP].later(ms=kept_ms)
    network[AP].sweep()

    assert network[AP].answers == []
    assert len(network[EU].answers) == 1


def test_a_region_does_not_serve_while_another_still_owes_its_answers(
    network: Network, operator: Operator
):
    network[AP].post(ACTIVATION)
    network[EU].project(*network.take(EU, "lane"))
    # America lags, so Europe cannot answer.
    lagging = network.take(US, "lane")
    lose(network, AP)
    operator.do(operator.moves.drain_lost(AP, adopter=EU))
    mended(network, operator, AP)
    network[EU].later(ms=MINUTE_MS)
    way = operator.moves.undrain(AP)
    for _ in range(60):
        step = next(way)
        network[AP].stream(*heads(network))
        network.elapsed_s += 1
    assert step.told == "1 answers for eu-west-1 to give, of 1 commits"
    assert operator.state(AP) is RegionState.JOINING

    network[US].project(*lagging)
    network[EU].later(ms=60 * MINUTE_MS)
    operator.do(way)

    assert operator.state(AP) is RegionState.ACTIVE
    assert len(network[EU].answers) == 1


def test_what_an_adopter_had_opened_before_it_was_lost_itself_is_closed_when_it_returns(
    network: Network, operator: Operator
):
    """Its origin returns first, answered by the second adopter: nobody else would close it."""
    for number in range(3):
        network[EU].post(activation(number))
    for name in (US, AP):
        network[name].project(*network.take(name, "lane"))
    lose(network, EU)
    # It takes the answers over, and is lost before it has given one of them.
    network[US].bus.refusing = True
    operator.do(operator.moves.drain_lost(EU, adopter=US))
    assert network[US].deps.responses_of(US).count_pending() == 3
    network.unreachable = network.without_states = {EU, US}
    network[AP].later(ms=MINUTE_MS)
    operator.do(operator.moves.drain_lost(US, adopter=AP))
    assert len(network[AP].answers) == 3

    network.unreachable = network.without_states = {US}
    operator.do(operator.moves.undrain(EU), lambda _step: network.settle(without=[US]))
    network[US].bus.refusing = False
    network.unreachable = network.without_states = set()
    operator.do(operator.moves.undrain(US), lambda _step: network.settle())

    assert [network[name].deps.responses_of(name).count_pending() for name in REGIONS] == [0, 0, 0]
    given = [answer["command"]["commit"] for name in REGIONS for answer in network[name].answers]
    assert len(given) == len(set(given)) == 3


def commit_id_parts(commit_id: str) -> tuple[str, int]:
    aggregate_id, _, position = commit_id.rpartition(".")
    return aggregate_id, int(position)


def heads(network: Network) -> list[Commit]:
    aggregate_id = network[US].deps.keys.aggregate_id("sub", ACTIVATION["data"]["imsi"])
    head = network.log.head(aggregate_id, consistent=True)
    assert head is not None
    return [head]


def told_commit(network: Network) -> str:
    return heads(network)[0].commit_id


def expire(network: Network, region: str, commit_id: str) -> None:
    """Let DynamoDB remove a published item, as it does once its time is over."""
    store = network[region].deps.responses_of(region)
    store._client.delete_item(TableName=store._table, Key={"c": {"S": commit_id}})
