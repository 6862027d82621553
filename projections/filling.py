"""Apply a page of the log to a build: what a rebuild does with what it has read.

What cannot be applied is told by aggregate, and stops no other. Nothing is acknowledged or
answered for it. Memory is the page and the views of its aggregates.
"""

from collections import defaultdict
from collections.abc import Sequence

from botocore.exceptions import ClientError

from eventstore.aws_errors import may_pass
from eventstore.commits import Commit, Item, from_item
from eventstore.errors import CorruptLog, StoreUnavailable, described
from projections.applying import Applier
from projections.projection import Projection


def fill(applier: Applier, build: Projection, items: Sequence[Item]) -> list[str]:
    """Bring a build over the commits of a page, each aggregate's together and in order.

    Returns:
        The aggregates that cannot be applied.

    Raises:
        StoreUnavailable: fill the same page again; what is done is skipped.

    """
    by_aggregate: dict[str, list[Commit]] = defaultdict(list)
    failed: set[str] = set()
    for item in items:
        aggregate_id = item["a"]["S"]
        if not build.covers(aggregate_id) or aggregate_id in failed:
            continue
        try:
            by_aggregate[aggregate_id].append(from_item(item))
        except CorruptLog:
            failed.add(aggregate_id)
    try:
        known = applier.views.read_many((build, a) for a in by_aggregate)
    except ClientError as error:
        raise StoreUnavailable(f"could not rebuild: {described(error)}") from error
    for aggregate_id, commits in by_aggregate.items():
        try:
            applier.bring_up(aggregate_id, commits, builds=[build], known=known)
        except Exception as error:
            if may_pass(error):
                raise StoreUnavailable(f"could not rebuild: {described(error)}") from error
            failed.add(aggregate_id)
    return sorted(failed)
