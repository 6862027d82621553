"""The benchmark of rebuilding: one pass over logs of several lengths, its speed and its memory.

Memory is the peak of what the pass itself holds, where the log is made page by page and the views
go nowhere; speed is of the same pass. So it is a floor: a table that answers adds its own time.
"""

import time
from collections.abc import Sequence
from typing import Any

from tests.projections.test_rebuild_memory import pass_over, peak_bytes

COMMITS = (1_000, 10_000)
LITTLE = (500, 2_000)
FULL = (1_000, 10_000, 100_000, 1_000_000)


def run(*, quick: bool, full: bool = False) -> list[dict[str, Any]]:
    """Return commits a second and core, and the peak of memory, by the length of the log."""
    return passes(LITTLE if quick else FULL if full else COMMITS)


def passes(lengths: Sequence[int]) -> list[dict[str, Any]]:
    """Return them for these lengths."""
    # The first pass fills caches that every process has once.
    peak_bytes(lengths[0] // 10)
    told: list[dict[str, Any]] = []
    for commits in lengths:
        begun_s = time.process_time()
        pass_over(commits)
        spent_s = time.process_time() - begun_s
        told.append({"commits": commits, "a_core_second": commits / spent_s})
        # Watching memory makes it several times slower: the longest is not watched.
        if commits < FULL[-1]:
            told[-1]["peak_mb"] = peak_bytes(commits) / 1e6
    return told
