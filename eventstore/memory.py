"""A log in the memory of one process: the contract of `log.CommitLog`, for tests.

It is not a store for anybody's data: it keeps nothing when the process ends.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator

from eventstore.commits import Commit
from eventstore.log import LAST_POSITION


class InMemoryLog:
    """Commits in dictionaries, under one lock; every read is consistent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._commits: dict[str, dict[int, Commit]] = defaultdict(dict)

    def put(self, commit: Commit, *, unless: int | None = None) -> Commit | None:
        with self._lock:
            commits = self._commits[commit.aggregate_id]
            if unless in commits and commit.position not in commits:
                return commits[unless]
            there = commits.setdefault(commit.position, commit)
        return None if there is commit else there

    def get(self, aggregate_id: str, position: int, *, consistent: bool) -> Commit | None:  # noqa: ARG002 - always is
        with self._lock:
            return self._commits[aggregate_id].get(position)

    def read(
        self,
        aggregate_id: str,
        *,
        after: int = 0,
        upto: int = LAST_POSITION,
        consistent: bool,  # noqa: ARG002 - always is
        newest_first: bool = False,
    ) -> Iterator[Commit]:
        with self._lock:
            commits = dict(self._commits[aggregate_id])
        order = sorted(commits, reverse=newest_first)
        return (commits[at] for at in order if after < at <= upto)

    def head(self, aggregate_id: str, *, consistent: bool) -> Commit | None:  # noqa: ARG002 - always is
        with self._lock:
            commits = self._commits[aggregate_id]
            return commits[max(commits)] if commits else None
