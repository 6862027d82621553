"""Proof that regions have applied a commit: their own views, read where they are.

Acknowledgements are a hint that makes answers fast. This is what they stand for, and what is
looked at where one is missing.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass

from eventstore.commits import Commit
from eventstore.errors import StoreUnavailable
from projections.projection import Projection
from projections.views import ViewStore


@dataclass(frozen=True, slots=True)
class Proof:
    """Who was found to have applied it, and when; who has not; who does not answer.

    `superseded` are those that are on a later branch without it.
    """

    applied_at_ms: dict[str, int]
    lagging: tuple[str, ...]
    silent: tuple[str, ...]
    superseded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prover:
    """Looks into regions. `views_of` reads any region's views."""

    projections: Sequence[Projection]
    views_of: Callable[[str], ViewStore]
    now_ms: Callable[[], int]

    def look(self, commit: Commit, regions: Iterable[str], *, skip: Container[str] = ()) -> Proof:
        """Look whether these regions have applied a commit in every projection that covers it.

        Regions in `skip` are not asked, and count as silent.
        """
        aggregate_id = commit.aggregate_id
        covering = [(p, aggregate_id) for p in self.projections if p.covers(aggregate_id)]
        applied: dict[str, int] = {}
        lagging: list[str] = []
        silent: list[str] = []
        superseded: list[str] = []
        for region in sorted(regions):
            if region in skip:
                silent.append(region)
                continue
            try:
                views = self.views_of(region).read_every(covering)
            except StoreUnavailable:
                silent.append(region)
                continue
            if all(view.has(commit.last_position) for view in views.values()):
                applied[region] = self.now_ms()
            elif all(view.left_aside(commit.last_position) for view in views.values()):
                superseded.append(region)
            else:
                lagging.append(region)
        return Proof(applied, tuple(lagging), tuple(silent), tuple(superseded))
