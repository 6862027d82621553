"""Answers that must never be given."""

import json
from dataclasses import replace
from typing import Any

from tests.simulation.altered import (
    inserted,
    moved,
    records,
    with_answer,
    with_body,
    with_items,
    with_record,
    without,
)
from tests.simulation.broken.cases import breaks
from tests.simulation.history import (
    Applied,
    BodyStored,
    History,
    Published,
    Returned,
    StateChanged,
)
from tests.simulation.sound import AP, EU, US


def _applied_after_the_last(history: History, region: str, projection: str) -> History:
    move = next(r for r in records(history, Applied, region=region) if projection in r.key)
    return moved(history, move, after=history.records[-1].step)


@breaks("acknowledged-after-applied")
def a_region_is_told_to_have_applied_what_it_has_not(history: History) -> History:
    return _applied_after_the_last(history, AP, "subscriber-view")


@breaks("event-b-after-all-applied")
def a_region_applies_only_after_event_b_is_built(history: History) -> History:
    move = records(history, Applied, region=AP, before=0)[0]
    stored = records(history, BodyStored)[0]
    return moved(history, move, after=stored.step)


@breaks("event-b-after-all-applied")
def one_projection_applies_only_after_event_b_is_published(history: History) -> History:
    return _applied_after_the_last(history, EU, "activity")


@breaks("event-b-required-regions")
def event_b_leaves_out_a_region(history: History) -> History:
    return with_answer(history, 0, leave_out=AP)


@breaks("event-b-required-regions")
def event_b_calls_a_region_drained_that_is_leaving(history: History) -> History:
    leaving = StateChanged(step=0, at_ms=0.0, region=AP, state="leaving")
    return inserted(with_answer(history, 0, leave_out=AP, drained=[AP]), leaving, after=0)


@breaks("event-b-required-regions")
def event_b_is_built_on_control_state_that_is_too_old(history: History) -> History:
    """The region was drained once, and serves again since longer than state may be old."""
    altered = with_answer(history, 0, leave_out=AP, drained=[AP])
    drained = StateChanged(step=0, at_ms=-20_000.0, region=AP, state="drained")
    active = StateChanged(step=0, at_ms=-15_000.0, region=AP, state="active")
    return inserted(inserted(altered, active, after=0), drained, after=0)


@breaks("event-b-state", saying="before its own")
def event_b_has_a_state_from_before_its_command(history: History) -> History:
    later = next(r for r in records(history, BodyStored) if json.loads(r.body)["sequence"] == 2)
    return with_answer(history, records(history, BodyStored).index(later), as_of_sequence=1)


@breaks("event-b-state", saying="differs from the log: status")
def event_b_has_another_state_than_the_log(history: History) -> History:
    state = json.loads(records(history, BodyStored)[0].body)["state"]
    return with_answer(history, 0, state=state | {"status": "suspended"})


@breaks("event-b-tells-its-commit", saying="answer_id")
def event_b_has_another_id(history: History) -> History:
    return with_answer(history, 0, answer_id="x" * 26)


@breaks("event-b-tells-its-commit", saying="detail-type")
def a_refusal_is_published_as_event_b(history: History) -> History:
    refused = records(history, Published, detail_type="CommandRejected")[0]
    return with_record(history, refused, detail_type="CommandAnswered")


@breaks("one-answer-one-body", saying="another body than before")
def an_answer_is_published_again_with_another_body(history: History) -> History:
    first = records(history, Published)[0]
    body = json.dumps(json.loads(first.body) | {"answered_at": "2026-11-24T00:00:00.000Z"})
    return inserted(history, replace(first, body=body), after=first.step)


@breaks("one-answer-one-body", saying="another body than before")
def a_stored_body_is_written_over(history: History) -> History:
    first = records(history, BodyStored)[0]
    body = json.dumps(json.loads(first.body) | {"answered_at": "2026-11-24T00:00:00.000Z"})
    return inserted(history, replace(first, body=body), after=first.step)


@breaks("one-answer-one-body", saying="tells an answer that is not the stored one")
def a_reply_tells_another_answer_than_is_stored(history: History) -> History:
    answer = next(r for r in records(history, Returned) if '"answered"' in r.body)
    told = json.loads(answer.body)["answer"]
    return with_body(history, answer, answer=told | {"answered_at": "never"})


@breaks("answered-finally")
def a_command_is_never_answered(history: History) -> History:
    return without(history, records(history, Published)[3])


