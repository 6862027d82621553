"""Which commits count, whatever has arrived so far."""

import itertools

import pytest

from eventstore.chain import chain_after, on_chain
from eventstore.commits import EPOCH_SPAN, Commit
from tests.commits import a_commit

FIRST = [a_commit(1), a_commit(2), a_commit(3)]
# Taken over at 2: what stands at 3 in the first epoch is superseded.
NEXT = [
    a_commit(EPOCH_SPAN + 3, predecessor=2, events=2),
    a_commit(EPOCH_SPAN + 5),
]
LAST = [a_commit(3 * EPOCH_SPAN + 6, predecessor=EPOCH_SPAN + 5)]
ALL = [*FIRST, *NEXT, *LAST]
COUNTED = [*FIRST[:2], *NEXT, *LAST]


def test_one_epoch_counts_as_it_is():
    assert chain_after(0, FIRST).run == FIRST
    assert chain_after(1, FIRST[1:]).run == FIRST[1:]
    assert chain_after(3, []).run == ()


def test_the_chain_leads_back_from_the_newest_epoch():
    chain = chain_after(0, ALL)

    assert (list(chain.run), list(chain.superseded)) == (COUNTED, [FIRST[2]])
    assert chain.whole
    assert not chain.turned


def test_a_view_of_what_is_superseded_is_told_that_the_chain_has_turned():
    assert chain_after(3, ALL[3:]).turned
    assert not chain_after(2, ALL[2:]).turned


@pytest.mark.parametrize("size", range(len(ALL)))
def test_of_what_has_arrived_in_any_order_only_a_prefix_of_the_chain_is_ever_applied(size: int):
    """What is applied may be superseded later, but only by an epoch of which nothing was here."""
    for arrived in itertools.combinations(ALL, size):
        chain = chain_after(0, arrived)
        newest = max((commit.epoch for commit in arrived), default=0)
        known = [commit for commit in ALL if commit.epoch <= newest]
        full = list(chain_after(0, known).run)
        assert list(chain.run) == full[: len(chain.run)]
        assert chain.whole or list(arrived) != known


def test_a_commit_is_on_the_chain_up_to_where_each_epoch_was_left():
    applied, left = LAST[0].last_position, (2, EPOCH_SPAN + 5)

    def has(commit: Commit) -> bool:
        return on_chain(commit.last_position, applied=applied, left=left)

    assert [has(commit) for commit in ALL] == [True, True, False, True, True, True]
    assert not on_chain(2 * EPOCH_SPAN + 6, applied=applied, left=left)
