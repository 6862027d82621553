"""A long log is rebuilt beside a feed, killed twice: nothing is wrong, nothing begins anew."""

from tests.antiphon.rebuild_at_scale import COMMITS_OF_AN_AGGREGATE, play

COMMITS = 5_000


def test_a_rebuild_killed_twice_goes_on_beside_a_feed_that_is_answered_right():
    outcome = play(COMMITS)

    assert outcome.new == outcome.old
    assert len(outcome.new) > COMMITS / COMMITS_OF_AN_AGGREGATE
    assert outcome.answers > 20
    titles = [title for title, _ in outcome.passes]
    assert titles == ["first pass", "first pass", "second pass", "second pass"]
    assert [done > 0 for _, done in outcome.passes] == [False, True, False, True]
