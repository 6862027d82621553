"""Replies that a producer must never get."""

import json

from tests.simulation.altered import (
    moved,
    records,
    with_body,
    with_command,
    with_final,
    with_record,
    without,
    without_commit,
)
from tests.simulation.broken.cases import breaks, conflict, problem, replies
from tests.simulation.history import (
    Appended,
    Applied,
    History,
    Invoked,
    Returned,
)
from tests.simulation.sound import EU


@breaks("reply-names-its-commit", saying="sequence")
def a_reply_tells_another_sequence(history: History) -> History:
    return with_body(history, replies(history)[2], sequence=1)


@breaks("reply-names-its-commit", saying="which is not in the log")
def a_command_that_was_accepted_is_not_in_the_log(history: History) -> History:
    return without_commit(history, 4)


@breaks("reply-names-its-commit", saying="time")
def a_reply_comes_before_the_append(history: History) -> History:
    first = replies(history)[0]
    return moved(history, records(history, Appended)[0], after=first.step)


@breaks("duplicate-same-result")
def a_duplicate_gets_another_result(history: History) -> History:
    other = json.loads(replies(history)[2].body)
    told = {name: other[name] for name in ("sequence", "commit", "consistency_token")}
    return with_body(history, replies(history)[1], **told)


@breaks("fresh-once", saying="2 replies")
def a_duplicate_is_told_to_be_the_first(history: History) -> History:
    return with_body(history, replies(history)[1], duplicate=False)


@breaks("fresh-once", saying="was no duplicate")
def the_first_is_told_to_be_a_duplicate(history: History) -> History:
    return with_body(history, replies(history)[2], duplicate=True)


@breaks("refused-leaves-nothing")
def a_command_that_was_not_recorded_says_the_reply_is_in_the_log(history: History) -> History:
    body = problem(409, "conflict")
    return with_record(history, replies(history)[2], status=409, body=body)


@breaks("refusal-justified")
def a_right_expectation_is_refused(history: History) -> History:
    return with_command(history, "c-5", expected_sequence=4)


@breaks("refusal-justified", saying="409 conflict")
def a_conflict_is_told_though_nobody_came_in_between(history: History) -> History:
    return conflict(without_commit(history, 1), 2, after_ms=7_900)


@breaks("refusal-justified", saying="409 conflict")
def a_slow_conflict_is_told_where_the_log_had_nobody_to_meet(history: History) -> History:
    return conflict(without_commit(history, 0), 0, after_ms=9_000)


@breaks("refusal-justified")
def a_region_that_has_applied_it_says_that_it_has_not_caught_up(history: History) -> History:
    [read] = [r for r in records(history, Returned) if '"not_caught_up"' in r.body]
    moves = [r for r in records(history, Applied, region=EU) if "subscriber-view" in r.key]
    return moved(history, moves[0], after=records(history, Invoked, op=read.op)[0].step - 1)


@breaks("refusal-justified")
def a_region_does_not_wait_as_long_as_it_was_asked_to(history: History) -> History:
    [answer] = [r for r in records(history, Returned) if '"not_caught_up"' in r.body]
    [sent] = records(history, Invoked, op=answer.op)
    return with_record(history, sent, query={"wait_ms": "500"})


@breaks("refusal-justified")
def a_key_is_called_used_that_was_not(history: History) -> History:
    [answer] = [r for r in replies(history) if '"key_reused"' in r.body]
    [sent] = records(history, Invoked, op=answer.op)
    return with_record(history, sent, headers={"Idempotency-Key": "another"})


@breaks("queued-command-kept")
def a_dead_message_is_gone(history: History) -> History:
    return with_final(history, kept=())


@breaks("queued-command-kept")
def a_message_that_the_queue_took_is_never_decided(history: History) -> History:
    return without_commit(history, 8)


@breaks("every-call-ends", saying="never came to an end")
def a_call_never_ends(history: History) -> History:
    return without(history, records(history, Returned)[0])


@breaks("every-call-ends", saying="500")
def a_function_breaks(history: History) -> History:
    return with_record(history, records(history, Returned)[-1], status=500, body="{}")


@breaks("every-call-ends")
def a_problem_has_no_code_of_ours(history: History) -> History:
    [answer] = [r for r in replies(history) if '"key_reused"' in r.body]
    return with_body(history, answer, code="oops")


@breaks("fresh-once", saying="did not append it")
def the_first_is_another_than_who_appended(history: History) -> History:
    """The duplicate says that it was the first, though it was sent after the append."""
    first, duplicate = replies(history)[:2]
    altered = with_body(history, first, duplicate=True)
    return with_body(altered, records(altered, Returned, op=duplicate.op)[0], duplicate=False)
