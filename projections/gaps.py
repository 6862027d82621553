"""The narrow door from the read side to the log: what lies between applied and arrived.

Streams deliver late, twice and in any order across items. Whatever arrives, a view is given
an unbroken run of commits: what did not arrive is read from the log. In STRONG mode the log has
all of it. In EVENTUAL mode the region's own replica says what may be applied, and it may not have
some of it yet: whichever commit comes last finds the others there.
"""

from collections.abc import Sequence
from typing import Protocol

from eventstore.chain import Chain, chain_after
from eventstore.commits import Commit
from eventstore.errors import CorruptLog
from eventstore.log import CommitLog


class Gaps(Protocol):
    """Says what may be applied after a position."""

    def after(self, aggregate_id: str, applied: int, arrived: Sequence[Commit]) -> Chain:
        """Return the chain after `applied`, when these commits have arrived.

        Raises:
            CorruptLog: the log has a hole, which no append of ours can make.

        """
        ...


class OneOrder:
    """What arrived is in the log, and so is everything before it."""

    def __init__(self, log: CommitLog) -> None:
        self._log = log

    def after(self, aggregate_id: str, applied: int, arrived: Sequence[Commit]) -> Chain:  # noqa: ARG002 - arrived says it
        return Chain(commits_after(self._log, applied, arrived))


class OwnReplica:
    """What arrived may have overtaken what it follows, or be superseded: the replica says.

    A consistent read of it, after a commit was seen there: what it shows as the chain then, no
    later tenure of this region will leave aside.
    """

    def __init__(self, log: CommitLog) -> None:
        self._log = log

    def after(self, aggregate_id: str, applied: int, arrived: Sequence[Commit]) -> Chain:  # noqa: ARG002 - the replica says it
        here = self._log.read(aggregate_id, after=applied, consistent=True)
        return chain_after(applied, list(here))


def commits_after(log: CommitLog, applied: int, arrived: Sequence[Commit]) -> list[Commit]:
    """Return the unbroken run from `applied` to the last commit that arrived.

    Args:
        log: where the missing commits are read, first from the region's replica, then
            consistently.
        applied: the last position that is applied.
        arrived: commits of one aggregate, by position, without repetition.

    Raises:
        CorruptLog: the log has a hole, which no append of ours can make.

    """
    run: list[Commit] = []
    at = applied
    for commit in arrived:
        if commit.last_position <= at:
            continue
        if not commit.follows(at):
            run += _between(log, at, commit)
        run.append(commit)
        at = commit.last_position
    return run


def _between(log: CommitLog, applied: int, commit: Commit) -> list[Commit]:
    for consistent in (False, True):
        read = log.read(
            commit.aggregate_id, after=applied, upto=commit.position - 1, consistent=consistent
        )
        between = list(read)
        if _unbroken(applied, [*between, commit]):
            return between
    missing = f"{commit.aggregate_id} between {applied} and {commit.position}"
    raise CorruptLog(f"the log has a hole: {missing}")


def _unbroken(applied: int, commits: Sequence[Commit]) -> bool:
    for commit in commits:
        if not commit.follows(applied):
            return False
        applied = commit.last_position
    return True
