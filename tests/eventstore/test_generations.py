"""A restored log has another generation: tokens of before are refused, and nothing else changes."""

import pytest

from eventstore.consistency import read_token, token_at
from eventstore.errors import InvalidToken
from eventstore.identity import Keys

SECRET = b"a secret of the tests"
OLD, NEW = Keys(SECRET), Keys(SECRET, generation=2)
AGGREGATE_ID = OLD.aggregate_id("sub", "262011234567890")


def token(keys: Keys) -> str:
    return token_at(keys, aggregate_id=AGGREGATE_ID, position=7, last_position=7)


@pytest.mark.parametrize(
    ("issued", "read"), [(OLD, NEW), (NEW, OLD), (NEW, Keys(SECRET, generation=3))]
)
def test_a_token_of_another_generation_is_refused(issued: Keys, read: Keys):
    with pytest.raises(InvalidToken):
        read_token(read, token(issued))
    assert read_token(issued, token(issued)).position == 7


def test_everything_that_is_stored_is_found_again():
    answer = {"token": b"t" * 16, "position": 7, "outcome": "accepted"}
    assert NEW.aggregate_id("sub", "262011234567890") == AGGREGATE_ID
    assert NEW.answer_id(**answer) == OLD.answer_id(**answer)
    assert NEW.index_key("msisdn", "+49151") == OLD.index_key("msisdn", "+49151")
    assert NEW.fingerprint == OLD.fingerprint
    command = {"producer": "p", "aggregate_id": AGGREGATE_ID, "key": "k"}
    assert NEW.client_key_token(**command) == OLD.client_key_token(**command)


def test_the_fingerprint_tells_secrets_apart():
    assert Keys(b"another secret of them").fingerprint != OLD.fingerprint
