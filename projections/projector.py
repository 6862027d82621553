"""Apply commits to the read models of one region, and acknowledge them to their origin.

Apply-if-next: a view moves only over an unbroken run of commits from exactly where it stands.
So late, early, repeated and reordered arrivals are all harmless, and a gap is filled from the
log instead of waiting in memory. An aggregate stops at its first failure; others go on.
A commit is acknowledged only after every build of every projection that covers it has
applied it: the one that is read, and the one that is to be or that was. A build beside the live
one that cannot be applied stops nobody: it is given up before anything is acknowledged without.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from botocore.exceptions import ClientError

from eventstore.aws_errors import may_pass
from eventstore.commits import Commit
from eventstore.errors import CorruptLog, StoreUnavailable
from projections.acknowledgements import Acknowledger, messages_by_region
from projections.applying import Applied, Applier
from projections.bounds import READ_BOUNDS, ReadBounds
from projections.builds import Builds
from projections.failures import set_aside_commit
from projections.lane import Delivery
from projections.letters import Filing, LetterStore
from projections.projection import Projection
from projections.regions import RegionState, Topology
from projections.responses import ResponseStore
from projections.views import View
from projections.ways import Way, Ways


@dataclass(frozen=True, slots=True)
class Failures:
    """The aggregates of a batch that failed, with the error.

    Attributes:
        again: a passing failure: their commits must be delivered again.
        aside: set aside as dead letters: delivering them again would not help.
        ways: of what was applied, each commit with its way here.
        gaps: how many of those did not come by themselves, and were read from the log.

    """

    again: dict[str, Exception]
    aside: dict[str, Exception]
    ways: Sequence[tuple[Commit, Way]] = ()
    gaps: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Projector:
    """The projector of one region.

    Args:
        region: the projector's own.
        regions: all of them; commits of an origin that is no longer one are not acknowledged.
        topology: who answers for whom, as far as it is known. The projector goes on in every
            state, and by old ones an acknowledgement takes a detour, nothing else.
        acknowledge: sends acknowledgements to the regions of origin.
        builds: what is written now, known freshly enough to acknowledge by.
        break_build: has a build beside the live one be read never more, by the aggregate that
            cannot be applied to it.
        redeliver: has commits delivered to this projector again, some seconds later.
        now_ms: the wall clock, in ms since 1970.

    """

    region: str
    regions: frozenset[str]
    topology: Callable[[], Topology]
    builds: Callable[[], Builds]
    break_build: Callable[[Projection, str], None]
    applier: Applier
    responses: ResponseStore
    letters: LetterStore
    acknowledge: Acknowledger
    redeliver: Callable[[Sequence[Commit]], None]
    now_ms: Callable[[], int]
    bounds: ReadBounds = READ_BOUNDS

    def apply(self, deliveries: Iterable[Delivery]) -> Failures:
        """Apply commits that arrived, in any order, with repetitions."""
        arrived: dict[str, dict[int, Commit]] = defaultdict(dict)
        again: set[str] = set()
        ways = Ways(self.now_ms)
        for delivery in deliveries:
            ways.arrived(delivery.commits, committed_at_ms=delivery.committed_at_ms)
            for commit in delivery.commits:
                arrived[commit.aggregate_id][commit.position] = commit
                again |= {commit.commit_id} if delivery.again else set()
        try:
            builds = self.builds()
            written = builds.written()
        except StoreUnavailable as error:
            return Failures(dict.fromkeys(arrived, error), {})
        known = self._read_views(arrived, written)
        failures = Failures({}, {})
        applied: list[Applied] = []
        for aggregate_id, by_position in arrived.items():
            in_order = [by_position[at] for at in sorted(by_position)]
            try:
                applied.append(
                    self.applier.bring_up(
                        aggregate_id,
                        in_order,
                        builds=written,
                        known=known,
                        spare=builds.spared(),
                        before_a_write=self._open_answers,
                        after_a_write=ways.applied,
                    )
                )
            except Exception as error:  # noqa: BLE001 - whatever stops one aggregate stops it alone
                if may_pass(error) or not self.file(set_aside_commit(in_order[0], error)):
                    failures.again[aggregate_id] = error
                else:
                    failures.aside[aggregate_id] = error
        failures.again.update(self._give_up(applied))
        applied = [one for one in applied if one.aggregate_id not in failures.again]
        try:
            self._check_still_written(builds)
        except StoreUnavailable as error:
            return Failures(dict.fromkeys(arrived, error) | failures.again, failures.aside)
        failures.again.update(self._acknowledge(applied, again, ways))
        return replace(
            failures,
            ways=[(c, way) for one in applied for c in one.now if (way := ways.of(c))],
            gaps=sum(not ways.has(commit) for one in applied for commit in one.now),
        )

    def _check_still_written(self, builds: Builds) -> None:
        """Raise StoreUnavailable if commits were applied to other builds than belong written now.

        An acknowledgement says that whatever any reader reads has the commit. Applying may have
        taken long, so it is asked once more here: acknowledged is only by what is known freshly.
        """
        if self.builds() != builds:
            raise StoreUnavailable("other builds are written now; apply again")

    def _give_up(self, applied: Sequence[Applied]) -> dict[str, Exception]:
        """Have the builds that were left behind be read never more, before this is acknowledged.

        Returns:
            The aggregates of which that is not certain yet: they must come again.

        """
        unsure: dict[str, Exception | None] = {}
        again: dict[str, Exception] = {}
        for one in applied:
            for build, _ in one.left_behind:
                if build.build not in unsure:
                    unsure[build.build] = self._broken(build, one.aggregate_id)
                if (error := unsure[build.build]) is not None:
                    again[one.aggregate_id] = error
        return again

    def _broken(self, build: Projection, aggregate_id: str) -> Exception | None:
        try:
            self.break_build(build, aggregate_id)
        except StoreUnavailable as error:
            return error
        return None

    def file(self, failure: Filing) -> bool:
        """File a dead letter, so that the others can go on; False if that could not be done."""
        try:
            self.letters.file(failure, at_ms=self.now_ms())
        except (StoreUnavailable, ClientError):
            return False
        return True

    def _read_views(
        self, aggregate_ids: Iterable[str], builds: Sequence[Projection]
    ) -> dict[tuple[str, str], View]:
        """Read the views of a batch together; what cannot be read is left to its aggregate."""
        try:
            return self.applier.views.read_many(
                (build, a) for a in aggregate_ids for build in builds if build.covers(a)
            )
        except (StoreUnavailable, CorruptLog, ClientError, KeyError, ValueError):
            return {}

    def _open_answers(self, commits: Sequence[Commit]) -> None:
        """Let every answer that is owed here be known before its commit is applied.

        So a crash after this leaves an answer that the sweeper knows to be pending.
        """
        now_ms = self.now_ms()
        answering = self.topology().answering_region
        for commit in commits:
            # What is folded again long after must not be answered again.
            if answering(commit.origin) == self.region and not self.bounds.may_be_forgotten(
                commit.recorded_at_ms, now_ms=now_ms
            ):
                due_ms = now_ms + self.bounds.answer_due_ms
                self.responses.gather(commit.commit_id, {}, due_ms=due_ms)

    def _acknowledge(
        self, applied: Sequence[Applied], redelivered: set[str], ways: Ways
    ) -> dict[str, Exception]:
        """Acknowledge to the regions that answer; return the aggregates that must come again."""
        # What was applied before is acknowledged again: its acknowledgement may be lost.
        commits = [
            c for one in applied for c in (*one.before, *one.now) if c.origin in self.regions
        ]
        if not commits:
            return {}
        topology = self.topology()
        answering = topology.answering_region
        bodies = messages_by_region(
            commits,
            answering=answering,
            region=self.region,
            applied_at_ms=self.now_ms(),
            way_of=ways.of,
        )
        unheard = self._still_asking(topology, self.acknowledge(bodies))
        # An origin out of reach must not hold up the stream for all others: what it has not
        # heard comes back to this projector later, and is acknowledged then. One copy: what
        # repeats for another reason has its copy under way.
        new = {commit.commit_id for one in applied for commit in one.now}
        wanted = new | redelivered
        now_ms = self.now_ms()
        again = [
            c
            for c in commits
            if answering(c.origin) in unheard
            and c.commit_id in wanted
            # Whoever answers does not listen any more to what is as old as that.
            and not self.bounds.may_be_forgotten(c.recorded_at_ms, now_ms=now_ms)
        ]
        if again:
            try:
                self.redeliver(again)
            except StoreUnavailable as error:
                return {commit.aggregate_id: error for commit in again}
        return {}

    @staticmethod
    def _still_asking(topology: Topology, unheard: frozenset[str]) -> frozenset[str]:
        """Return the regions of these that will hear what comes back: not those drained.

        They may be taken away, and it would come back for ever. Nothing is lost by that: what a
        drained region still has to answer is pending there, or with who adopts it later, and
        the sweeper proves it from the views; a drain ends only when nothing is pending.
        """
        return frozenset(r for r in unheard if topology.state(r) is not RegionState.DRAINED)
