"""The narrow door from the read side to the log: what lies between applied and arrived.

Streams deliver late, twice and in any order across items. Whatever arrives, a view is given
an unbroken run of commits: what did not arrive is read from the log.
"""

from collections.abc import Sequence

from eventstore.commits import Commit
from eventstore.errors import CorruptLog
from eventstore.log import CommitLog


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
