"""Which regions serve, and which an answer must wait for: one item, the same for all regions.

`active -> leaving -> drained -> joining -> active`. A region that is not drained is required
by every answer; only an active one serves. Each state is held longer than any function may go
by an older one (`control.Control`), so a region that serves is required by every publisher.
Read consistently and changed on condition of its version: two operators cannot both be right.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from eventstore.aws_errors import passing_errors_translated
from eventstore.errors import StoreUnavailable
from projections.versioned import put_state

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class RegionState(StrEnum):
    """What a region does. Stored: a state may be added, never renamed."""

    ACTIVE = "active"
    LEAVING = "leaving"
    DRAINED = "drained"
    JOINING = "joining"


_MOVES = {
    RegionState.ACTIVE: {RegionState.LEAVING},
    RegionState.LEAVING: {RegionState.DRAINED, RegionState.JOINING},
    # Drained and then lost, or its answers are taken over: only who answers for it changes.
    RegionState.DRAINED: {RegionState.JOINING, RegionState.DRAINED},
    # Joining still, and its answers are home.
    RegionState.JOINING: {RegionState.ACTIVE, RegionState.LEAVING, RegionState.JOINING},
}


class RegionRefused(Exception):
    """A region cannot be moved as asked; nothing was changed. The message says why."""


class NotServing(StoreUnavailable):
    """This region takes no commands and no queries now; the message names those that do."""


class Standing(BaseModel):
    """One region's state, as it is stored.

    Attributes:
        state: what the region does.
        since_ms: when it came to that, by the operator's clock: to show, never to decide by.
        version: that of the control item which brought the state; no later move has it.
        adopter: the region that answers for it while it is lost.
        taken_over: the adopter has begun to. Before that nobody answers for it.
        drained_before: it was left out of answers at some time.
        adopters: every region that has ever answered for it.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: RegionState = RegionState.ACTIVE
    since_ms: int = 0
    version: int = 0
    adopter: str | None = None
    taken_over: bool = False
    drained_before: bool = False
    adopters: tuple[str, ...] = ()


