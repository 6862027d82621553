"""Load an aggregate as cheaply as may be: memory, snapshot, the region's replica, the log.

What is loaded may be behind the log, never beside it: the append verifies it. Memory is
bounded by aggregates and by tokens, and what is forgotten is only loaded again.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from botocore.exceptions import ClientError

from domain.aggregate import Aggregate
from eventstore.bounds import Bounds
from eventstore.chain import Chain, chain_after, epoch_of
from eventstore.commits import Commit
from eventstore.errors import CorruptLog, StoreUnavailable, SubjectForgotten
from eventstore.folding import Fold, fold_commit, fold_commits
from eventstore.log import LAST_POSITION, CommitLog
from eventstore.sealing import Cipher
from eventstore.snapshots import Snapshots
from eventstore.tenure import Tenure


class Loader:
    """Loads the aggregates of one region and keeps them warm. Safe to share between threads.

    Args:
        elsewhere: the replicas of other regions, to take over from; each may be out of reach.

    """

    def __init__(
        self,
        log: CommitLog,
        snapshots: Snapshots | None,
        bounds: Bounds,
        elsewhere: Callable[[], Sequence[CommitLog]] = tuple,
        *,
        cipher: Cipher,
    ) -> None:
        self._log = log
        self._cipher = cipher
        self._snapshots = snapshots
        self._bounds = bounds
        self._elsewhere = elsewhere
        self._warm = _WarmFolds(bounds)

    def load(
        self, aggregate: Aggregate[Any], aggregate_id: str, *, now_ms: int, tenure: Tenure
    ) -> Fold:
        """Return a fold of the aggregate to append to; its tokens cover at least the window.

        Raises:
            CorruptLog: the log cannot be folded.
            StoreUnavailable: commits are on their way here that come before those that are here.

        """
        warm = self._warm.get(aggregate_id)
        if warm is not None and epoch_of(warm.last_position) >= tenure.epoch:
            return warm
        start = warm or self._snapshot(aggregate, aggregate_id, now_ms)
        if tenure.epoch:
            return self._take_over(aggregate, aggregate_id, start, tenure)
        try:
            fold = self._fold_on(aggregate, aggregate_id, start)
        except CorruptLog:
            # A replica may show a hole that the log does not have, and a snapshot may be
            # wrong, or of a log that was restored to before it: the log itself decides.
            whole = self._log.read(aggregate_id, consistent=True)
            fold = fold_commits(aggregate, Fold(), whole, self._cipher)
        self._warm.put(aggregate_id, fold)
        return fold

    def _fold_on(self, aggregate: Aggregate[Any], aggregate_id: str, start: Fold) -> Fold:
        """Fold what follows a snapshot whose own last commit is found in the log.

        It is read along, so this costs no further request. Without it a snapshot that is ahead
        of the log would be appended behind: the log would get a hole.

        Raises:
            CorruptLog: the log has no such commit, or another in its place.

        """
        position, _ = start.tail
        if not position:
            near = self._log.read(aggregate_id, consistent=False)
            return fold_commits(aggregate, start, near, self._cipher)
        # The replica may lag behind the snapshot, so only the log itself can say no.
        for consistent in (False, True):
            rest = self._log.read(aggregate_id, after=position - 1, consistent=consistent)
            first = next(rest, None)
            if first is not None and start.ends_with(first):
                return fold_commits(aggregate, start, rest, self._cipher)
        raise CorruptLog(f"the snapshot of {aggregate_id} is of another log")

    def read_on(self, aggregate: Aggregate[Any], aggregate_id: str, fold: Fold) -> Fold:
        """Return the fold as of the log's tail, by a consistent read of what it lacks."""
        rest = list(self._log.read(aggregate_id, after=fold.last_position, consistent=True))
        chain = chain_after(fold.last_position, rest)
        if chain.turned:
            raise StoreUnavailable(f"{aggregate_id} has turned to another branch; load it again")
        fold = fold_commits(aggregate, fold, chain.run if chain.whole else rest, self._cipher)
        self._warm.put(aggregate_id, fold)
        return fold

    def _take_over(
        self, aggregate: Aggregate[Any], aggregate_id: str, start: Fold, tenure: Tenure
    ) -> Fold:
        """Return the fold of the chain that a later epoch goes on from.

        What is warm or a snapshot may be of another branch: this region's replica decides, by
        a consistent read, for what is in it now is what no first commit may leave aside.
        """
        after = start.last_position
        if self._is_behind(aggregate_id, tenure):
            self._fetch(aggregate_id)
        chain = self._chain(aggregate_id, after, tenure)
        if chain.turned:
            # Pages of tokens beside its snapshots would be of both branches: take none again.
            start = replace(Fold(), tried_at=LAST_POSITION)
            chain = self._chain(aggregate_id, 0, tenure)
        if not chain.whole:
            raise StoreUnavailable(f"commits of {aggregate_id} are still on their way here")
        fold = fold_commits(aggregate, start, chain.run, self._cipher)
        self._warm.put(aggregate_id, fold)
        return fold

    def _is_behind(self, aggregate_id: str, tenure: Tenure) -> bool:
        """Say whether the first commit since an epoch was ended by force is still to be made."""
        if tenure.taken is None:
            return False
        head = self._log.head(aggregate_id, consistent=True)
        return head is None or head.epoch <= tenure.taken

    def _chain(self, aggregate_id: str, after: int, tenure: Tenure) -> Chain:
        here = list(self._log.read(aggregate_id, after=after, consistent=True))
        chain = chain_after(after, here)
        if chain.whole or tenure.taken is None or here[-1].epoch > tenure.taken:
            return chain
        # Of an epoch ended by force some may never arrive: what follows it is given up.
        before = [commit for commit in here if commit.epoch < here[-1].epoch]
        return replace(chain, whole=True) if chain.run else chain_after(after, before)

    def _fetch(self, aggregate_id: str) -> None:
        """Put into this replica what other regions have of an epoch that was ended by force.

        As it is there, byte for byte: whichever write of it comes last, the item is the same.
        """
        here = {c.position for c in self._log.read(aggregate_id, consistent=True)}
        for log in self._elsewhere():
            try:
                there = list(log.read(aggregate_id, consistent=True))
            except StoreUnavailable:
                # Out of reach: what only it has arrives later, and may be superseded then.
                continue
            for commit in there:
                if commit.position not in here:
                    self._log.put(commit)
                    here.add(commit.position)

    def advance(self, aggregate: Aggregate[Any], fold: Fold, commit: Commit) -> Fold:
        """Return the fold after a commit that is in the log, and keep it warm."""
        fold = fold_commit(aggregate, fold, commit, self._cipher)
        self._warm.put(commit.aggregate_id, fold)
        return fold

    def save_if_due(self, aggregate: Aggregate[Any], aggregate_id: str, fold: Fold) -> None:
        """Take a snapshot once enough was appended since the last. Failing costs time only."""
        since = max(fold.saved_at, fold.tried_at)
        due = fold.last_position - since >= self._bounds.snapshot_every
        if self._snapshots is None or not due:
            return
        try:
            saved = self._snapshots.save(aggregate, aggregate_id, fold)
        except (StoreUnavailable, SubjectForgotten, ClientError):
            # The command is in the log already: nothing about a snapshot may fail it.
            self._warm.put(aggregate_id, fold.not_saved())
            return
        if saved and len(fold.tokens) <= self._bounds.warm_tokens // 4:
            self._warm.put(aggregate_id, fold.saved())
        else:
            # Another writer is ahead, or tokens older than the window pile up: load afresh.
            self._warm.drop(aggregate_id)

    def _snapshot(self, aggregate: Aggregate[Any], aggregate_id: str, now_ms: int) -> Fold:
        if self._snapshots is None:
            return Fold()
        try:
            return self._snapshots.load(aggregate, aggregate_id, now_ms=now_ms) or Fold()
        except (StoreUnavailable, CorruptLog, ClientError, KeyError):
            # Unreachable or damaged: the log has everything, only slower.
            return Fold()


class _WarmFolds:
    """The folds used last: bounded by their number and by their tokens; none goes back."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._lock = threading.Lock()
        self._folds: OrderedDict[str, tuple[Fold, int]] = OrderedDict()
        self._tokens = 0

    def get(self, aggregate_id: str) -> Fold | None:
        with self._lock:
            kept = self._folds.get(aggregate_id)
            if kept is None:
                return None
            self._folds.move_to_end(aggregate_id)
            return kept[0]

    def put(self, aggregate_id: str, fold: Fold) -> None:
        with self._lock:
            kept = self._folds.get(aggregate_id)
            if kept is not None and kept[0].last_position > fold.last_position:
                return
            self._forget(aggregate_id)
            weight = len(fold.tokens)
            self._folds[aggregate_id] = (fold, weight)
            self._tokens += weight
            while self._folds and (
                len(self._folds) > self._bounds.warm_aggregates
                or self._tokens > self._bounds.warm_tokens
            ):
                self._forget(next(iter(self._folds)))

    def drop(self, aggregate_id: str) -> None:
        with self._lock:
            self._forget(aggregate_id)

    def _forget(self, aggregate_id: str) -> None:
        _, weight = self._folds.pop(aggregate_id, (None, 0))
        self._tokens -= weight
