"""Runs in which somebody forgotten is still told of."""

from dataclasses import replace

from tests.simulation.altered import records, with_record
from tests.simulation.broken.cases import breaks
from tests.simulation.history import Appended, Forgotten, History, Invoked, Returned
from tests.simulation.sound import FORGOTTEN_IMSI


def _legible(history: History, place: str, text: str) -> History:
    texts = {**history.final.legible, place: (*history.final.legible[place], text)}
    return replace(history, final=replace(history.final, legible=texts))


@breaks("forgotten-for-good", saying="imsi can be read in eu-west-1 letters")
def a_letter_names_who_was_forgotten(history: History) -> History:
    return _legible(history, "eu-west-1 letters", f'{{"imsi":"{FORGOTTEN_IMSI}"}}')


@breaks("forgotten-for-good", saying="msisdn can be read in us-east-1 views")
def a_view_of_who_was_forgotten_has_a_number(history: History) -> History:
    forgotten = records(history, Appended)[-1].item["a"]["S"]
    return _legible(history, "us-east-1 views", f"{forgotten} +4915112345678")


@breaks("forgotten-for-good", saying="does not say")
def somebody_is_forgotten_of_whom_the_log_does_not_say_so(history: History) -> History:
    [record] = records(history, Forgotten)
    return with_record(history, record, key="262011234567890")


@breaks("gone-is-gone", saying="it got 404")
def who_was_forgotten_was_never_there(history: History) -> History:
    sent = records(history, Invoked, path=f"/subscribers/{FORGOTTEN_IMSI}")[-1]
    [answer] = records(history, Returned, op=sent.op)
    return with_record(history, answer, status=404, body='{"status": 404, "code": "not_found"}')
