"""Which builds of a projection a region keeps, and which of them readers get.

`filling -> both -> switched -> (none)`. In `both` and `switched` the projector applies every
commit to two builds, and acknowledges it after both; readers get the new one from `switched`
on, and the old one again in `returned`. Each phase is held longer than anybody may go by an
older one (`KnownBuilds`), so whoever acknowledges writes what any reader reads. The state is
the region's own, read consistently, changed on condition of its version.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from eventstore.aws_errors import passing_errors_translated
from eventstore.errors import StoreUnavailable
from projections.freshness import Fresh
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
    RETURNED = "returned"


class BuildState(BaseModel):
    """The builds of one projection in one region, as stored.

    Attributes:
        version: of this item, for conditional changes; 0 before there is one.
        live: the label of the build that readers get.
        other: the label being built, or from `switched` on the one that was live before.
        broken: an aggregate that the projector could not apply to the build nobody reads yet.
            Such a build is written no more, and readers never get it.
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
        """Return a projection's state; where it was never rebuilt, the code's own version."""
        return self._states.get(name) or BuildState(live=self._registered.first(name).label)

    def live(self, projection: Projection) -> Projection:
        """Return the build that readers of a projection get."""
        return self._registered.labelled(projection.name, self.state(projection.name).live)

    def written(self) -> tuple[Projection, ...]:
        """Return the builds that every commit is applied to before it is acknowledged.

        The new build comes first. So where a new build has caught up it is never behind the
        old one, and readers who change over never go back.
        """
        builds: list[Projection] = []
        for name in self._registered.names:
            state = self.state(name)
            labels = [state.live]
            if state.other is not None and state.phase is Phase.BOTH and state.broken is None:
                labels = [state.other, state.live]
            elif state.other is not None and state.phase in {Phase.SWITCHED, Phase.RETURNED}:
                labels = [state.live, state.other]
            builds += [self._registered.labelled(name, label) for label in labels]
        return tuple(builds)

    def written_of(self, projection: Projection) -> tuple[Projection, ...]:
        """Return the builds of one projection that are written."""
        return tuple(build for build in self.written() if build.name == projection.name)

    def unread(self) -> frozenset[str]:
        """Return which of the builds that are written (`Projection.build`) nobody reads yet."""
        return frozenset(
            f"{name}#{state.other}"
            for name, state in self._states.items()
            if state.phase is Phase.BOTH
        )

    def held(self) -> tuple[Projection, ...]:
        """Return the builds that readers get, and those that they may be given again."""
        return tuple(one for one in self.written() if one.build not in self.unread())

    def spare(self, name: str) -> frozenset[str]:
        """Return the labels of a projection that nobody reads: being filled, or to be removed."""
        state = self._states.get(name)
        if state is None:
            return frozenset()
        filled = state.other if state.phase in {Phase.FILLING, Phase.BOTH} else None
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

    def break_off(self, build: Projection, aggregate_id: str) -> None:
        """Have a build that nobody reads yet never be read: an aggregate cannot be applied to it.

        Changes the state's version, so no switch that looked before can come after this.

        Raises:
            StoreUnavailable: the state has moved on, or could not be changed: apply again.

        """
        state = self.read().get(build.name)
        if state is None or state.other != build.label or state.phase is not Phase.BOTH:
            raise StoreUnavailable(f"{build.build} is not the build that nobody reads any more")
        broken = state.model_copy(update={"broken": aggregate_id})
        if state.broken is None and not self.change(build.name, state, broken):
            raise StoreUnavailable(f"{build.build} was moved by somebody else")


class KnownBuilds(Fresh[Builds]):
    """The builds as one function instance knows them, never by states older than `fresh_s`."""

    def __init__(
        self,
        store: BuildStore,
        registered: Registered,
        *,
        elapsed_s: Callable[[], float],
        fresh_s: float,
    ) -> None:
        super().__init__(
            self._read_builds,
            unknown="it is not known which builds are live",
            elapsed_s=elapsed_s,
            fresh_s=fresh_s,
        )
        self._store = store
        self._registered = registered

    def _read_builds(self) -> Builds:
        return Builds(self._registered, self._store.read())

    def live(self, projection: Projection) -> Projection:
        """Return the build that readers of a projection get now."""
        return self.current().live(projection)

    def written(self, projection: Projection) -> tuple[Projection, ...]:
        """Return every build of a projection that some reader gets, or is about to get."""
        return self.current().written_of(projection)
