"""Which commits count: those on the chain of predecessors back from the newest epoch.

Within an epoch one region appends, so its commits follow each other. A newer epoch goes on from
the commit that its first one names as predecessor; what an older epoch holds beyond that is
superseded: it stays in the log and counts for nothing. Where all regions append in one order
there is one epoch, and every commit is on the chain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from eventstore.commits import EPOCH_SPAN, Commit


@dataclass(frozen=True, slots=True)
class Chain:
    """What some commits say of the chain after a position.

    Attributes:
        run: the commits that follow the position and each other, as far as they are here.
        superseded: commits that the chain has left aside.
        turned: the chain goes on from before the position: what stands there is superseded.
        whole: False while a commit is missing that others follow.

    """

    run: Sequence[Commit] = ()
    superseded: Sequence[Commit] = ()
    turned: bool = False
    whole: bool = True


def epoch_of(position: int) -> int:
    """Return the epoch of a position."""
    return position // EPOCH_SPAN


def chain_after(applied: int, commits: Sequence[Commit]) -> Chain:
    """Return the chain after the last position `applied`, which was on it.

    Args:
        applied: 0 for the whole chain.
        commits: every commit that is here with a greater position, by position.

    """
    if not commits:
        return Chain()
    epoch = commits[-1].epoch
    newest = [commit for commit in commits if commit.epoch == epoch]
    run = [newest[0]]
    for commit in newest[1:]:
        if not commit.follows(run[-1].last_position):
            break
        run.append(commit)
    older = {commit.last_position: commit for commit in commits if commit.epoch < epoch}
    # Ends, for a predecessor is always before what it precedes.
    while (at := run[0].predecessor) > applied:
        if at not in older:
            # Which of the older ones count depends on what is missing.
            return Chain(whole=False)
        run.insert(0, older.pop(at))
    if at < applied:
        return Chain(turned=True)
    whole = run[-1] is newest[-1]
    return Chain(run, superseded=tuple(older.values()), whole=whole)


def on_chain(position: int, *, applied: int, left: Sequence[int]) -> bool:
    """Say whether a commit's last position is on the chain that stands at `applied`.

    Args:
        position: of the commit's last event.
        applied: the last position of the chain.
        left: the last position of the chain in each epoch before that of `applied`.

    """
    ends = [end for end in (*left, applied) if epoch_of(end) == epoch_of(position)]
    return any(position <= end for end in ends)
