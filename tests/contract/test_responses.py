"""What the response items of a region promise, on every engine."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from projections.response_items import Response
from projections.responses import Backlog, ResponseStore, _shard
from projections.ways import Way

Race = Callable[[Callable[[int], Any]], Sequence[Any]]
COMMIT = "sub.aaaaaaaaaaaaaaaaaaaaaaaaaa.1"
US, EU = "us-east-1", "eu-west-1"
ALWAYS = 10**15


def overdue(responses: ResponseStore, now_ms: int = ALWAYS) -> list[str]:
    return list(responses.overdue(now_ms=now_ms, limit=400))


def published(responses: ResponseStore) -> None:
    responses.gather(COMMIT, {US: 1}, due_ms=5)
    assert responses.store_body(COMMIT, "{}", at_ms=2)
    responses.mark_published(COMMIT, at_ms=3)


def test_of_a_commit_that_did_not_come_in_here_nothing_is_known(responses: ResponseStore):
    assert responses.get(COMMIT) is None
    assert responses.get(COMMIT, consistent=False) is None
    assert overdue(responses) == []


def test_an_item_opens_without_an_acknowledgement_and_is_pending(responses: ResponseStore):
    opened = responses.gather(COMMIT, {}, due_ms=100)

    assert opened == Response(
        commit_id=COMMIT,
        applied_at_ms={},
        body=None,
        stored_at_ms=None,
        published_at_ms=None,
        first_due_ms=100,
    )
    assert responses.get(COMMIT) == opened
    assert overdue(responses, 99) == []
    assert overdue(responses, 100) == [COMMIT]


def test_acknowledgements_gather_and_the_first_time_of_a_region_stays(responses: ResponseStore):
    responses.gather(COMMIT, {}, due_ms=100)
    responses.gather(COMMIT, {US: 10}, due_ms=200)
    responses.gather(COMMIT, {US: 20, EU: 30}, due_ms=300)

    gathered = responses.gather(COMMIT, {EU: 5}, due_ms=400)

    assert gathered is not None
    assert gathered.applied_at_ms == {US: 10, EU: 30}
    assert gathered.lacks(frozenset({US, EU, "ap-south-1"})) == {"ap-south-1"}
    assert responses.get(COMMIT) == gathered
    assert overdue(responses, 100) == [COMMIT], "the first due time stays too"


def test_sixteen_racing_gathers_are_all_kept(responses: ResponseStore, race: Race):
    told = race(lambda n: responses.gather(COMMIT, {f"region-{n}": n}, due_ms=100))

    gathered = responses.get(COMMIT)
    assert gathered is not None
    assert gathered.applied_at_ms == {f"region-{n}": n for n in range(16)}
    # So at least one of the racers sees the proof whole, and answers.
    assert gathered in told
    assert overdue(responses) == [COMMIT]


def test_the_body_that_is_stored_first_stays(responses: ResponseStore):
    responses.gather(COMMIT, {US: 1}, due_ms=100)

    assert responses.store_body(COMMIT, '{"first":"\N{SNOWMAN}"}', at_ms=7)
    assert not responses.store_body(COMMIT, '{"second":2}', at_ms=8)

    stored = responses.get(COMMIT)
    assert stored is not None
    assert (stored.body, stored.stored_at_ms) == ('{"first":"\N{SNOWMAN}"}', 7)
    assert stored.applied_at_ms == {US: 1}
    assert overdue(responses) == [COMMIT], "it is not published yet"


def test_a_body_whose_answer_got_lost_is_stored_by_whoever_stores_it_again(
    responses: ResponseStore,
):
    responses.gather(COMMIT, {US: 1}, due_ms=100)

    assert responses.store_body(COMMIT, '{"mine":1}', at_ms=7)
    assert responses.store_body(COMMIT, '{"mine":1}', at_ms=7)

    responses.mark_published(COMMIT, at_ms=8)
    assert not responses.store_body(COMMIT, '{"mine":1}', at_ms=7), "it is nobody's to publish"


def test_of_sixteen_racing_bodies_one_is_stored(responses: ResponseStore, race: Race):
    responses.gather(COMMIT, {US: 1}, due_ms=100)

    won = race(lambda n: responses.store_body(COMMIT, f"body {n}", at_ms=n))

    assert won.count(True) == 1
    stored = responses.get(COMMIT)
    assert stored is not None
    assert stored.body == f"body {won.index(True)}"


def test_an_item_that_nobody_opened_takes_no_body(responses: ResponseStore):
    assert not responses.store_body(COMMIT, "{}", at_ms=1)
    assert responses.get(COMMIT) is None


def test_what_is_published_leaves_the_pending_index(responses: ResponseStore):
    published(responses)

    closed = responses.get(COMMIT)
    assert closed is not None
    assert (closed.body, closed.published_at_ms) == ("{}", 3)
    assert overdue(responses) == []


def test_nothing_opens_a_published_item_again(responses: ResponseStore):
    published(responses)
    closed = responses.get(COMMIT)

    assert responses.gather(COMMIT, {EU: 9}, due_ms=1) is None
    assert not responses.store_body(COMMIT, '{"late":1}', at_ms=9)
    responses.postpone(COMMIT, due_ms=1)

    assert responses.get(COMMIT) == closed
    assert overdue(responses) == []


def test_publishing_again_leaves_it_published(responses: ResponseStore):
    published(responses)
    responses.mark_published(COMMIT, at_ms=9)

    closed = responses.get(COMMIT)
    assert closed is not None
    assert closed.body == "{}"
    assert closed.published_at_ms is not None
    assert overdue(responses) == []


@pytest.mark.parametrize("opened", [False, True])
def test_nothing_is_published_without_a_body(responses: ResponseStore, opened: bool):  # noqa: FBT001
    if opened:
        responses.gather(COMMIT, {US: 1}, due_ms=5)

    responses.mark_published(COMMIT, at_ms=9)

    found = responses.get(COMMIT)
    assert (found is not None) == opened
    assert found is None or found.published_at_ms is None
    assert overdue(responses) == ([COMMIT] if opened else [])


def test_publishing_against_stragglers_ends_published(responses: ResponseStore, race: Race):
    responses.gather(COMMIT, {US: 1}, due_ms=5)
    responses.store_body(COMMIT, "{}", at_ms=2)

    def one(number: int) -> None:
        if number == 7:
            responses.mark_published(COMMIT, at_ms=3)
        else:
            responses.gather(COMMIT, {f"region-{number}": number}, due_ms=1)

    race(one)

    closed = responses.get(COMMIT)
    assert closed is not None
    assert closed.published_at_ms == 3
    assert overdue(responses) == []


def test_what_is_postponed_is_due_later(responses: ResponseStore):
    responses.gather(COMMIT, {US: 1}, due_ms=100)

    responses.postpone(COMMIT, due_ms=500)

    assert overdue(responses, 499) == []
    assert overdue(responses, 500) == [COMMIT]


def test_postponing_what_is_not_there_opens_nothing(responses: ResponseStore):
    responses.postpone(COMMIT, due_ms=500)

    assert responses.get(COMMIT) is None
    assert overdue(responses) == []


def test_all_overdue_are_found_once_and_none_that_are_not_due(responses: ResponseStore):
    commits = [f"sub.{'a' * 26}.{n}" for n in range(1, 41)]
    for number, commit_id in enumerate(commits):
        responses.gather(commit_id, {}, due_ms=number)

    assert sorted(overdue(responses, 24)) == sorted(commits[:25])


def test_the_longest_overdue_of_a_shard_come_first_and_the_limit_holds(responses: ResponseStore):
    everything = (f"sub.{'a' * 26}.{n}" for n in range(1, 10_000))
    one_shard = [c for c in everything if _shard(c) == "3"][:9]
    for number, commit_id in enumerate(reversed(one_shard)):
        # Due times of one, two and more digits: they are ordered as numbers.
        responses.gather(commit_id, {}, due_ms=4**number)

    found = list(responses.overdue(now_ms=ALWAYS, limit=32))

    assert found == list(reversed(one_shard))[:4]


def test_the_first_way_of_a_region_stays_and_is_kept_when_published(responses: ResponseStore):
    first = Way(committed=90, arrived=-3, applied={"activity": 7}, heard=170)
    responses.gather(COMMIT, {EU: 10}, due_ms=100, ways={EU: first})
    responses.gather(COMMIT, {EU: 20, US: 5}, due_ms=100, ways={EU: Way(heard=9), US: Way()})
    responses.store_body(COMMIT, "{}", at_ms=2)
    responses.mark_published(COMMIT, at_ms=3)

    told = responses.get(COMMIT)

    assert told is not None
    assert told.ways == {EU: first, US: Way()}


def test_a_way_that_cannot_be_read_holds_no_answer_up(responses: ResponseStore):
    odd = Way().model_copy(update={"heard": 10**400})
    responses.gather(COMMIT, {US: 5}, due_ms=100, ways={US: odd})

    gathered = responses.gather(COMMIT, {EU: 6}, due_ms=100)

    assert gathered is not None
    assert gathered.ways == {US: Way()}
    assert gathered.applied_at_ms == {US: 5, EU: 6}


def test_the_backlog_is_as_old_as_its_oldest_answer_however_often_that_was_put_off(
    responses: ResponseStore,
):
    assert responses.backlog() == Backlog(0, None)
    commits = [f"sub.{'a' * 26}.{n}" for n in range(1, 21)]
    for number, commit_id in enumerate(commits):
        responses.gather(commit_id, {}, due_ms=100 + number)
    responses.postpone(commits[0], due_ms=10**9)
    # Acknowledged again: due at another time, and as old as before.
    responses.gather(commits[0], {US: 1}, due_ms=10**9)

    assert responses.backlog() == Backlog(20, 100)

    responses.store_body(commits[0], "{}", at_ms=2)
    responses.mark_published(commits[0], at_ms=3)
    assert responses.backlog() == Backlog(19, 101)


def test_what_is_pending_is_listed_and_counted_whatever_it_is_due(responses: ResponseStore):
    commits = {f"sub.{'a' * 26}.{n}" for n in range(1, 30)}
    for number, commit_id in enumerate(commits):
        responses.gather(commit_id, {}, due_ms=ALWAYS + number)
    published(responses)

    assert set(responses.pending()) == commits - {COMMIT}
    assert responses.count_pending() == 28


@pytest.mark.parametrize("body", ['{"theirs":1}', pytest.param(None, id="erased")])
@pytest.mark.parametrize("before", ["nothing", "open", "built"])
def test_an_answer_taken_over_is_as_it_was_published_and_no_longer_pending(
    responses: ResponseStore, before: str, body: str | None
):
    answer = Response(
        commit_id=COMMIT,
        applied_at_ms={US: 1, EU: 2},
        body=body,
        stored_at_ms=3,
        published_at_ms=4,
        ways={EU: Way(heard=7)},
        kept=None if body is None else {"S": body},
    )
    if before != "nothing":
        responses.gather(COMMIT, {US: 1}, due_ms=5)
    if before == "built":
        assert responses.store_body(COMMIT, '{"mine":1}', at_ms=6)

    responses.take_over(answer)

    taken = responses.get(COMMIT)
    assert taken is not None
    assert replace(taken, first_due_ms=None) == answer
    assert overdue(responses) == []
    responses.take_over(replace(answer, kept={"S": '{"other":1}'}))
    assert responses.get(COMMIT) == taken, "published is published"


def test_only_what_is_not_published_can_be_forgotten(responses: ResponseStore):
    responses.gather(COMMIT, {US: 1}, due_ms=5)
    responses.forget(COMMIT)
    assert responses.get(COMMIT) is None
    assert overdue(responses) == []

    published(responses)
    responses.forget(COMMIT)
    assert responses.get(COMMIT) is not None
