"""Which region appends to what, in EVENTUAL mode: one item, the same for all regions.

Aggregates are spread over slots, and each slot has one home and an epoch. The item is read
consistently from all regions and changed on condition of its version, so an epoch of a slot has
one home for ever. A move first has the home stop, and is ended only once nobody can go by the
state before (`rehoming`): so one region at a time appends, though no clock is compared.
"""

import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from eventstore.aws_errors import passing_errors_translated
from eventstore.errors import NotHome, StoreUnavailable
from eventstore.tenure import Tenure
from projections.freshness import Fresh
from projections.regions import RegionRefused
from projections.versioned import put_state

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Two to five regions can have equally many.
SLOTS = 60


def slot_of(aggregate_id: str) -> int:
    """Return the slot of an aggregate, for ever."""
    return zlib.crc32(aggregate_id.encode()) % SLOTS


class Slot(BaseModel):
    """Where the aggregates of one slot are appended to, as it is stored.

    Attributes:
        home: the region that appends.
        epoch: goes up with every change of the home.
        to: the region that it is being moved to; while it is, nobody appends.
        taken_from: the region that it was taken from by force, until that region is back and
            everything that it took is known everywhere.
        taken: the epoch that was ended by that.
        version: that of the item which brought this; no later change has it.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: str
    epoch: int = 0
    to: str | None = None
    taken_from: str | None = None
    taken: int | None = None
    version: int = 1


class Homes(BaseModel):
    """The homes of all slots at one version of the item."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int
    slots: tuple[Slot, ...]

    @classmethod
    def spread(cls, regions: Iterable[str]) -> "Homes":
        """Return the homes to begin with: each region has as many slots as any other."""
        names = tuple(regions)
        return cls(version=1, slots=tuple(Slot(home=names[n % len(names)]) for n in range(SLOTS)))

    def of(self, aggregate_id: str) -> Slot:
        """Return the slot of an aggregate."""
        return self.slots[slot_of(aggregate_id)]

    def at(self, region: str) -> tuple[int, ...]:
        """Return the slots that a region is home of."""
        return tuple(number for number, slot in enumerate(self.slots) if slot.home == region)

    def moving(self, wanted: Mapping[int, str], *, by_force: bool) -> "Homes":
        """Return the homes once these slots are on their way to other regions.

        Raises:
            RegionRefused: one of them cannot be moved so; the message says why.

        """
        for number, region in wanted.items():
            slot = self.slots[number]
            if region == slot.home:
                raise RegionRefused(f"{region} is the home of slot {number} already")
            if slot.to is not None and not by_force:
                told = f"slot {number} is being moved to {slot.to} already"
                raise RegionRefused(f"{told}; go on with that, or end it: antiphon homes stay")
            if slot.taken_from is not None and by_force:
                told = f"slot {number} was taken from {slot.taken_from} by force, which is not back"
                raise RegionRefused(f"{told}; bring it back first, or have {slot.home} back")
        return self._with({n: {"to": region} for n, region in wanted.items()})

    def moved(self, numbers: Iterable[int], *, by_force: bool) -> "Homes":
        """Return the homes once these slots, which were on their way, are where they go."""
        changes: dict[int, dict[str, Any]] = {}
        for number in numbers:
            slot = self.slots[number]
            changes[number] = {"home": slot.to, "epoch": slot.epoch + 1, "to": None}
            if by_force:
                changes[number] |= {"taken_from": slot.home, "taken": slot.epoch}
        return self._with(changes)

    def staying(self, numbers: Iterable[int]) -> "Homes":
        """Return the homes once these slots stay where they are."""
        return self._with({number: {"to": None} for number in numbers})

    def settled(self, numbers: Iterable[int]) -> "Homes":
        """Return the homes once everything of the epochs ended by force is known everywhere."""
        return self._with({n: {"taken_from": None, "taken": None} for n in numbers})

    def _with(self, changes: Mapping[int, Mapping[str, Any]]) -> "Homes":
        version = self.version + 1
        slots = list(self.slots)
        for number, change in changes.items():
            slots[number] = slots[number].model_copy(update={**change, "version": version})
        return Homes(version=version, slots=tuple(slots))


class HomesStore:
    """The item of the homes, in a table that every region reads and writes consistently."""

    def __init__(self, client: "DynamoDBClient", *, table: str) -> None:
        self._client = client
        self._table = table

    def read(self) -> Homes:
        """Return the homes now: no older than the moment of the call.

        Raises:
            StoreUnavailable: they could not be read, or not understood, or are not spread yet.

        """
        with passing_errors_translated("read the homes"):
            found = self._client.get_item(TableName=self._table, Key=_KEY, ConsistentRead=True)
        if "Item" not in found:
            raise StoreUnavailable("no slot has a home yet; run: antiphon homes spread")
        return _homes(found["Item"])

    def spread(self, regions: Iterable[str]) -> bool:
        """Give every slot its first home; False if they have homes, which stay as they are.

        They are never taken from the configuration: whoever configured other regions would give
        an epoch a second home.
        """
        return self.change(None, Homes.spread(regions))

    def change(self, before: Homes | None, after: Homes) -> bool:
        """Put `after` in the place of `before`; False if that is not what is there any more.

        Raises:
            StoreUnavailable: the outcome is unknown; read to learn it.

        """
        return put_state(
            self._client,
            table=self._table,
            key=_KEY,
            before=before.version if before else 0,
            version=after.version,
            document=after.model_dump_json(exclude_defaults=True),
            doing="change the homes",
        )


def _homes(item: Mapping[str, Any]) -> Homes:
    try:
        homes = Homes.model_validate_json(item["d"]["S"])
    except (KeyError, ValidationError) as error:
        raise StoreUnavailable("the homes are in a form unknown here") from error
    if len(homes.slots) != SLOTS:
        raise StoreUnavailable(f"there are {len(homes.slots)} slots; this version has {SLOTS}")
    return homes


_KEY = {"k": {"S": "homes"}}


class KnownHomes(Fresh[Homes]):
    """The homes as one function instance of a region knows them: `eventstore.tenure.Tenures`.

    Args:
        store: where they are.
        region: the own one.
        regions: all that there are.
        elapsed_s: a monotonic clock.
        fresh_s: how long, in seconds, this region may append by what was read.

    """

    def __init__(
        self,
        store: HomesStore,
        *,
        region: str,
        regions: Collection[str],
        elapsed_s: Callable[[], float],
        fresh_s: float,
    ) -> None:
        super().__init__(
            store.read,
            unknown="it is not known which region appends now",
            elapsed_s=elapsed_s,
            fresh_s=fresh_s,
        )
        self._region = region
        self._regions = frozenset(regions)

    def held(self, aggregate_id: str) -> Tenure:
        """Return the tenure that this region has; raises: as `Tenures.held`."""
        slot = self.current().of(aggregate_id)
        if slot.to is not None:
            raise StoreUnavailable(f"the aggregate is being moved from {slot.home} to {slot.to}")
        if slot.home not in self._regions:
            # Whoever went on would append without what that region has.
            there = ", ".join(sorted(self._regions))
            told = (
                f"slot {slot_of(aggregate_id)} is at home in {slot.home}, which is no region here"
            )
            raise StoreUnavailable(f"{told} ({there}); deploy with it, or bring the homes back")
        if slot.home != self._region:
            raise NotHome(slot.home)
        return Tenure(slot.epoch, slot.taken)

    def home_of(self, aggregate_id: str) -> str:
        """Return the region that appends to an aggregate, or last did while it is moved."""
        return self.current().of(aggregate_id).home
