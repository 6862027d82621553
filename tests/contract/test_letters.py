"""What dead letters promise, on every engine."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from projections.bounds import READ_BOUNDS
from projections.letters import Filing, Letter, LetterStore
from tests.dynamodb import tables

Race = Callable[[Callable[[int], Any]], Sequence[Any]]
ONE = "sub.aaaaaaaaaaaaaaaaaaaaaaaaaa"
FAILURE = Filing(
    letter_id="commands.one",
    source="commands",
    error="invalid: no such field",
    payload='{"imsi": "262011234567890"}',
    attributes={"Idempotency-Key": "order-7"},
    correlation_id="c-1",
    traceparent="00-" + "ab" * 16 + "-" + "cd" * 8 + "-01",
)


@pytest.fixture
def table(dynamodb: Any) -> str:
    return tables.create(dynamodb, "letters")


@pytest.fixture
def letters(dynamodb: Any, table: str) -> LetterStore:
    return LetterStore(dynamodb, table=table)


def file(letters: LetterStore, number: int, aggregate_id: str = ONE) -> None:
    filing = Filing(
        letter_id=f"projector.{aggregate_id}",
        source="projector",
        error=f"error {number}",
        aggregate_id=aggregate_id,
        position=number,
    )
    letters.file(filing, at_ms=1000 + number)


def filed(letters: LetterStore, filing: Filing = FAILURE, *, at_ms: int = 1000) -> Letter:
    letters.file(filing, at_ms=at_ms)
    letter = letters.get(filing.letter_id)
    assert letter is not None
    return letter


def test_at_first_there_is_none(letters: LetterStore):
    assert list(letters.all()) == []
    assert letters.get("commands.one") is None


def test_a_letter_holds_the_whole_of_what_failed(letters: LetterStore):
    assert filed(letters) == Letter(
        letter_id="commands.one",
        source="commands",
        error="invalid: no such field",
        attempts=1,
        first_at_ms=1000,
        last_at_ms=1000,
        payload=FAILURE.payload,
        attributes=FAILURE.attributes,
        correlation_id="c-1",
        traceparent=FAILURE.traceparent,
    )


def test_a_letter_keeps_where_it_began_and_the_last_error(letters: LetterStore):
    file(letters, 7)
    file(letters, 8)

    assert list(letters.all()) == [
        Letter(
            letter_id=f"projector.{ONE}",
            source="projector",
            aggregate_id=ONE,
            position=7,
            error="error 8",
            attempts=2,
            first_at_ms=1007,
            last_at_ms=1008,
        )
    ]


def test_every_failure_has_a_letter_of_its_own(letters: LetterStore):
    others = [f"sub.{number:026d}" for number in range(30)]
    for number, aggregate_id in enumerate(others):
        file(letters, number, aggregate_id)

    assert sorted(letter.aggregate_id or "" for letter in letters.all()) == others


def test_all_letters_are_found_though_one_page_cannot_hold_them(letters: LetterStore):
    for number in range(7):
        many = replace(FAILURE, letter_id=f"commands.{number}", payload="x" * 350_000)
        letters.file(many, at_ms=number)

    assert len({letter.letter_id for letter in letters.all()}) == 7


def test_sixteen_racing_attempts_are_all_counted(letters: LetterStore, race: Race):
    race(lambda number: file(letters, number))

    [letter] = letters.all()
    assert letter.attempts == 16
    # Whoever was first set both.
    assert letter.position is not None
    assert letter.first_at_ms == 1000 + letter.position


def test_the_same_delivery_filed_again_is_no_attempt_more(letters: LetterStore):
    once = replace(FAILURE, delivery="m1")
    assert filed(letters, once).attempts == 1
    assert filed(letters, once, at_ms=2000).attempts == 1
    assert filed(letters, replace(FAILURE, delivery="m2"), at_ms=3000).attempts == 2


def test_a_letter_that_is_done_holds_nothing_personal_and_expires(
    letters: LetterStore, dynamodb: Any, table: str
):
    assert letters.finish(filed(letters), at_ms=5_000)

    done = letters.get("commands.one")
    assert done is not None
    assert (done.state, done.payload, done.attributes) == ("done", None, {})
    assert list(letters.waiting()) == []
    [item] = dynamodb.scan(TableName=table)["Items"]
    assert "262011234567890" not in str(item)
    assert int(item["expires"]["N"]) == 5 + READ_BOUNDS.letter_kept_s


def test_a_redelivery_of_what_is_done_does_not_open_it_again(letters: LetterStore):
    once = replace(FAILURE, delivery="m1")
    letters.finish(filed(letters, once), at_ms=5_000)

    assert filed(letters, once, at_ms=6_000).state == "done"


def test_what_fails_again_after_it_was_done_is_open_and_whole_again(
    letters: LetterStore, dynamodb: Any, table: str
):
    letters.finish(filed(letters), at_ms=5_000)

    again = filed(letters, at_ms=6_000)

    assert (again.state, again.attempts, again.payload) == ("open", 2, FAILURE.payload)
    assert (again.first_at_ms, again.last_at_ms) == (1000, 6000)
    [item] = dynamodb.scan(TableName=table)["Items"]
    assert "expires" not in item, "it would be forgotten though it waits"


def test_a_failure_that_comes_in_meanwhile_is_not_ended_unseen(letters: LetterStore):
    seen = filed(letters)
    filed(letters, at_ms=2000)

    assert not letters.finish(seen, at_ms=3000)
    assert not letters.drop(seen, by="eva", reason="a test", at_ms=3000)
    assert not letters.replaying(seen, at_ms=3000)
    assert [letter.state for letter in letters.waiting()] == ["open"]
    assert list(letters.dropped()) == []


def test_a_letter_that_was_sent_again_and_fails_again_is_open(letters: LetterStore):
    assert letters.replaying(filed(letters), at_ms=2000)
    sent = letters.get("commands.one")
    assert sent is not None
    assert (sent.state, sent.replayed_at_ms) == ("replaying", 2000)

    assert filed(letters, at_ms=3000).state == "open"


def test_who_dropped_a_letter_and_why_stays_though_it_comes_again(letters: LetterStore):
    assert letters.drop(filed(letters), by="eva", reason="a duplicate", at_ms=5_000)
    dropped = letters.get("commands.one")
    assert dropped is not None
    assert (dropped.state, dropped.payload) == ("dropped", None)
    assert (dropped.dropped_by, dropped.reason) == ("eva", "a duplicate")

    again = filed(letters, at_ms=6_000)
    assert letters.drop(again, by="ben", reason="another", at_ms=7_000)

    told = [(one.letter_id, one.dropped_by, one.reason, one.at_ms) for one in letters.dropped()]
    assert sorted(told, key=lambda one: one[3]) == [
        ("commands.one", "eva", "a duplicate", 5_000),
        ("commands.one", "ben", "another", 7_000),
    ]
    assert len(list(letters.all())) == 1


def test_a_record_of_a_drop_is_no_letter(letters: LetterStore, dynamodb: Any, table: str):
    letters.drop(filed(letters), by="eva", reason="a duplicate", at_ms=5_000)

    for item in dynamodb.scan(TableName=table)["Items"]:
        if item["id"]["S"] != "commands.one":
            assert letters.get(item["id"]["S"]) is None
