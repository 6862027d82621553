"""Views, letters and ends that no sound system leaves behind."""

import base64
import json
from copy import deepcopy
from dataclasses import replace
from typing import Any

from tests.simulation.altered import (
    inserted,
    moved,
    records,
    with_final,
    with_items,
    with_record,
    without,
)
from tests.simulation.broken.cases import breaks
from tests.simulation.history import (
    Appended,
    Applied,
    BodyStored,
    History,
    Invoked,
    KeptMessage,
    Published,
    Returned,
)
from tests.simulation.sound import AP, EU, US


@breaks("view-moves-over-the-log", saying="standing at")
def a_view_moves_twice_over_one_commit(history: History) -> History:
    move = records(history, Applied)[0]
    return inserted(history, move, after=move.step)


@breaks("view-moves-over-the-log", saying="no commit ends")
def a_view_moves_to_where_no_commit_ends(history: History) -> History:
    return with_record(history, records(history, Applied)[-1], after=99)


@breaks("view-moves-over-the-log", saying="came later")
def a_view_applies_what_is_not_in_the_log_yet(history: History) -> History:
    return moved(history, records(history, Applied)[0], after=0)


def _of_view(items: list[Any], projection: str, *, head: bool = True) -> Any:
    return next(
        item
        for item in items
        if item["k"]["S"].startswith(projection) and (item["s"]["S"] == "head") == head
    )


@breaks("view-moves-over-the-log", saying="was removed")
def the_view_that_readers_use_is_removed(history: History) -> History:
    last = records(history, Applied)[-1]
    return inserted(history, replace(last, before=last.after, after=0), after=last.step)


@breaks("views-equal-fold", saying="a document where there is none")
def a_view_has_no_document(history: History) -> History:
    return with_items(history, "views", EU, lambda i: _of_view(i, "subscriber-view").pop("d"))


@breaks("views-equal-fold", saying="is of no commit")
def a_timeline_has_a_row_too_many(history: History) -> History:
    def more(items: list[Any]) -> None:
        row = _of_view(items, "activity", head=False)
        items.append(row | {"s": {"S": f"{99:020d}"}})

    return with_items(history, "views", EU, more)


@breaks("views-equal-fold", saying="of nothing in the log")
def a_projection_shows_what_it_does_not_cover(history: History) -> History:
    def more(items: list[Any]) -> None:
        head = _of_view(items, "network-inventory")
        key = head["k"]["S"].replace("network-inventory", "subscriber-view")
        items.append(head | {"k": {"S": key}})

    return with_items(history, "views", EU, more)


@breaks("views-equal-fold", saying="it stands at 5")
def a_view_stays_behind(history: History) -> History:
    def behind(items: list[Any]) -> None:
        _of_view(items, "subscriber-view").update(n={"N": "5"}, f={"N": "5"})

    return with_items(history, "views", EU, behind)


@breaks("views-equal-fold", saying="has no network-inventory")
def a_view_is_missing(history: History) -> History:
    return with_items(history, "views", EU, lambda i: i.remove(_of_view(i, "network-inventory")))


@breaks("views-equal-fold", saying="service_profile")
def a_document_lost_an_event(history: History) -> History:
    def lost(items: list[Any]) -> None:
        head = _of_view(items, "subscriber-view")
        head["d"] = {"S": head["d"]["S"].replace("gold", "consumer-5g")}

    return with_items(history, "views", EU, lost)


@breaks("views-equal-fold", saying="is missing")
def a_row_of_the_timeline_is_missing(history: History) -> History:
    return with_items(history, "views", EU, lambda i: i.remove(_of_view(i, "activity", head=False)))


@breaks("views-equal-fold", saying="lists")
def a_view_stands_in_the_list_of_its_old_number(history: History) -> History:
    return with_items(
        history, "views", EU, lambda i: _of_view(i, "subscriber-view").update(l1={"S": "old"})
    )


@breaks("views-equal-fold", saying="of nothing in the log")
def there_is_a_view_of_nothing(history: History) -> History:
    def made(items: list[Any]) -> None:
        item = deepcopy(_of_view(items, "activity"))
        items.append(item | {"k": {"S": "activity#1#sub." + "a" * 26}})

    return with_items(history, "views", EU, made)


@breaks("letters-lose-nothing", saying="nobody sent it")
def a_dead_message_is_not_whole(history: History) -> History:
    [message] = history.final.kept
    return with_final(history, kept=(replace(message, body=message.body[:-1]),))


@breaks("letters-lose-nothing", saying="what identifies it")
def a_dead_message_lost_its_key(history: History) -> History:
    queued = records(history, Invoked, kind="queue")[-1]
    return with_record(history, queued, headers={"Idempotency-Key": "k-9"})


