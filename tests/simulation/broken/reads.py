"""What a reader must never be shown."""

import json

from tests.simulation.altered import (
    moved,
    records,
    returned,
    shown_at,
    with_body,
    with_record,
    without,
)
from tests.simulation.broken.cases import NETWORK_ELEMENT, SUBSCRIBER, breaks, problem
from tests.simulation.history import (
    Appended,
    Applied,
    History,
    Invoked,
    Published,
    Returned,
)
from tests.simulation.sound import (
    AP,
    US,
)


@breaks("read-shows-the-log", saying="service_profile")
def a_document_differs_from_the_log(history: History) -> History:
    answer = returned(history, path=SUBSCRIBER, consistency="strong")
    return with_body(history, answer, service_profile="platinum")


@breaks("read-shows-the-log")
def a_document_has_the_sequence_of_another(history: History) -> History:
    return with_body(history, records(history, Returned)[-1], applied_sequence=2)


@breaks("read-shows-the-log", saying="came later")
def a_read_shows_what_came_later(history: History) -> History:
    return shown_at(history, returned(history, path=SUBSCRIBER, consistency="strong"), sequence=2)


@breaks("token-read-not-older")
def a_read_with_a_token_is_older(history: History) -> History:
    [answer] = [
        records(history, Returned, op=sent.op)[0]
        for sent in records(history, Invoked, path=NETWORK_ELEMENT)
        if sent.headers
    ]
    return shown_at(history, answer, sequence=5)


@breaks("token-read-not-older")
def a_stale_answer_that_nobody_asked_for(history: History) -> History:
    answer = returned(history, path=SUBSCRIBER, on_timeout="stale")
    [sent] = records(history, Invoked, op=answer.op)
    return with_record(history, sent, query={"wait_ms": "0"})


@breaks("token-read-not-older")
def a_token_that_is_not_reached_is_called_unknown(history: History) -> History:
    [answer] = [r for r in records(history, Returned) if '"not_caught_up"' in r.body]
    body = problem(404, "not_found")
    return with_record(history, answer, status=404, body=body)


@breaks("read-not-behind-its-region")
def a_read_shows_less_than_its_region_had_applied(history: History) -> History:
    return shown_at(history, returned(history, path=NETWORK_ELEMENT), sequence=5)


@breaks("strong-read-linearizable")
def a_strong_read_is_from_before_the_last_commit(history: History) -> History:
    return shown_at(history, records(history, Returned)[-1], sequence=5)


@breaks("read-after-event-b")
def who_has_heard_event_b_reads_from_before_it(history: History) -> History:
    """The region had not applied it: the answer was wrong, and the reader meets it."""
    answer = returned(history, path=SUBSCRIBER, after=records(history, Published)[0].step)
    gone = [r for r in records(history, Applied, region=AP) if r.step < answer.step]
    blind = without(history, *gone)
    [answer] = records(blind, Returned, op=answer.op)
    return shown_at(blind, answer, sequence=0)


@breaks("timeline-shows-the-log", saying="it shows 3")
def a_timeline_leaves_out_a_row(history: History) -> History:
    answer = returned(history, path=f"{SUBSCRIBER}/timeline")
    rows = json.loads(answer.body)["items"]
    return with_body(history, answer, items=[*rows[:2], *rows[3:]])


@breaks("timeline-shows-the-log", saying="it begins before")
def a_timeline_begins_too_late(history: History) -> History:
    answer = returned(history, path=f"{SUBSCRIBER}/timeline")
    return with_body(history, answer, items=json.loads(answer.body)["items"][1:])


@breaks("timeline-shows-the-log", saying="not at the first commit")
def a_timeline_ends_too_early(history: History) -> History:
    answer = returned(history, path=f"{SUBSCRIBER}/timeline")
    return with_body(history, answer, items=json.loads(answer.body)["items"][:-1])


@breaks("list-shows-the-log", saying="was never as it is shown")
def a_list_shows_what_never_was(history: History) -> History:
    answer = returned(history, path="/network-elements", site="ber-mitte-3")
    [shown] = json.loads(answer.body)["items"]
    return with_body(history, answer, items=[shown | {"revision": 9}])


@breaks("list-shows-the-log", saying="does not belong")
def a_list_shows_what_does_not_belong_there(history: History) -> History:
    answer = returned(history, path="/network-elements", site="ber-mitte-3")
    [sent] = records(history, Invoked, op=answer.op)
    return with_record(history, sent, query={"site": "ber-mitte-4"})


@breaks("history-is-the-log")
def history_leaves_out_the_last_commit(history: History) -> History:
    answer = returned(history, path=f"{SUBSCRIBER}/history")
    told = json.loads(answer.body)
    return with_body(history, answer, as_of_sequence=told["as_of_sequence"] - 1)


@breaks("history-is-the-log")
def history_at_a_sequence_has_a_later_state(history: History) -> History:
    answer = returned(history, path=f"{NETWORK_ELEMENT}/history", at_sequence="2")
    [sent] = records(history, Invoked, op=answer.op)
    return with_record(history, sent, query={"at_sequence": "1", "limit": "1"})


@breaks("status-is-true", saying="status is answered")
def a_command_that_is_not_answered_is_told_to_be(history: History) -> History:
    [first, *_] = [r for r in records(history, Returned) if '"acknowledgements"' in r.body]
    return with_body(history, first, status="answered")


@breaks("status-is-true", saying="in the log before")
def a_command_that_is_in_the_log_is_called_unknown(history: History) -> History:
    [first, *_] = [r for r in records(history, Returned) if '"acknowledgements"' in r.body]
    body = problem(404, "not_found")
    return with_record(history, first, status=404, body=body)


@breaks("read-shows-the-log", saying="that the log does not have")
def a_read_shows_an_aggregate_that_never_was(history: History) -> History:
    unknown = returned(history, path="/subscribers/262011234567891")
    shown = json.loads(records(history, Returned)[-1].body)
    return with_record(history, unknown, status=200, body=json.dumps(shown))


@breaks("read-shows-the-log", saying="no commit ends there")
def a_read_is_as_of_where_no_commit_ends(history: History) -> History:
    return with_body(history, records(history, Returned)[-1], applied_sequence=99)


@breaks("read-shows-the-log", saying="stale")
def an_eventual_read_is_called_fresh(history: History) -> History:
    return with_body(history, returned(history, path=NETWORK_ELEMENT), stale=False)


@breaks("timeline-shows-the-log", saying="came later")
def a_timeline_shows_what_came_later(history: History) -> History:
    last = records(history, Appended)[5]
    answer = returned(history, path=f"{SUBSCRIBER}/timeline")
    assert last.item["a"]["S"].startswith("sub.")
    return moved(history, last, after=answer.step)


@breaks("list-shows-the-log", saying="it names the region")
def a_list_names_another_region(history: History) -> History:
    answer = returned(history, path="/network-elements", site="ber-mitte-3")
    return with_body(history, answer, region=US)
