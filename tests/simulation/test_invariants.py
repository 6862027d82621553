"""Each invariant refuses the smallest run that breaks it, and lets pass what only looks like it.

A run in `broken` is the sound one with one thing altered. What is altered breaks other
invariants too as a rule; that the named one minds is what counts.
"""

import json
from dataclasses import replace

import pytest

from tests.simulation.altered import (
    in_log,
    inserted,
    records,
    returned,
    with_answer,
    with_final,
    with_items,
    with_record,
    without_commit,
)
from tests.simulation.broken import answers, forgetting, log, reads, results, views
from tests.simulation.broken.cases import (
    CASES,
    NETWORK_ELEMENT,
    Case,
    conflict,
    problem,
    replies,
)
from tests.simulation.broken.views import poisoned
from tests.simulation.checker.findings import INVARIANTS
from tests.simulation.checker.verdict import check
from tests.simulation.history import (
    Appended,
    Applied,
    BodyStored,
    History,
    Invoked,
    Lost,
    Noted,
    Published,
    Returned,
    StateChanged,
    Switched,
)
from tests.simulation.sound import AP, EU, US, sound_history

NOTED = (log, results, reads, answers, views, forgetting)


@pytest.fixture(scope="module")
def sound() -> History:
    return sound_history()


def test_every_invariant_has_a_run_that_breaks_it():
    assert {case.invariant for case in CASES} == set(INVARIANTS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_run_that_breaks_an_invariant_is_refused_by_it(sound: History, case: Case):
    altered = case.alter(sound)

    violations = check(altered).violations

    assert altered != sound
    told = [violation.line for violation in violations]
    assert any(v.invariant == case.invariant and case.saying in v.text for v in violations), told


def test_a_poisoned_aggregate_with_its_letter_loses_nothing(sound: History):
    assert check(poisoned(sound)).clean


def test_letters_that_hold_what_was_sent_or_published_lose_nothing(sound: History):
    [dead] = sound.final.kept
    answer = json.loads(records(sound, Published)[0].body)
    letters = (
        {"id": {"S": "commands.1"}, "sr": {"S": "commands"}, "b": {"S": dead.body}},
        {"id": {"S": "bus.1"}, "sr": {"S": "bus"}, "b": {"S": json.dumps({"detail": answer})}},
        {"id": {"S": "dropped#1#bus.1"}, "sr": {"S": "bus"}, "e": {"S": "dropped by hand"}},
    )

    assert check(with_final(sound, kept=(), letters={dead.region: letters})).clean


def test_a_lost_answer_may_mean_anything(sound: History):
    altered = sound
    for answer in (replies(sound)[1], replies(sound)[2], records(sound, Returned)[-1]):
        lost = Lost(step=answer.step, at_ms=answer.at_ms, op=answer.op, why="the line broke")
        records_now = tuple(lost if r is answer else r for r in altered.records)
        altered = replace(altered, records=records_now)

    assert check(altered).clean


def test_a_sending_may_be_refused_that_another_sending_decides(sound: History):
    """Sent in two regions at once: the one that lost says so, the other has decided it."""
    won = replies(sound)[2]
    [sent] = records(sound, Invoked, op=won.op)
    lost = Returned(step=0, at_ms=won.at_ms, op="x", status=409, body=problem(409, "conflict"))
    altered = inserted(sound, lost, after=won.step)
    altered = inserted(altered, replace(sent, op="x", region=EU), after=sent.step)

    assert check(altered).clean


def test_whoever_was_cut_off_for_long_may_meet_at_last_what_was_there_before(sound: History):
    altered = conflict(without_commit(sound, 1), 2, after_ms=8_000)

    assert "refusal-justified" not in check(altered).broken


def test_a_command_may_be_decided_again_after_its_window(sound: History):
    again = _sent_again(sound)
    brief = replace(again, terms=replace(again.terms, token_window_ms=1.0))

    assert "decided-once" in check(again).broken
    assert "decided-once" not in check(brief).broken


def _sent_again(history: History) -> History:
    """The last commit has the token of the first, and was appended long after it."""
    first = records(history, Appended)[0].item
    return in_log(history, 5, lambda item: item.update(k=first["k"]))


def test_an_answer_may_be_published_again_as_it_is(sound: History):
    first = records(sound, Published)[0]

    assert check(inserted(sound, first, after=sound.records[-1].step)).clean


def test_a_region_may_say_that_it_is_unavailable(sound: History):
    answer = replies(sound)[2]

    assert check(with_record(sound, answer, status=503, body=problem(503, "unavailable"))).clean


def test_a_drained_region_may_be_left_out(sound: History):
    altered = with_answer(sound, 0, leave_out=AP, drained=[AP])
    drained = StateChanged(step=0, at_ms=0.0, region=AP, state="drained")

    assert check(inserted(altered, drained, after=0)).clean


def test_control_state_may_be_as_old_as_was_agreed(sound: History):
    altered = with_answer(sound, 0, leave_out=AP, drained=[AP])
    drained = StateChanged(step=0, at_ms=-9_000.0, region=AP, state="drained")
    joining = StateChanged(step=0, at_ms=-8_000.0, region=AP, state="joining")

    assert check(inserted(inserted(altered, joining, after=0), drained, after=0)).clean


def _adopted(history: History, body: str) -> History:
    """The first answer was published; then Europe stores and publishes `body` for it too."""
    published, stored = records(history, Published)[0], records(history, BodyStored)[0]
    last = history.records[-1].step
    altered = inserted(history, replace(published, region=EU, body=body), after=last)
    altered = inserted(altered, replace(stored, region=EU, body=body), after=last)
    item = next(i for i in history.final.responses[US] if i["c"]["S"] == stored.commit)
    adopted = {name: value for name, value in item.items() if not name.startswith("ack#")}
    adopted["body"] = {"S": body}
    return with_items(altered, "responses", EU, lambda items: items.append(adopted))


def test_a_survivor_may_answer_anew_what_a_lost_region_has_answered(sound: History):
    body = json.loads(records(sound, Published)[0].body) | {"answered_at": "later"}
    adopted = _adopted(sound, json.dumps(body))

    assert "one-answer-one-body" in check(adopted).broken
    assert check(replace(adopted, terms=replace(sound.terms, lost=frozenset({US})))).clean


def test_a_survivor_may_copy_the_answer_of_a_region_that_was_lost_for_a_time(sound: History):
    first = records(sound, Published)[0].body
    lost = StateChanged(step=0, at_ms=0.0, region=US, state="leaving", adopter=EU)

    assert check(inserted(_adopted(sound, first), lost, after=0)).clean


def test_a_region_that_comes_back_takes_home_what_was_told_for_it_and_nothing_else(sound: History):
    first = json.loads(records(sound, Published)[0].body)
    anew, another = (json.dumps(first | {"answered_at": at}) for at in ("later", "later still"))
    lost = StateChanged(step=0, at_ms=0.0, region=US, state="leaving", adopter=EU)
    adopted = inserted(_adopted(sound, anew), lost, after=0)
    stored, last = records(sound, BodyStored)[0], adopted.records[-1].step

    at_home = inserted(adopted, replace(stored, body=anew), after=last)
    assert "one-answer-one-body" not in check(at_home).broken
    made_up = inserted(adopted, replace(stored, body=another), after=last)
    assert "one-answer-one-body" in check(made_up).broken


def test_readers_may_still_read_the_old_version_just_after_the_switch(sound: History):
    """A function may act on what it knew before the switch, for as long as was agreed."""
    read = returned(sound, path=NETWORK_ELEMENT)
    [sent] = records(sound, Invoked, op=read.op)
    key = next(r.key for r in records(sound, Applied, region=EU) if "inventory" in r.key)
    filled = Applied(step=0, at_ms=0.0, region=EU, key=key.replace("#1#", "#2#"), before=0, after=6)
    switch = Switched(
        step=0, at_ms=sent.at_ms, region=EU, projection="network-inventory", version="2"
    )
    altered = inserted(inserted(sound, switch, after=sent.step - 1), filled, after=sent.step - 1)
    broken = check(altered).broken

    # The tables at the end have no version 2; the reads themselves are as they may be.
    assert broken == {"views-equal-fold"}


def test_switching_readers_to_an_unfilled_version_is_seen(sound: History):
    switch = Switched(step=0, at_ms=0.0, region=EU, projection="network-inventory", version="2")
    altered = inserted(sound, switch, after=0)

    assert "event-b-after-all-applied" in check(altered).broken


def test_notes_are_for_people_only(sound: History):
    noted = Noted(step=0, at_ms=0.0, what="cut", region=EU, about="to us-east-1")

    assert check(inserted(sound, noted, after=0)).clean