@breaks("letters-lose-nothing", saying="no letter")
def a_poisoned_aggregate_has_no_letter(history: History) -> History:
    return with_final(poisoned(history), letters={})


@breaks("letters-lose-nothing", saying="holds no commit")
def a_batch_of_the_stream_is_kept_without_its_records(history: History) -> History:
    message = KeptMessage(region=US, place="stream", body=json.dumps({"Records": []}))
    return with_final(history, kept=(*history.final.kept, message))


@breaks("letters-lose-nothing", saying="is not what the log has")
def a_batch_of_the_stream_holds_another_commit(history: History) -> History:
    image = deepcopy(records(history, Appended)[0].item)
    image["k"] = {"B": base64.b64encode(b"0" * 16).decode()}
    for name in ("h",):
        image[name] = {"B": base64.b64encode(image[name]["B"]).decode()}
    for event in image["e"]["L"]:
        event["M"]["d"] = {"B": base64.b64encode(event["M"]["d"]["B"]).decode()}
    body = json.dumps({"Records": [{"dynamodb": {"NewImage": image}}]})
    message = KeptMessage(region=US, place="stream", body=body)
    return with_final(history, kept=(*history.final.kept, message))


@breaks("letters-lose-nothing", saying="cannot be read")
def a_dead_message_of_the_lane_is_no_json(history: History) -> History:
    message = KeptMessage(region=US, place="antiphon-lane-dead", body="{")
    return with_final(history, kept=(*history.final.kept, message))


@breaks("letters-lose-nothing", saying="which is not in the log")
def a_dead_message_acknowledges_what_never_was(history: History) -> History:
    body = json.dumps({"region": EU, "applied_at_ms": 1, "acks": [{"commit": "sub.x.1"}]})
    message = KeptMessage(region=US, place="antiphon-acks-dead", body=body)
    return with_final(history, kept=(*history.final.kept, message))


@breaks("letters-lose-nothing", saying="its place")
def a_letter_is_about_what_is_not_in_the_log(history: History) -> History:
    letter = {"id": {"S": "projector.x"}, "a": {"S": "sub.x"}, "p": {"N": "1"}}
    return with_final(history, letters={EU: (letter,)})


@breaks("letters-lose-nothing", saying="nobody sent it")
def a_letter_holds_a_command_that_nobody_sent(history: History) -> History:
    letter = {"id": {"S": "commands.x"}, "sr": {"S": "commands"}, "b": {"S": "{}"}}
    return with_final(history, letters={EU: (letter,)})


@breaks("letters-lose-nothing", saying="nobody published")
def a_letter_holds_an_answer_that_nobody_published(history: History) -> History:
    delivery = json.dumps({"detail": {"answer_id": "x"}})
    letter = {"id": {"S": "bus.x"}, "sr": {"S": "bus"}, "b": {"S": delivery}}
    return with_final(history, letters={EU: (letter,)})


@breaks("readable")
def a_document_is_no_json(history: History) -> History:
    return with_items(
        history, "views", EU, lambda i: _of_view(i, "subscriber-view").update(d={"S": "{"})
    )


@breaks("came-to-rest")
def something_still_moves(history: History) -> History:
    return with_final(history, unfinished=("a message in antiphon-acks",))


def poisoned(history: History) -> History:
    """The element's views in one region never move, and a letter says where they stopped."""
    aggregate = next(a for a in _aggregates(history) if a.startswith("ne."))
    gone = [r for r in records(history, Applied, region=AP) if aggregate in r.key]
    quiet = without(history, *gone, *_of_element(history, aggregate))

    def behind(items: list[Any]) -> None:
        items[:] = [item for item in items if not item["k"]["S"].endswith(aggregate)]

    letter = {"a": {"S": aggregate}, "p": {"N": "1"}, "e": {"S": "it cannot be read"}}
    altered = with_final(
        with_items(quiet, "views", AP, behind), letters={AP: (letter,), US: (), EU: ()}
    )
    return replace(altered, terms=replace(history.terms, poisoned=frozenset({aggregate})))


def _aggregates(history: History) -> list[str]:
    return [record.item["a"]["S"] for record in records(history, Appended)]


def _of_element(history: History, aggregate: str) -> list[Any]:
    """Everything that was told of the element: a poisoned one is neither read nor answered."""
    told: list[Any] = [r for r in records(history, Published) if aggregate in r.body]
    told += [r for r in records(history, BodyStored) if r.commit.startswith(aggregate)]
    reads = [r for r in records(history, Invoked, kind="read") if "network-elements" in r.path]
    told += [one for sent in reads for one in (sent, *records(history, Returned, op=sent.op))]
    return told