@breaks("responses-closed", saying="has still pending")
def an_answer_stays_pending(history: History) -> History:
    return with_items(history, "responses", US, lambda items: items[0].update(pending={"S": "1"}))


@breaks("responses-closed", saying="too soon")
def an_answer_may_expire_that_is_not_published(history: History) -> History:
    return with_items(history, "responses", US, lambda items: items[0].pop("published"))


@breaks("responses-closed", saying="is gone")
def an_answer_is_forgotten(history: History) -> History:
    return with_items(history, "responses", US, lambda items: items.pop())


@breaks("event-b-tells-its-commit", saying="there is an answer to what is not in the log")
def an_answer_is_of_nothing_in_the_log(history: History) -> History:
    last = records(history, Published)[-1]
    told = json.loads(last.body)
    told["command"]["commit"] = told["aggregate_id"] + ".999"
    return inserted(history, replace(last, body=json.dumps(told)), after=last.step)


@breaks("event-b-tells-its-commit", saying="before the commit")
def an_answer_is_built_before_its_commit(history: History) -> History:
    return moved(history, records(history, BodyStored)[0], after=0)


@breaks("event-b-tells-its-commit", saying="other times")
def event_b_tells_another_time_than_was_acknowledged(history: History) -> History:
    times = dict.fromkeys((US, EU, AP), "2026-11-24T00:00:00.000Z")
    return with_answer(history, 0, regions=times)


@breaks("event-b-required-regions", saying="as drained")
def event_b_calls_drained_what_it_names(history: History) -> History:
    return with_answer(history, 0, drained=[AP])


@breaks("event-b-required-regions", saying="leaves out ap-south-1, which is drained")
def event_b_leaves_out_a_drained_region_without_a_word(history: History) -> History:
    drained = StateChanged(step=0, at_ms=0.0, region=AP, state="drained")
    return inserted(with_answer(history, 0, leave_out=AP), drained, after=0)


@breaks("event-b-required-regions", saying="leaves out us-east-1, which is drained")
def event_b_leaves_out_the_region_that_answers(history: History) -> History:
    drained = StateChanged(step=0, at_ms=0.0, region=US, state="drained")
    return inserted(with_answer(history, 0, leave_out=US, drained=[US]), drained, after=0)


@breaks("event-b-state", saying="no commit ends")
def event_b_is_as_of_where_no_commit_ends(history: History) -> History:
    return with_answer(history, 0, as_of_sequence=99)


@breaks("event-b-state", saying="came later")
def event_b_is_as_of_what_came_later(history: History) -> History:
    later = json.loads(records(history, BodyStored)[2].body)
    return with_answer(history, 0, as_of_sequence=6, state=later["state"])


@breaks("event-b-state", saying="a state where there is none")
def event_b_has_no_state_where_there_is_one(history: History) -> History:
    return with_answer(history, 0, state=None)


@breaks("one-answer-one-body", saying="not in its origin")
def an_answer_is_stored_in_another_region(history: History) -> History:
    stored = records(history, BodyStored)[0]
    return with_record(history, stored, region=AP)


@breaks("one-answer-one-body", saying="not stored before")
def an_answer_is_published_before_it_is_stored(history: History) -> History:
    published = records(history, Published)[0]
    [stored] = [r for r in records(history, BodyStored) if r.body == published.body]
    return moved(history, stored, after=published.step)


@breaks("one-answer-one-body", saying="at the end it has another body")
def another_body_lies_there_at_the_end(history: History) -> History:
    def alter(items: list[Any]) -> None:
        told = json.loads(items[0]["body"]["S"]) | {"answered_at": "never"}
        items[0]["body"] = {"S": json.dumps(told)}

    return with_items(history, "responses", US, alter)


@breaks("responses-closed", saying="too soon")
def an_answer_expires_within_a_day(history: History) -> History:
    def alter(items: list[Any]) -> None:
        published_s = int(items[0]["published"]["N"]) // 1000
        items[0]["expires"] = {"N": str(published_s + 86_400)}

    return with_items(history, "responses", US, alter)


@breaks("responses-closed", saying="no commit that came in here")
def a_response_item_lies_in_another_region(history: History) -> History:
    item = history.final.responses[US][0]
    return with_items(history, "responses", AP, lambda items: items.append(item))


@breaks("responses-closed", saying="no commit that came in here")
def a_response_item_is_of_nothing_in_the_log(history: History) -> History:
    def alter(items: list[Any]) -> None:
        items.append(items[0] | {"c": {"S": "sub.x.1"}})

    return with_items(history, "responses", US, alter)
