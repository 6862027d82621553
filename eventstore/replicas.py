"""The log as its replicas have it together, where each may lack what another has: EVENTUAL mode.

For whoever has to see every commit that there is, and not only those that have come to one
region. Like `scanning`, never for deciding.
"""

from collections.abc import Callable, Iterator, Mapping

from eventstore.commits import Commit
from eventstore.errors import StoreUnavailable
from eventstore.log import CommitLog
from eventstore.scanning import Entry, LogScan


class EveryReplica:
    """Reads one replica after the other. A commit comes as often as there are replicas with it.

    Args:
        scans: of each region's replica.
        logs: the same replicas, for single commits.
        needed: the regions whose replicas must be read; others may be out of reach.

    """

    def __init__(
        self,
        scans: Mapping[str, LogScan],
        logs: Mapping[str, CommitLog],
        *,
        needed: Callable[[], frozenset[str]],
    ) -> None:
        self._scans = scans
        self._logs = logs
        self._needed = needed

    def pages(self) -> Iterator[list[Entry]]:
        """Yield every commit that was in a replica when it was begun, some pages at a time.

        Raises:
            StoreUnavailable: a replica that is needed could not be read; begin again.

        """
        needed = self._needed()
        for region, scan in self._scans.items():
            try:
                yield from scan.pages()
            except StoreUnavailable:
                # What only a region has that takes part in nothing comes when that is back.
                if region in needed:
                    raise

    def get(self, aggregate_id: str, position: int, *, consistent: bool) -> Commit | None:
        """Return a commit from whichever replica has it, None if none has.

        Raises:
            StoreUnavailable: none that could be read has it, and some could not be.

        """
        failed: StoreUnavailable | None = None
        for log in self._logs.values():
            try:
                if found := log.get(aggregate_id, position, consistent=consistent):
                    return found
            except StoreUnavailable as error:
                failed = error
        if failed is not None:
            raise failed
        return None