class Topology(BaseModel):
    """The states of all configured regions at one version of the control item."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 0
    standings: dict[str, Standing]

    @classmethod
    def all_active(cls, regions: Iterable[str]) -> "Topology":
        """Return what holds while nobody has moved a region."""
        return cls(standings={region: Standing() for region in regions})

    @property
    def not_drained(self) -> frozenset[str]:
        """The regions that take part in answers, whoever gives them."""
        return frozenset(
            r for r, one in self.standings.items() if one.state is not RegionState.DRAINED
        )

    def required(self, answering: str) -> frozenset[str]:
        """Return the regions that must have applied a commit before `answering` answers it.

        The answering region is always one: the answer's state is taken from its view.
        """
        return self.not_drained | {answering}

    def state(self, region: str) -> RegionState:
        """Return a region's state; raise RegionRefused if there is no such region."""
        if region not in self.standings:
            raise RegionRefused(f"no region {region} here; there are {', '.join(self.standings)}")
        return self.standings[region].state

    def _in_state(self, state: RegionState) -> tuple[str, ...]:
        return tuple(region for region, one in self.standings.items() if one.state is state)

    @property
    def serving(self) -> tuple[str, ...]:
        """The regions that take commands and queries, in the order of the configuration."""
        return self._in_state(RegionState.ACTIVE)

    @property
    def not_lost(self) -> tuple[str, ...]:
        """The regions that can be expected to be there: all but those adopted by another."""
        return tuple(region for region, one in self.standings.items() if one.adopter is None)

    @property
    def ever_drained(self) -> frozenset[str]:
        """The regions that an answer may ever have left out."""
        return frozenset(r for r, one in self.standings.items() if one.drained_before)

    def being_taken_over(self, adopter: str) -> tuple[str, ...]:
        """Return the regions whose answers a region has only begun to take over."""
        return tuple(
            region
            for region, one in self.standings.items()
            if one.adopter == adopter and not one.taken_over
        )

    def left_out(self, answering: str) -> tuple[str, ...]:
        """Return the regions that an answer of `answering` does not wait for."""
        return tuple(r for r in self._in_state(RegionState.DRAINED) if r != answering)

    def check_serves(self, region: str) -> None:
        """Raise NotServing if a region takes no commands and no queries."""
        if self.standings[region].state is not RegionState.ACTIVE:
            others = " or ".join(self.serving)
            state = self.standings[region].state
            raise NotServing(f"{region} is {state} and serves nothing now; ask {others}")

    def takes_queued(self, region: str) -> bool:
        """Say whether a region decides commands from its queue.

        A leaving one does: what producers have put there would else stay behind when the
        region is taken away. It is required all the while, so no answer of it is too early.
        """
        return self.standings[region].state in {RegionState.ACTIVE, RegionState.LEAVING}

    def answering_region(self, origin: str) -> str:
        """Return the region that answers commands of `origin`: itself, or who adopted it."""
        return self._heirs(origin)[-1]

    def _heirs(self, origin: str) -> list[str]:
        """Return a region, who adopted it, who adopted that one, and so on."""
        heirs = [origin]
        # Whoever adopts is active then, so a chain of adoptions never closes to a ring.
        for _ in self.standings:
            adopter = self.standings[heirs[-1]].adopter if heirs[-1] in self.standings else None
            if adopter is None:
                break
            heirs.append(adopter)
        return heirs

    def may_answer(self, region: str, origin: str) -> bool:
        """Say whether a region may make and publish answers to commands of `origin`.

        Of two regions with states within their time, one at most may answer what is not answered
        yet. For when another begins, the one before has long heard that nobody may; and when a
        region answers for itself again, everything that came in there is answered.
        """
        *lost, answering = self._heirs(origin)
        return answering == region and all(self.standings[one].taken_over for one in lost)

    def keepers(self, origin: str) -> tuple[str, ...]:
        """Return the regions that may have answers to commands of `origin`, or have had any."""
        before = self.standings[origin].adopters
        return tuple(dict.fromkeys((*self._heirs(origin), *before)))

    def answered_by(self, region: str) -> frozenset[str]:
        """Return the origins whose commands a region answers."""
        return frozenset(o for o in self.standings if self.answering_region(o) == region)

    def answered_through(self, region: str) -> frozenset[str]:
        """Return the origins that a region answers, or would if nobody had adopted it."""
        return frozenset(o for o in self.standings if region in self._heirs(o))

    def left_behind(self, region: str) -> frozenset[str]:
        """Return the origins that a region has answered, and does not any more."""
        adopted = {o for o, standing in self.standings.items() if region in standing.adopters}
        return frozenset(adopted) - self.answered_through(region)

    def moved(
        self, region: str, to: RegionState, *, at_ms: int, adopter: str | None = None
    ) -> "Topology":
        """Return the states after one region's move.

        Args:
            region: the one to move.
            to: its next state. Joining once more has it answer for itself again.
            at_ms: now, only to show.
            adopter: with drained, who is to answer for it; told once more, who begins to.

        Raises:
            RegionRefused: there is no such region or no such move, or nobody would serve.

        """
        state, before = self.state(region), self.standings[region]
        self._check_moves(region, to, adopter=adopter)
        is_home = to is state is RegionState.JOINING
        named = adopter if to is RegionState.DRAINED else None
        heir = None if is_home else named or before.adopter
        begins = to is state and named == before.adopter
        version = self.version + 1
        after = Standing(
            state=to,
            since_ms=at_ms,
            version=version,
            adopter=heir,
            taken_over=heir is not None and (before.taken_over or begins),
            drained_before=before.drained_before or to is RegionState.DRAINED,
            adopters=tuple(dict.fromkeys((*before.adopters, *([heir] if heir else [])))),
        )
        return Topology(version=version, standings={**self.standings, region: after})

    def _check_moves(self, region: str, to: RegionState, *, adopter: str | None) -> None:
        """Raise RegionRefused if a region cannot be moved to a state from where it is."""
        before = self.standings[region]
        state, heir = before.state, before.adopter
        if to not in _MOVES[state]:
            raise RegionRefused(f"{region} is {state}, and from there it cannot become {to}")
        if to is RegionState.LEAVING and not set(self.serving) - {region}:
            raise RegionRefused(f"{region} is the last region that serves; it has to stay")
        if to is RegionState.DRAINED:
            self._check_drains(region, adopter)
        elif to is RegionState.ACTIVE and heir is not None:
            raise RegionRefused(f"{heir} answers for {region} until its answers are home")
        elif to is RegionState.JOINING and heir is not None and not before.taken_over:
            # What the one has and the other will answer cannot be told apart half way.
            told = f"{heir} is taking over the answers of {region}"
            raise RegionRefused(f"{told}; end that first: region drain {region} --lost")
        elif to is state is RegionState.JOINING and heir is None:
            raise RegionRefused(f"{region} answers for itself already")

    def _check_drains(self, region: str, adopter: str | None) -> None:
        """Raise RegionRefused if a region cannot be drained with this one to answer for it."""
        before = self.standings[region]
        if before.adopter is not None and adopter != before.adopter:
            raise RegionRefused(f"{before.adopter} answers for {region} already")
        if before.state is RegionState.DRAINED and (adopter is None or before.taken_over):
            raise RegionRefused(f"{region} is drained already")
        if adopter is not None and before.adopter is None:
            self.check_adopts(adopter, region)

    def check_adopts(self, adopter: str, region: str) -> None:
        """Raise RegionRefused if a region cannot answer for another."""
        if adopter == region or self.state(adopter) is not RegionState.ACTIVE:
            told = f"{adopter} cannot answer for {region}: it has to be another, active region"
            raise RegionRefused(f"{told} ({', '.join(r for r in self.serving if r != region)})")


