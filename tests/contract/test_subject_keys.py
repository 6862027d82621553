"""The keys of subjects, on every engine: one for each, the same for all, gone for good."""

import os
from typing import Any

import pytest

from eventstore.errors import CorruptLog, StoreUnavailable, SubjectForgotten
from eventstore.sealing import Sealing
from eventstore.subject_keys import KEY_BYTES, ROOT, SubjectKeys
from tests.dynamodb import tables
from tests.dynamodb.kms import InProcessKms

SUBJECT, OTHER = "sub." + "a" * 26, "sub." + "b" * 26
FRESH_S = 15.0
KMS_KEY = "alias/of-the-tests"
PLACE = "event 1"


class Keys:
    """Makes what several functions know of one table, with one clock for all."""

    def __init__(self, dynamodb: Any) -> None:
        self.client = dynamodb
        self.table = tables.create(dynamodb, "keys")
        self.kms = InProcessKms(KMS_KEY)
        self.elapsed_s = 0.0

    def function(self, **more: Any) -> SubjectKeys:
        return SubjectKeys(
            **{
                "client": self.client,
                "kms": self.kms,
                "table": self.table,
                "kms_key": KMS_KEY,
                "elapsed_s": lambda: self.elapsed_s,
                "fresh_s": FRESH_S,
                "random_bytes": os.urandom,
            }
            | more
        )

    def cipher(self):
        return Sealing(self.function(), tags=frozenset({"sub"}))

    def item(self, name):
        return self.client.get_item(TableName=self.table, Key={"a": {"S": name}})["Item"]


@pytest.fixture
def keys(dynamodb):
    return Keys(dynamodb)


def test_a_key_is_made_once_and_is_the_same_for_every_function(keys):
    made = keys.function().for_sealing(SUBJECT)
    assert len(made) == KEY_BYTES
    assert keys.function().for_sealing(SUBJECT) == made
    assert keys.function().for_opening(SUBJECT) == made
    assert keys.function().for_sealing(OTHER) != made


def test_whoever_makes_a_key_at_the_same_time_gets_the_one_that_is_stored(keys, race):
    functions = [keys.function() for _ in range(16)]
    made = race(lambda number: functions[number].for_sealing(SUBJECT))
    assert len(set(made)) == 1
    assert made[0] == keys.function().for_opening(SUBJECT)


def test_neither_a_key_nor_the_root_key_stands_in_the_table_as_it_is(keys):
    function = keys.function()
    key = function.for_sealing(SUBJECT)
    stored = bytes(keys.item(SUBJECT)["k"]["B"]) + bytes(keys.item(ROOT)["k"]["B"])
    assert key not in stored
    assert all(root not in stored for root in function._roots.values())


def test_a_destroyed_key_is_gone_for_who_asks_now_and_nobody_makes_another(keys):
    keys.function().for_sealing(SUBJECT)
    keys.function().destroy(SUBJECT, at_ms=5)
    keys.function().destroy(SUBJECT, at_ms=9)
    assert keys.function().for_opening(SUBJECT) is None
    with pytest.raises(SubjectForgotten):
        keys.function().for_sealing(SUBJECT)
    assert keys.item(SUBJECT) == {"a": {"S": SUBJECT}, "f": {"N": "5"}}
    assert keys.function().is_forgotten(SUBJECT, consistent=True)
    assert not keys.function().is_forgotten(OTHER, consistent=True)


def test_who_is_forgotten_before_there_was_a_key_never_gets_one(keys):
    keys.function().destroy(SUBJECT, at_ms=5)
    with pytest.raises(SubjectForgotten):
        keys.function().for_sealing(SUBJECT)


def test_a_key_in_memory_opens_nothing_any_more_once_its_time_is_over(keys):
    warm = keys.function()
    warm.for_sealing(SUBJECT)
    keys.function().destroy(SUBJECT, at_ms=5)
    keys.elapsed_s += FRESH_S - 0.1
    assert warm.for_opening(SUBJECT) is not None
    keys.elapsed_s += 0.1
    assert warm.for_opening(SUBJECT) is None
    with pytest.raises(SubjectForgotten):
        warm.for_sealing(SUBJECT)


