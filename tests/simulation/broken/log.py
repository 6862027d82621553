"""Logs that no sound system leaves behind."""

import json
from dataclasses import replace
from typing import Any

from tests.simulation.altered import (
    in_log,
    inserted,
    moved,
    records,
    returned,
    shown_at,
    with_command,
    with_final,
    with_record,
    without,
    without_commit,
)
from tests.simulation.broken.cases import (
    SUBSCRIBER,
    breaks,
    replies,
)
from tests.simulation.history import (
    Appended,
    History,
    Invoked,
    Published,
    Returned,
)
from tests.simulation.sound import AP


@breaks("contiguous")
def a_commit_is_missing(history: History) -> History:
    return without_commit(history, 1)


@breaks("contiguous")
def a_commit_names_another_predecessor(history: History) -> History:
    return in_log(history, 2, lambda item: item.update(p={"N": "1"}))


@breaks("log-immutable", saying="written again: MODIFY")
def a_commit_is_written_over(history: History) -> History:
    first = records(history, Appended)[0]
    return inserted(history, replace(first, change="MODIFY"), after=first.step)


@breaks("log-immutable", saying="not what is there at the end")
def a_commit_is_lost_at_the_end(history: History) -> History:
    return with_final(history, log=history.final.log[1:])


@breaks("log-immutable", saying="nobody appended it")
def a_commit_is_there_that_nobody_appended(history: History) -> History:
    return without(history, records(history, Appended)[-1])


@breaks("log-immutable", saying="written again: INSERT")
def a_commit_is_appended_twice(history: History) -> History:
    first = records(history, Appended)[0]
    return inserted(history, first, after=first.step)


@breaks("contiguous", saying="cannot be read")
def a_commit_cannot_be_read(history: History) -> History:
    return in_log(history, 2, lambda item: item.pop("k"))


@breaks("asked-for", saying="no such kind of aggregate")
def a_commit_of_a_kind_that_there_is_not(history: History) -> History:
    return in_log(history, 2, lambda item: item.update(a={"S": "xx." + "a" * 26}))


@breaks("asked-for", saying="what it says it decided")
def a_commit_with_the_correlation_of_another_command(history: History) -> History:
    traced = [r.item["c"]["S"] for r in records(history, Appended)].index("trace-me")
    return in_log(history, traced, lambda item: item.update(c={"S": "another"}))


@breaks("asked-for", saying="what it says it decided")
def a_commit_forgets_when_its_command_happened(history: History) -> History:
    return in_log(history, 2, lambda item: item["m"]["M"].pop("w"))


@breaks("asked-for", saying="no command that was sent")
def a_commit_without_a_command(history: History) -> History:
    answer = next(r for r in replies(history) if json.loads(r.body).get("sequence") == 4)
    [sent] = records(history, Invoked, op=answer.op)
    return without(history, sent, answer)


@breaks("asked-for", saying="not valid")
def a_commit_of_an_invalid_command(history: History) -> History:
    return with_record(history, records(history, Invoked)[0], valid=False)


@breaks("asked-for", saying="no command that was sent")
def a_commit_that_claims_another_origin(history: History) -> History:
    return in_log(history, 3, lambda item: item.update(o={"S": AP}))


@breaks("decided-once")
def a_duplicate_is_decided_again(history: History) -> History:
    first = records(history, Appended)[0].item
    return in_log(history, 5, lambda item: item.update(k=first["k"], h=first["h"], m=first["m"]))


@breaks("decision-is-valid", saying="it recorded subscriber_suspended")
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


@breaks("real-time-order", saying="which is its predecessor")
def a_commit_comes_before_its_predecessor(history: History) -> History:
    second = records(history, Appended)[1]
    return moved(history, records(history, Appended)[2], after=second.step - 1)


@breaks("real-time-order", saying="sent after somebody had seen")
def a_command_is_decided_on_a_state_from_before_it_was_sent(history: History) -> History:
    """The second command is sent only after the third's reply; nobody saw the appends."""
    second, third = replies(history)[2:4]
    blind = without(history, second, *records(history, Appended))
    [sent] = records(blind, Invoked, op=second.op)
    [seen] = records(blind, Returned, op=third.op)
    return moved(blind, sent, after=seen.step)


@breaks("real-time-order", saying="seen position 3")
def a_command_is_decided_on_a_state_from_before_what_was_read(history: History) -> History:
    """A reader had seen the third commit before the second's command was sent."""
    second = replies(history)[2]
    blind = without(history, second, *records(history, Appended), *replies(history)[3:])
    read = returned(blind, path=SUBSCRIBER, after=records(blind, Published)[0].step)
    blind = shown_at(blind, read, sequence=3)
    [sent] = records(blind, Invoked, op=second.op)
    return moved(blind, sent, after=read.step)


@breaks("real-time-order", saying="seen position 3")
def a_command_is_decided_on_a_state_from_before_what_was_answered(history: History) -> History:
    """The third commit was answered before the second's command was sent."""
    second = replies(history)[2]
    blind = without(history, second, *records(history, Appended), *replies(history)[3:])
    third = next(r for r in records(blind, Published) if json.loads(r.body)["sequence"] == 3)
    [sent] = records(blind, Invoked, op=second.op)
    return moved(blind, sent, after=third.step)


@breaks("queue-in-order")
def queued_commands_change_places(history: History) -> History:
    first, second = records(history, Invoked, kind="queue")[:2]
    [mine] = records(history, Returned, op=first.op)
    later = moved(history, mine, after=records(history, Returned, op=second.op)[0].step)
    [sent] = records(later, Invoked, op=first.op)
    return moved(later, sent, after=records(later, Returned, op=second.op)[0].step)


@breaks("decision-is-valid", saying="is no state")
def a_commit_that_cannot_be_folded_leaves_no_state(history: History) -> History:
    def unknown(item: Any) -> None:
        item["e"]["L"][0]["M"]["t"] = {"S": "Subscriber.SubscriberRenamed"}

    return in_log(history, 1, unknown)
