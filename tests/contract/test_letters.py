"""What the letters of aggregates set aside promise, on every engine."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from projections.letters import Letter, LetterStore
from tests.dynamodb import tables

Race = Callable[[Callable[[int], Any]], Sequence[Any]]
ONE = "sub.aaaaaaaaaaaaaaaaaaaaaaaaaa"


@pytest.fixture
def letters(dynamodb: Any) -> LetterStore:
    return LetterStore(dynamodb, table=tables.create(dynamodb, "letters"))


def file(letters: LetterStore, number: int, aggregate_id: str = ONE) -> None:
    letters.file(aggregate_id, position=number, error=f"error {number}", at_ms=1000 + number)


def test_at_first_nothing_is_set_aside(letters: LetterStore):
    assert list(letters.all()) == []


def test_a_letter_keeps_where_it_began_and_the_last_error(letters: LetterStore):
    file(letters, 7)
    file(letters, 8)

    assert list(letters.all()) == [
        Letter(
            aggregate_id=ONE,
            position=7,
            error="error 8",
            attempts=2,
            first_at_ms=1007,
            last_at_ms=1008,
        )
    ]


def test_every_aggregate_has_a_letter_of_its_own(letters: LetterStore):
    others = [f"sub.{number:026d}" for number in range(30)]
    for number, aggregate_id in enumerate(others):
        file(letters, number, aggregate_id)

    assert sorted(letter.aggregate_id for letter in letters.all()) == others


def test_all_letters_are_found_though_one_page_cannot_hold_them(dynamodb: Any):
    table = tables.create(dynamodb, "letters")
    letters = LetterStore(dynamodb, table=table)
    for number in range(7):
        file(letters, number, f"sub.{number:026d}")
    # As large as no letter is, so that few are more than a page of 1 MB.
    for item in dynamodb.scan(TableName=table)["Items"]:
        dynamodb.put_item(TableName=table, Item={**item, "e": {"S": "x" * 300_000}})

    assert len({letter.aggregate_id for letter in letters.all()}) == 7


def test_sixteen_racing_attempts_are_all_counted(letters: LetterStore, race: Race):
    race(lambda number: file(letters, number))

    [letter] = letters.all()
    assert letter.attempts == 16
    # Whoever was first set both.
    assert letter.first_at_ms == 1000 + letter.position
