"""Put a log and the answers that were given to it into an installation that has none.

Each commit's answers first, then the commit: so when the stream brings it, a published answer
is there already and is not given again, and one that was still owed is given. Everything else
(views, applied sequences, acknowledgements, snapshots) comes of the log as it always does.
Nothing is ever written over: what is there already must be the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from eventstore.commits import Commit
from eventstore.errors import CorruptLog, StoreUnavailable
from eventstore.log import CommitLog
from projections.regions import RegionState, Topology
from projections.response_items import Item
from projections.responses import ResponseStore

# Between two tries the caller pauses; a put that met another region's put may be tried again.
PUT_TRIES = 20


class RestoreRefused(Exception):
    """The log here is not the one that is restored; the message says where they part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One commit of a backup, with its response items by region.

    `key` is a copy of the subject's key, if anything of the commit is sealed.
    """

    commit: Commit
    answers: Mapping[str, Item]
    key: bytes | None = None

    @property
    def is_answered(self) -> bool:
        """Whether its answer was sent."""
        return any("published" in item for item in self.answers.values())


def _no_key(aggregate_id: str, _copy: bytes) -> None:
    raise RestoreRefused(f"{aggregate_id} has a key, and nobody puts it back")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restoring:
    """Puts back what was kept. Safe to repeat: what is there stays as it is.

    Args:
        log: of the installation.
        responses_of: the response items of any region.
        pause: lets some time pass before something is tried again.
        put_key: puts back the copy of a subject's key.

    """

    log: CommitLog
    responses_of: Callable[[str], ResponseStore]
    pause: Callable[[], None]
    put_key: Callable[[str, bytes], None] = _no_key

    def put(self, aggregate: Sequence[Kept]) -> None:
        """Put some commits of one aggregate, in order.

        Raises:
            RestoreRefused: the log has another commit in the place of one of these.
            StoreUnavailable: do the same again.

        """
        for kept in aggregate:
            self._patiently(kept)

    def _patiently(self, kept: Kept) -> None:
        for left in reversed(range(PUT_TRIES)):
            try:
                self._put(kept)
            except StoreUnavailable:
                if not left:
                    raise
                self.pause()
            else:
                return

    def _put(self, kept: Kept) -> None:
        if kept.key is not None:
            # Before anything of the subject can be read, or a command makes it another key.
            try:
                self.put_key(kept.commit.aggregate_id, kept.key)
            except CorruptLog as error:
                told = f"{error}: commands were taken meanwhile, or it is another installation's"
                raise RestoreRefused(told) from error
        for region, item in kept.answers.items():
            self.responses_of(region).put_back(item)
        there = self.log.put(kept.commit)
        if there is not None and there != kept.commit:
            told = f"the log has another commit at {kept.commit.commit_id}"
            raise RestoreRefused(f"{told}: commands were taken meanwhile, or it is another log")


def restoring(kept: Topology | None, now: Topology, *, at_ms: int) -> Topology:
    """Return the states for as long as a log is put back: every region applies and none serves.

    They come to serve as regions do that return: once they have applied the whole log. Who was
    ever left out or adopted is kept, since answers say so.
    """
    version = now.version + 1
    before = kept.standings if kept is not None else {}
    return Topology(
        version=version,
        standings={
            region: before.get(region, standing).model_copy(
                update={"state": RegionState.JOINING, "since_ms": at_ms, "version": version}
            )
            for region, standing in now.standings.items()
        },
    )
