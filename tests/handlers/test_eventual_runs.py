"""Seeded runs of EVENTUAL mode, and of what it would be with a guarantee taken out.

Any seed can be played alone: `python -m tests.handlers.eventual_run FIRST LAST`.
"""

from tests.handlers.eventual_run import EventualRun

SEEDS = range(12)


def test_seeded_runs_of_eventual_mode_keep_every_promise():
    happened = EventualRun(SEEDS[0]).play()
    for seed in SEEDS[1:]:
        happened += EventualRun(seed).play()

    # A run in which nothing goes wrong proves nothing.
    for what in ("accepted", "unavailable", "evicted", "moved", "brought back"):
        assert happened[what] > 0, what
    assert happened["superseded in the end"] > 0
