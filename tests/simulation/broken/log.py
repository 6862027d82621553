"""Logs that no sound system leaves behind."""

import json
from dataclasses import replace
from typing import Any

from tests.simulation.altered import (
    in_log,
    inserted,
    moved,
    records,
    with_command,
    with_final,
    with_record,
    without,
    without_commit,
)
from tests.simulation.broken.cases import breaks, replies
from tests.simulation.history import (
    Appended,
    History,
    Invoked,
    Returned,
)
from tests.simulation.sound import AP


@breaks("contiguous")
def a_commit_is_missing(history: History) -> History:
    return without_commit(history, 1)


@breaks("contiguous")
def a_commit_names_another_predecessor(history: History) -> History:
    return in_log(history, 2, lambda item: item.update(p={"N": "1"}))


@breaks("log-immutable")
def a_commit_is_written_over(history: History) -> History:
    first = records(history, Appended)[0]
    return inserted(history, replace(first, change="MODIFY"), after=first.step)


@breaks("log-immutable")
def a_commit_is_lost_at_the_end(history: History) -> History:
    return with_final(history, log=history.final.log[1:])


@breaks("log-immutable")
def a_commit_is_there_that_nobody_appended(history: History) -> History:
    return without(history, records(history, Appended)[-1])


@breaks("asked-for")
def a_commit_without_a_command(history: History) -> History:
    answer = next(r for r in replies(history) if json.loads(r.body).get("sequence") == 4)
    [sent] = records(history, Invoked, op=answer.op)
    return without(history, sent, answer)


@breaks("asked-for")
def a_commit_of_an_invalid_command(history: History) -> History:
    return with_record(history, records(history, Invoked)[0], valid=False)


@breaks("asked-for")
def a_commit_that_claims_another_origin(history: History) -> History:
    return in_log(history, 3, lambda item: item.update(o={"S": AP}))


@breaks("decided-once")
def a_duplicate_is_decided_again(history: History) -> History:
    first = records(history, Appended)[0].item
    return in_log(history, 5, lambda item: item.update(k=first["k"], h=first["h"], m=first["m"]))


@breaks("decision-is-valid")
def an_update_is_lost(history: History) -> History:
    def refused(item: Any) -> None:
        [event] = item["e"]["L"]
        told = json.dumps({"reason": "subscriber_suspended", "message": "it is suspended"})
        event["M"] |= {"t": {"S": "Refused"}, "d": {"B": told.encode()}}

    return in_log(history, 3, refused)


@breaks("decision-is-valid")
def a_refused_command_takes_effect(history: History) -> History:
    def taken(item: Any) -> None:
        [event] = item["e"]["L"]
        data = json.dumps({"service_profile": "silver"}).encode()
        topic = {"S": "Subscriber.ServiceProfileChanged"}
        event["M"] |= {"t": topic, "d": {"B": data}}

    return in_log(history, 5, taken)


@breaks("expected-sequence-met")
def a_command_is_decided_on_another_change_than_it_expected(history: History) -> History:
    return with_command(history, "c-4", expected_sequence=1)


@breaks("depends-on-met")
def a_command_is_decided_before_what_it_depends_on(history: History) -> History:
    token = json.loads(replies(history)[-1].body)["consistency_token"]
    return with_command(history, "c-9", depends_on=token)


@breaks("real-time-order")
def a_commit_comes_before_its_predecessor(history: History) -> History:
    second = records(history, Appended)[1]
    return moved(history, records(history, Appended)[2], after=second.step - 1)


@breaks("real-time-order")
def a_command_is_decided_on_a_state_from_before_it_was_sent(history: History) -> History:
    """The second command is sent only after the third's reply; nobody saw the appends."""
    second, third = replies(history)[2:4]
    blind = without(history, second, *records(history, Appended))
    [sent] = records(blind, Invoked, op=second.op)
    [seen] = records(blind, Returned, op=third.op)
    return moved(blind, sent, after=seen.step)


@breaks("queue-in-order")
def queued_commands_change_places(history: History) -> History:
    first, second = records(history, Invoked, kind="queue")[:2]
    [mine] = records(history, Returned, op=first.op)
    later = moved(history, mine, after=records(history, Returned, op=second.op)[0].step)
    [sent] = records(later, Invoked, op=first.op)
    return moved(later, sent, after=records(later, Returned, op=second.op)[0].step)
