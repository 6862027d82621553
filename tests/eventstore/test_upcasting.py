"""Old events stay readable: version 1 as its bytes were stored, read as version 2."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from domain.network_element import NETWORK_ELEMENT, NetworkElementRegistered
from eventstore.commits import Commit, RecordedEvent
from eventstore.errors import CorruptLog
from eventstore.folding import Fold, domain_events, fold_commit, record
from eventstore.sealing import IN_CLEAR

STORED_AS_1 = b'{"element_id":"gnb-1","kind":"gnb","site":"ber-1","plmn":"262-01"}'
TOPIC = "NetworkElement.NetworkElementRegistered"


@pytest.fixture
def stored(a_commit: Callable[..., Commit]) -> Callable[..., Commit]:
    def make(version: int, data: bytes) -> Commit:
        return replace(a_commit(), events=(RecordedEvent(TOPIC, version, data),))

    return make


def test_version_1_is_read_as_version_2(stored: Any):
    [event] = domain_events(NETWORK_ELEMENT, stored(1, STORED_AS_1))

    assert event == NetworkElementRegistered(
        element_id="gnb-1", kind="gnb", site="ber-1", mcc="262", mnc="01"
    )


def test_a_state_folds_the_same_from_either_version(stored: Any):
    [event] = domain_events(NETWORK_ELEMENT, stored(1, STORED_AS_1))
    today = record(NETWORK_ELEMENT, event, aggregate_id="ne.1", position=1, cipher=IN_CLEAR)
    assert today.version == 2

    old = fold_commit(NETWORK_ELEMENT, Fold(), stored(1, STORED_AS_1))
    new = fold_commit(NETWORK_ELEMENT, Fold(), stored(2, today.data))

    assert old.state == new.state
    assert new.state.plmn == "262-01"


@pytest.mark.parametrize(
    ("version", "data"),
    [(3, STORED_AS_1), (0, STORED_AS_1), (1, b"{}"), (1, b"[]"), (1, b"{"), (2, STORED_AS_1)],
)
def test_what_no_upcast_reads_is_corrupt(stored: Any, version: int, data: bytes):
    with pytest.raises(CorruptLog):
        domain_events(NETWORK_ELEMENT, stored(version, data))
