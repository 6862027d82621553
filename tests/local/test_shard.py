"""What Lambda's stream mapping does with a shard: the rules, without streams or functions."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.shard import RETRIES_EXHAUSTED, TOO_OLD, Shard, StreamMapping


def mapping(**changes: Any) -> StreamMapping:
    configuration = {
        "UUID": "1",
        "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:antiphon-projector",
        "EventSourceArn": "arn:aws:dynamodb:us-east-1:000000000000:table/antiphon-events/stream/x",
        "BatchSize": 4,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        **changes,
    }
    return StreamMapping.of(configuration)


def record(number: int, *, created_s: float = 0) -> dict:
    return {
        "dynamodb": {"SequenceNumber": str(number), "ApproximateCreationDateTime": created_s},
    }


def numbers(records) -> list[int]:
    return [int(one["dynamodb"]["SequenceNumber"]) for one in records]


def failing(*failed: int) -> dict:
    return {"batchItemFailures": [{"itemIdentifier": str(number)} for number in failed]}


def shard_of(count: int, **changes: Any) -> Shard:
    shard = Shard(mapping(**changes))
    shard.add([record(number) for number in range(1, count + 1)])
    return shard


def test_a_batch_has_at_most_the_size_of_the_mapping():
    shard = shard_of(6)
    assert numbers(shard.batch()) == [1, 2, 3, 4]
    shard.answered({})
    assert numbers(shard.batch()) == [5, 6]


def test_a_batch_that_was_not_tried_yet_is_filled_up():
    shard = shard_of(2)
    assert shard.has_room
    shard.add([record(3), record(4), record(5)])
    assert numbers(shard.batch()) == [1, 2, 3, 4]
    assert not shard.has_room


def test_the_lowest_failed_record_is_the_checkpoint_and_all_from_it_on_come_again():
    shard = shard_of(4)
    assert shard.answered(failing(4, 2)) is None
    assert numbers(shard.batch()) == [2, 3, 4]


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, "text", []])
def test_an_answer_that_reports_no_failure_ends_the_batch(answer):
    shard = shard_of(2)
    assert shard.answered(answer) is None
    assert shard.batch() == []


@pytest.mark.parametrize("identifier", ["", None, "99"])
def test_a_report_that_names_nothing_known_fails_the_whole_batch(identifier):
    shard = shard_of(2)
    shard.answered({"batchItemFailures": [{"itemIdentifier": identifier}]})
    assert numbers(shard.batch()) == [1, 2]


def test_failures_count_only_where_the_mapping_asks_for_them():
    shard = shard_of(2, FunctionResponseTypes=[])
    shard.answered(failing(1))
    assert shard.batch() == []


def test_a_batch_whose_function_raised_comes_again_whole():
    shard = shard_of(3)
    assert shard.failed() is None
    assert numbers(shard.batch()) == [1, 2, 3]


def test_a_batch_whose_function_raised_is_halved_until_the_record_stands_alone():
    shard = shard_of(4, BisectBatchOnFunctionError=True)
    shard.failed()
    assert numbers(shard.batch()) == [1, 2]
    shard.answered({})
    assert numbers(shard.batch()) == [3, 4]
    shard.failed()
    assert numbers(shard.batch()) == [3]
    shard.failed()
    assert numbers(shard.batch()) == [3]


def test_a_record_is_given_up_after_its_retries_and_the_next_goes_on():
    shard = shard_of(3, MaximumRetryAttempts=2)
    assert shard.answered(failing(2)) is None
    assert shard.answered(failing(2)) is None
    discarded = shard.answered(failing(2))
    assert discarded.condition == RETRIES_EXHAUSTED
    assert numbers(discarded.records) == [2, 3]
    assert discarded.attempts == 3


def test_halving_a_batch_uses_up_no_attempt():
    shard = shard_of(2, BisectBatchOnFunctionError=True, MaximumRetryAttempts=0)
    assert shard.failed() is None
    assert numbers(shard.failed().records) == [1]
    assert numbers(shard.batch()) == [2]


@pytest.mark.parametrize("unlimited", [-1, None])
def test_without_a_limit_a_record_is_tried_for_as_long_as_it_takes(unlimited):
    shard = shard_of(1, MaximumRetryAttempts=unlimited, MaximumRecordAgeInSeconds=unlimited)
    assert all(shard.failed() is None for _ in range(1000))
    assert shard.too_old(now_s=1e9) is None


def test_records_past_the_age_of_the_mapping_are_given_up_and_the_younger_are_not():
    shard = Shard(mapping(MaximumRecordAgeInSeconds=60))
    shard.add([record(1, created_s=10), record(2, created_s=39), record(3, created_s=41)])
    discarded = shard.too_old(now_s=100)
    assert discarded.condition == TOO_OLD
    assert numbers(discarded.records) == [1, 2]
    assert numbers(shard.batch()) == [3]
    assert shard.too_old(now_s=100) is None


def test_a_shard_whose_every_record_is_too_old_is_empty():
    shard = Shard(mapping(MaximumRecordAgeInSeconds=60))
    shard.add([record(1, created_s=10)])
    assert numbers(shard.too_old(now_s=100).records) == [1]
    assert shard.batch() == []


@given(
    sizes=st.lists(st.integers(1, 7), min_size=1, max_size=6),
    outcomes=st.lists(st.sampled_from(["all", "raise", "some"]), max_size=40),
    picks=st.lists(st.integers(0, 100), min_size=1, max_size=10),
    bisect=st.booleans(),
    retries=st.sampled_from([-1, 0, 2]),
)
def test_every_record_succeeds_or_is_given_up_in_order_and_none_is_passed_over(
    sizes, outcomes, picks, bisect, retries
):
    shard = Shard(mapping(BisectBatchOnFunctionError=bisect, MaximumRetryAttempts=retries))
    done: list[int] = []
    read = 0
    outcomes = [*outcomes]
    while True:
        if sizes and shard.has_room:
            size = sizes.pop()
            shard.add([record(number) for number in range(read + 1, read + size + 1)])
            read += size
        batch = numbers(shard.batch())
        if not batch:
            break
        # Nothing before the batch is left, nothing of it is skipped.
        assert batch[0] == len(done) + 1
        outcome = outcomes.pop() if outcomes else "all"
        if outcome == "raise":
            discarded = shard.failed()
        elif outcome == "some":
            checkpoint = batch[picks[len(outcomes) % len(picks)] % len(batch)]
            discarded = shard.answered(failing(checkpoint))
            done += [number for number in batch if number < checkpoint]
        else:
            discarded = shard.answered({})
            done += batch
        done += numbers(discarded.records) if discarded else []
    assert not sizes
    assert Counter(done) == Counter(range(1, read + 1))
    assert done == sorted(done)
