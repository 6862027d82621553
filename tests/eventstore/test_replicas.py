"""All replicas of a log together: what only one has is seen, and none is left out unseen."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from eventstore.commits import Commit
from eventstore.errors import StoreUnavailable
from eventstore.replicas import EveryReplica
from eventstore.scanning import Entry
from tests.commits import a_commit

NEAR, FAR, LOST = "near", "far", "lost"


@dataclass
class Replica:
    """One region's replica, for scans and for single commits; it may be out of reach."""

    commits: tuple[Commit, ...] = ()
    is_lost: bool = False

    def pages(self) -> Iterator[list[Entry]]:
        self._check()
        for one in self.commits:
            yield [Entry(one.aggregate_id, one.position, one.origin, one.recorded_at_ms)]

    def get(self, aggregate_id: str, position: int, *, consistent: bool) -> Commit | None:
        assert consistent
        self._check()
        place = (aggregate_id, position)
        return next((c for c in self.commits if (c.aggregate_id, c.position) == place), None)

    def _check(self) -> None:
        if self.is_lost:
            raise StoreUnavailable("out of reach")


FIRST, SECOND = a_commit(1), a_commit(2)
REPLICAS = {NEAR: Replica((FIRST,)), FAR: Replica((FIRST, SECOND)), LOST: Replica(is_lost=True)}


def every(*, needed: set[str], replicas: dict[str, Replica] = REPLICAS) -> EveryReplica:
    return EveryReplica(replicas, replicas, needed=lambda: frozenset(needed))  # type: ignore[arg-type]


def test_what_only_another_region_has_is_seen():
    seen = {entry.position for page in every(needed={NEAR, FAR}).pages() for entry in page}

    assert seen == {1, 2}


def test_a_region_that_takes_part_in_answers_is_not_left_out():
    with pytest.raises(StoreUnavailable):
        list(every(needed={NEAR, LOST}).pages())


def test_a_commit_is_found_in_whichever_replica_it_is():
    found = every(needed={NEAR}).get(SECOND.aggregate_id, 2, consistent=True)

    assert found == SECOND


def test_a_commit_is_missing_only_where_every_replica_could_be_asked():
    reached = {NEAR: REPLICAS[NEAR], FAR: REPLICAS[FAR]}

    assert every(needed=set(), replicas=reached).get(FIRST.aggregate_id, 9, consistent=True) is None
    with pytest.raises(StoreUnavailable):
        every(needed=set()).get(FIRST.aggregate_id, 9, consistent=True)