@dataclass(frozen=True, slots=True)
class Need:
    """Whom the answer to one commit needs.

    Attributes:
        topology: the regions' states.
        homes: the region that appends to its aggregate, and the one that is about to: whatever
            their state is, nothing is answered that they could still leave aside.

    """

    topology: Topology
    homes: frozenset[str] = frozenset()

    def required(self, answering: str) -> frozenset[str]:
        """Return the regions that must have applied the commit before `answering` answers it."""
        return self.topology.required(answering) | self.homes

    def left_out(self, answering: str) -> tuple[str, ...]:
        """Return the regions that the answer does not wait for."""
        return tuple(r for r in self.topology.left_out(answering) if r not in self.homes)


class ControlStore:
    """The control item, in a global table that every region reads and writes consistently."""

    def __init__(self, client: "DynamoDBClient", *, table: str, regions: Iterable[str]) -> None:
        self._client = client
        self._table = table
        self._regions = tuple(regions)

    def read(self) -> Topology:
        """Return the states now: no older than the moment of the call.

        Raises:
            StoreUnavailable: they could not be read, or not understood.

        """
        with passing_errors_translated("read the regions' states"):
            found = self._client.get_item(TableName=self._table, Key=_KEY, ConsistentRead=True)
        return self._topology(found.get("Item", {}))

    def _topology(self, item: Mapping[str, Any]) -> Topology:
        stored: dict[str, Standing] = {}
        version = 0
        if item:
            try:
                told = Topology.model_validate_json(item["d"]["S"])
            except (KeyError, ValidationError) as error:
                # Written by a newer version of this code: nobody may go by half of it.
                raise StoreUnavailable("the regions' states are in a form unknown here") from error
            stored, version = told.standings, told.version
        # A region that was configured after the last move has not been moved: it is active.
        standings = {region: stored.get(region, Standing()) for region in self._regions}
        return Topology(version=version, standings=standings)

    def change(self, before: Topology, after: Topology) -> bool:
        """Put `after` in the place of `before`; False if that is not what is there any more.

        Raises:
            StoreUnavailable: the outcome is unknown; read to learn it.

        """
        return put_state(
            self._client,
            table=self._table,
            key=_KEY,
            before=before.version,
            version=after.version,
            document=after.model_dump_json(),
            doing="change a region's state",
        )


_KEY = {"k": {"S": "regions"}}
