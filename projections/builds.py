"""Which builds of a projection a region keeps, and which of them readers get.

`filling -> both -> switched -> (none)`, or back: `switched -> returning -> returned`. From
`both` on the projector applies every commit to two builds, and acknowledges it after both;
readers get the new one from `switched` on, and the old one again in `returned`. Each phase is
held longer than anybody may go by an older one (`known_builds`), so whoever acknowledges writes
what any reader reads. The state is the region's own, changed on condition of its version.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from eventstore.aws_errors import passing_errors_translated
from eventstore.errors import StoreUnavailable
from projections.holding import Holds
from projections.projection import Projection
from projections.versioned import put_state

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# The partition of the views table that holds the states: no projection may have this name.
RESERVED = "rebuild"


class Phase(StrEnum):
    """How far a rebuild is. Stored: a phase may be added, never renamed."""

    FILLING = "filling"
    BOTH = "both"
    SWITCHED = "switched"
    RETURNING = "returning"
    RETURNED = "returned"


class BuildState(BaseModel):
    """The builds of one projection in one region, as stored.

    Attributes:
        version: of this item, for conditional changes; 0 before there is one.
        live: the label of the build that readers get.
        other: the label being built, or from `switched` on the one that was live before.
        broken: an aggregate that the projector could not apply to the build that nobody reads,
            yet or any more. Such a build is written no more, and readers never get it.
        phase: None while there is one build only.
        leftover: the label of a build that is out of use and whose items are to be removed.
        generation: the highest that was ever given, so that no label is used twice.
        since_ms: when the phase began, by the operator's clock: to show, never to decide by.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 0
    live: str
    other: str | None = None
    phase: Phase | None = None
    broken: str | None = None
    leftover: str | None = None
    generation: int = 0
    since_ms: int = 0


class BuildUnknown(StoreUnavailable):
    """A build is live here whose code is not deployed: deploy both until the old one is gone.

    What needs it is late, not lost: it goes on when the code is there.
    """


