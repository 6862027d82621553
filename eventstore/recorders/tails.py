"""What a recorder has seen of its originators: where a commit of each ended.

A tail that is known may be behind the log, never beside it: the log only grows, and the put
of the next commit verifies it. A bounded cache; what it forgets is read again.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from eventstore.commits import Commit
from eventstore.errors import CorruptLog
from eventstore.recorders.stored_form import opening_version


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a commit: the last position in it, and the version that position 1 has."""

    opening_version: int
    last_position: int

    @property
    def last_version(self) -> int:
        return self.opening_version + self.last_position - 1

    def position(self, version: int) -> int:
        """Return where an event of this version is, or would be."""
        return version - self.opening_version + 1


class KnownTails:
    """The furthest tails seen of the originators used last. Safe to share between threads."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._tails: OrderedDict[str, Tail] = OrderedDict()

    def get(self, aggregate_id: str) -> Tail | None:
        with self._lock:
            tail = self._tails.get(aggregate_id)
            if tail is not None:
                self._tails.move_to_end(aggregate_id)
            return tail

    def see(self, commit: Commit) -> Tail:
        """Remember where the commit ends; return the furthest tail known now.

        Raises:
            CorruptLog: versions and positions of the originator go apart in this commit.

        """
        seen = Tail(opening_version(commit), commit.last_position)
        with self._lock:
            known = self._tails.get(commit.aggregate_id)
            if known is not None and known.opening_version != seen.opening_version:
                raise CorruptLog(f"{commit.commit_id} has another version than its position tells")
            tail = seen if known is None or known.last_position < seen.last_position else known
            self._tails[commit.aggregate_id] = tail
            self._tails.move_to_end(commit.aggregate_id)
            while len(self._tails) > self._capacity:
                self._tails.popitem(last=False)
        return tail
