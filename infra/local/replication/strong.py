"""One global table with multi-Region strong consistency (MRSC): the rules, and no storage.

Guarantees that of two regions that write an item at once one is refused, that every replica
gets every record in the one order of the journal, and that a replica's stream shows a record
no later than an eventual read does. Who evaluates a write, and where it is kept, is the
caller's business; the majority that a write waits for is in `Links.majority_round_trip_ms`.
"""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from collections.abc import Collection, Hashable, Mapping
from itertools import islice

from infra.local.replication.deliveries import Deliveries
from infra.local.replication.links import Links


class StrongReplication:
    """The writes under way, and what each replica's stream and eventual reads show of them."""

    def __init__(
        self,
        links: Links,
        *,
        replicas: Collection[str] | None = None,
        witness: str | None = None,
        read_lag_ms: float = 0.0,
        chance: random.Random | None = None,
    ) -> None:
        """Take the network; times are in ms.

        Args:
            replicas: the regions with a replica to read. Default: all.
            witness: the region that takes part in writes only, if there is one.
            read_lag_ms: how long, at most, an eventual read lags behind the stream.
        """
        self.replicas = tuple(links.regions if replicas is None else replicas)
        # Of whom a write needs a majority.
        self.members = (*self.replicas, witness) if witness else self.replicas
        self._read_lag_ms = read_lag_ms
        self._chance = chance or random.Random(0)  # noqa: S311 - delays, nothing secret
        self._deliveries = Deliveries(links, self.replicas, members=self.members)
        # What a replica's stream shows already and its eventual reads do not: (position, when,
        # origin, how long it took to come here).
        self._unread: dict[str, deque[tuple[int, float, str, float]]] = {
            region: deque() for region in self.replicas
        }
        self._origins: dict[int, tuple[str, int]] = {}
        self._being_written: dict[Hashable, list[str]] = {}

    def begin_write(self, keys: Collection[Hashable], region: str) -> bool:
        """Begin a region's write of some items, at the moment when it reaches the journal.

        Returns: False if another region is writing one of them; then nothing has begun, and
            the caller is told ReplicatedWriteConflictException.
        """
        if any(other != region for key in keys for other in self._being_written.get(key, ())):
            return False
        for key in keys:
            self._being_written.setdefault(key, []).append(region)
        return True

    def end_write(self, keys: Collection[Hashable], region: str) -> None:
        """End a write that was begun, whatever became of it."""
        for key in keys:
            writing = self._being_written[key]
            writing.remove(region)
            if not writing:
                del self._being_written[key]

    def committed(self, position: int, *, origin: str, now_ms: float) -> None:
        """Take the journal's next record, which came from `origin`."""
        self._origins[position] = (origin, len(self.replicas))
        self._deliveries.append(position, origin=origin, now_ms=now_ms)

    def arrive(self, region: str, *, now_ms: float) -> list[int]:
        """The records that a replica's stream shows from now on, in the journal's order."""
        arrived = self._deliveries.due(region, now_ms=now_ms, limit=None)
        unread = self._unread[region]
        for position in arrived:
            took_ms = self._deliveries.delivered(region, position, now_ms=now_ms)
            lag_ms = self._chance.uniform(0, self._read_lag_ms) if self._read_lag_ms else 0.0
            # Reads never show a record before the one in front of it.
            since_ms = max(now_ms + lag_ms, unread[-1][1] if unread else 0.0)
            unread.append((position, since_ms, self._origins[position][0], took_ms + lag_ms))
        return arrived

    def readable(self, region: str, *, now_ms: float, limit: int) -> list[int]:
        """The next records, at most `limit`, that eventual reads of a replica are to show.

        Only what has come by `arrive`.
        """
        first = islice(self._unread[region], limit)
        return [position for position, since_ms, *_ in first if since_ms <= now_ms]

    def applied(self, region: str, position: int) -> tuple[str, float]:
        """Note that eventual reads of a replica show its next record.

        Returns: the record's origin, and how long it took from the journal to here, in ms.
        """
        shown, _, origin, took_ms = self._unread[region].popleft()
        assert shown == position, "a replica takes records in the journal's order"
        left = self._origins[position][1] - 1
        if left:
            self._origins[position] = (origin, left)
        else:
            del self._origins[position]
        return origin, took_ms

    def next_ms(self, region: str) -> float:
        """When a replica has something to do next; infinity while nothing is on its way."""
        unread = self._unread[region]
        return min(self._deliveries.next_ms(region), unread[0][1] if unread else math.inf)

    def links_changed(self, *, now_ms: float) -> None:
        """Plan again what a change of the network holds back or lets go."""
        self._deliveries.links_changed(now_ms=now_ms)

    def pending(self, region: str) -> Mapping[str, int]:
        """How many records of each origin a replica's eventual reads do not show yet."""
        counts = Counter(self._deliveries.pending(region))
        counts.update(origin for _, _, origin, _ in self._unread[region])
        return counts