def test_a_warm_key_costs_nothing_and_the_root_key_is_unwrapped_once(keys):
    warm = keys.function()
    warm.for_sealing(SUBJECT)
    asked = len(keys.kms.calls)
    keys.kms.disabled = True
    assert warm.for_sealing(SUBJECT)
    assert warm.for_sealing(OTHER)
    assert len(keys.kms.calls) == asked


def test_many_keys_are_read_at_once(keys):
    subjects = [f"sub.{number:026}" for number in range(120)]
    made = {one: keys.function().for_sealing(one) for one in subjects}
    reader = keys.function()
    reader.read_ahead([*subjects, OTHER])
    assert {one: reader.for_opening(one) for one in subjects} == made


def test_what_is_sealed_without_a_key_in_the_table_is_a_table_that_does_not_belong(keys):
    with pytest.raises(CorruptLog, match="there is no key of sub"):
        keys.function().for_opening(SUBJECT)


def test_a_missing_table_is_waited_for_and_says_what_to_check(keys):
    lost = keys.function(table="no-such-table")
    with pytest.raises(StoreUnavailable, match="check the table antiphon-keys"):
        lost.for_sealing(SUBJECT)
    with pytest.raises(StoreUnavailable, match="ResourceNotFoundException"):
        lost.for_opening(SUBJECT)


@pytest.mark.parametrize(("kms_key", "code"), [("alias/none", "NotFound"), (KMS_KEY, "Disabled")])
def test_a_kms_key_that_cannot_be_used_is_waited_for(keys, kms_key, code):
    keys.kms.disabled = True
    with pytest.raises(StoreUnavailable, match=code):
        keys.function(kms_key=kms_key).for_sealing(SUBJECT)


def test_what_is_sealed_opens_for_every_function_until_its_subject_is_forgotten(keys):
    sealed = keys.cipher().seal(SUBJECT, b"+4915112345678", place=PLACE)
    assert b"4915112345678" not in sealed
    assert keys.cipher().open(SUBJECT, sealed, place=PLACE) == b"+4915112345678"
    keys.function().destroy(SUBJECT, at_ms=5)
    assert keys.cipher().open(SUBJECT, sealed, place=PLACE) is None


def test_the_same_in_the_same_place_is_sealed_as_the_same_bytes(keys):
    one, other = keys.cipher(), keys.cipher()
    sealed = one.seal(SUBJECT, b"same", place=PLACE)
    assert sealed == other.seal(SUBJECT, b"same", place=PLACE)
    assert sealed != other.seal(SUBJECT, b"same", place="event 2")


@pytest.mark.parametrize(("subject", "place"), [(SUBJECT, "event 2"), (OTHER, PLACE)])
def test_what_is_moved_to_another_place_or_subject_cannot_be_opened(keys, subject, place):
    cipher = keys.cipher()
    cipher.seal(OTHER, b"theirs", place=PLACE)
    sealed = cipher.seal(SUBJECT, b"mine", place=PLACE)
    with pytest.raises(CorruptLog, match="was not sealed there"):
        cipher.open(subject, sealed, place=place)
    with pytest.raises(CorruptLog):
        cipher.open(SUBJECT, sealed[:5], place=PLACE)


class Lagging:
    """A region whose replica shows nothing yet of what others have stored; notes what is asked."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.asked: list[str] = []

    def get_item(self, **request: Any) -> dict[str, Any]:
        self.asked.append("certain" if request["ConsistentRead"] else "near")
        return self._client.get_item(**request) if request["ConsistentRead"] else {}

    def put_item(self, **request: Any) -> dict[str, Any]:
        self.asked.append("put")
        return self._client.put_item(**request)


def test_a_first_key_waits_for_the_other_regions_once(keys):
    client = Lagging(keys.client)
    function = keys.function(client=client)
    function.for_sealing(OTHER)
    client.asked.clear()

    function.for_sealing(SUBJECT)

    assert client.asked == ["near", "put"]


def test_what_a_replica_does_not_show_yet_is_found_when_a_key_is_made(keys):
    made = keys.function().for_sealing(SUBJECT)
    keys.function().destroy(OTHER, at_ms=7)
    behind = keys.function(client=Lagging(keys.client))

    assert behind.for_sealing(SUBJECT) == made
    with pytest.raises(SubjectForgotten):
        behind.for_sealing(OTHER)