class Registered:
    """The projections that the code has; of one name several versions while one replaces another.

    Raises:
        ValueError: a projection has the reserved name.

    """

    def __init__(self, projections: Iterable[Projection]) -> None:
        self._by_name: dict[str, dict[int, Projection]] = {}
        for projection in projections:
            if projection.name == RESERVED:
                raise ValueError(f"no projection may have the name {RESERVED!r}")
            self._by_name.setdefault(projection.name, {})[projection.version] = projection

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of registration."""
        return tuple(self._by_name)

    def first(self, name: str) -> Projection:
        """Return what is live where nothing was ever rebuilt: the lowest version."""
        versions = self._by_name[name]
        return versions[min(versions)]

    def newest(self, name: str) -> Projection:
        """Return the highest version, which a rebuild builds."""
        versions = self._by_name[name]
        return versions[max(versions)]

    def labelled(self, name: str, label: str) -> Projection:
        """Return the build with this label.

        Raises:
            BuildUnknown: the code of its version is not here.

        """
        version, _, generation = label.partition(".")
        found = self._by_name.get(name, {}).get(int(version))
        if found is None:
            raise BuildUnknown(f"version {version} of {name} is in use here, and not deployed")
        return replace(found, generation=int(generation or 0))


class Builds:
    """The builds of all projections in one region at one moment."""

    def __init__(self, registered: Registered, states: Mapping[str, BuildState]) -> None:
        self._registered = registered
        self._states = states

    def __eq__(self, other: object) -> bool:
        """Two are equal when the same builds are written and read."""
        return isinstance(other, Builds) and self._states == other._states

    __hash__ = None  # type: ignore[assignment]

    def state(self, name: str) -> BuildState:
        """Return a projection's state; where none is stored, the code's own lowest version."""
        return self._states.get(name) or BuildState(live=self._registered.first(name).label)

    def unstored(self) -> tuple[str, ...]:
        """Return the projections of which it is not stored yet which build is live."""
        return tuple(name for name in self._registered.names if name not in self._states)

    def live(self, projection: Projection) -> Projection:
        """Return the build that readers of a projection get."""
        return self._registered.labelled(projection.name, self.state(projection.name).live)

    @cached_property
    def _written(self) -> Mapping[str, tuple[Projection, ...]]:
        return {name: self._written_of(name) for name in self._registered.names}

    def _written_of(self, name: str) -> tuple[Projection, ...]:
        state = self.state(name)
        labels = [state.live]
        if state.other is not None and state.broken is None:
            if state.phase in {Phase.BOTH, Phase.RETURNING}:
                labels = [state.other, state.live]
            elif state.phase in {Phase.SWITCHED, Phase.RETURNED}:
                labels = [state.live, state.other]
        return tuple(self._registered.labelled(name, label) for label in labels)

    def written(self) -> tuple[Projection, ...]:
        """Return the builds that every commit is applied to before it is acknowledged.

        The build that readers are about to get comes first. So once it has caught up it is
        never behind the other one, and readers who change over never go back.
        """
        return tuple(build for builds in self._written.values() for build in builds)

    def written_of(self, projection: Projection) -> tuple[Projection, ...]:
        """Return the builds of one projection that are written."""
        return self._written[projection.name]

    def spared(self) -> frozenset[str]:
        """Return which builds (`Projection.build`) must not stop the live ones.

        Commits that cannot be applied to them go on to the live ones, and are acknowledged
        once it is certain that nobody reads the spared build, nor ever will (`break_off`).
        """
        return frozenset(
            f"{name}#{state.other}"
            for name, state in self._states.items()
            if state.phase is not None and state.phase is not Phase.FILLING
        )

    def held(self) -> tuple[Projection, ...]:
        """Return the builds that readers get, and those that they may be given again."""
        unread = {
            f"{name}#{state.other}"
            for name, state in self._states.items()
            if state.phase is Phase.BOTH
        }
        return tuple(one for one in self.written() if one.build not in unread)

    def spare(self, name: str) -> frozenset[str]:
        """Return the labels of a projection that nobody reads: being filled, or to be removed."""
        state = self._states.get(name)
        if state is None:
            return frozenset()
        unread = state.phase in {Phase.FILLING, Phase.BOTH} or state.broken is not None
        filled = state.other if unread else None
        return frozenset(label for label in (filled, state.leftover) if label is not None)


def states_in(items: Iterable[Mapping[str, Any]]) -> dict[str, BuildState]:
    """Return the states among the items of the views table, by projection.

    Raises:
        KeyError, ValidationError: an item is in no form that is known here.

    """
    return {
        item["s"]["S"]: BuildState.model_validate_json(item["d"]["S"])
        for item in items
        if item["k"]["S"] == RESERVED
    }


class BuildStore:
    """The states of one region's builds, in its views table."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def read(self) -> dict[str, BuildState]:
        """Return the states now, by projection, read consistently.

        Raises:
            StoreUnavailable: they could not be read, or not understood.

        """
        with passing_errors_translated("read which builds are live"):
            page = self._client.query(
                TableName=self._table,
                KeyConditionExpression="k = :k",
                ExpressionAttributeValues={":k": {"S": RESERVED}},
                ConsistentRead=True,
            )
        try:
            return states_in(page["Items"])
        except (KeyError, ValidationError) as error:
            # Written by a newer version of this code: nobody may go by half of it.
            raise StoreUnavailable("the builds' states are in a form unknown here") from error

    def change(self, name: str, before: BuildState, after: BuildState) -> bool:
        """Put `after` in the place of `before`; False if that is not what is there any more.

        Raises:
            StoreUnavailable: the outcome is unknown; read to learn it.

        """
        version = before.version + 1
        return put_state(
            self._client,
            table=self._table,
            key={"k": {"S": RESERVED}, "s": {"S": name}},
            before=before.version,
            version=version,
            document=after.model_copy(update={"version": version}).model_dump_json(),
            doing="change which builds are live",
        )

    def break_off(self, build: Projection, aggregate_id: str, *, holds: Holds) -> None:
        """Have a build that nobody reads be read never more: an aggregate cannot be applied to it.

        Changes the state's version, so no switch that looked before can come after this.

        Args:
            build: the one beside the live one.
            aggregate_id: the aggregate.
            holds: a build that was read until now is given up only once nobody can go by that.

        Raises:
            StoreUnavailable: the state has moved on, somebody may still read the build, or it
                could not be changed: apply again.

        """
        state = self.read().get(build.name)
        if state is None or state.other != build.label or state.phase is Phase.FILLING:
            raise StoreUnavailable(f"{build.build} is not the build beside the live one any more")
        if state.broken is not None:
            return
        if state.phase is not Phase.BOTH and holds.left_s(build.name, state.version) > 0:
            raise StoreUnavailable(f"{build.build} may still be read by somebody")
        if not self.change(build.name, state, state.model_copy(update={"broken": aggregate_id})):
            raise StoreUnavailable(f"{build.build} was moved by somebody else")
