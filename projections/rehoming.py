"""Move aggregates from one home to another, in EVENTUAL mode, step by step.

First the home stops: it is written that its slots are on their way, and waited until no function
goes by the homes before and no put of theirs is under way. Then either everything is known in
every region (a planned move, which supersedes nothing) or the home is given up (a forced one). Only
then another begins, under the next epoch. Left off anywhere, the same way begun again goes on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from eventstore.errors import StoreUnavailable
from eventstore.scanning import Entry
from projections.catching_up import Comparison
from projections.draining import Step, compared
from projections.homes import Homes, HomesStore, slot_of
from projections.regions import ControlStore, RegionRefused, RegionState

_CHANGE_TRIES = 20
# The phase in which a home stops, as steps name it.
STOPPING = "stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeMoves:
    """Moves slots, for one operator.

    Args:
        homes: the item of the homes.
        states: the regions' states.
        comparison_of: compares the log as a region's replica has it with the views of others.
        fresh_s: how long functions go by homes they have read, in seconds.
        put_s: how long a put that was sent may still be on its way.
        elapsed_s: a monotonic clock.

    """

    homes: HomesStore
    states: ControlStore
    comparison_of: Callable[[str], Comparison]
    fresh_s: float
    put_s: float
    elapsed_s: Callable[[], float]

    def move(self, wanted: Mapping[int, str]) -> Iterator[Step]:
        """Move slots as planned: nothing that was accepted is superseded.

        Args:
            wanted: the region that each slot goes to.

        Raises:
            RegionRefused: it cannot be done, or somebody else moves them; nothing has begun
                elsewhere, and the message says why.
            StoreUnavailable: something cannot be reached; begin again to go on.

        """
        self._check_active(wanted.values())
        # Before anything is stopped: then little is missing, and a region out of reach is found.
        yield from self._all_known(self.homes.read(), wanted)
        moving = self._stop(wanted, by_force=False)
        yield from self._hold(moving, wanted)
        yield from self._all_known(moving, wanted)
        self._begin(moving, wanted, by_force=False)
        yield Step("moved", f"{len(wanted)} slots have a new home", waits=False)

    def stay(self) -> int:
        """Let the slots that are on their way stay where they are; return how many there were.

        Nothing has begun elsewhere: whoever was moving them finds that, and ends nothing.

        Raises: StoreUnavailable, as `move`.
        """
        for _ in range(_CHANGE_TRIES):
            before = self.homes.read()
            numbers = [n for n, slot in enumerate(before.slots) if slot.to is not None]
            if not numbers or self._changed(before, before.staying(numbers)):
                return len(numbers)
        raise StoreUnavailable("the homes could not be changed; begin again")

    def take(self, region: str) -> Iterator[Step]:
        """Take all slots from a region by force, whatever it has that nobody else knows.

        A slot that was taken by force before, from a region that is not back, stays.

        Raises: as `move`.
        """
        homes = self.homes.read()
        wanted = self.spread(homes, region, by_force=True)
        stays = len(homes.at(region)) - len(wanted)
        if stays:
            yield Step(STOPPING, f"{stays} slots stay: they were taken by force before")
        if not wanted:
            return
        moving = self._stop(wanted, by_force=True)
        yield from self._hold(moving, wanted)
        self._begin(moving, wanted, by_force=True)
        yield Step("taken", f"{len(wanted)} slots have a new home", waits=False)

    def settle(self, region: str) -> Iterator[Step]:
        """End what a forced move began, once its region serves again: it may be repeated then.

        Raises: as `move`.
        """
        homes = self.homes.read()
        numbers = {n for n, slot in enumerate(homes.slots) if slot.taken_from == region}
        if not numbers:
            return
        self._check_active([region])
        yield from self._known_everywhere(region, numbers)
        for _ in range(_CHANGE_TRIES):
            before = self.homes.read()
            if any(before.slots[n].taken != homes.slots[n].taken for n in numbers):
                raise RegionRefused(f"slots taken from {region} have moved meanwhile; begin again")
            if self._changed(before, before.settled(numbers)):
                return
        raise StoreUnavailable("the homes could not be settled; begin again")

    def spread(
        self, homes: Homes, region: str, *, by_force: bool, to: Sequence[str] = ()
    ) -> dict[int, str]:
        """Return where the slots of a region may go: evenly to others that serve, or to `to`."""
        others = [one for one in to or self.states.read().serving if one != region]
        if not others:
            raise RegionRefused(f"no other region than {region} serves, so none can take its slots")
        numbers = homes.at(region)
        if by_force:
            numbers = tuple(n for n in numbers if homes.slots[n].taken_from is None)
        return dict(zip(numbers, cycle(others), strict=False))

    def _check_active(self, regions: Iterable[str]) -> None:
        topology = self.states.read()
        for region in sorted(set(regions)):
            if topology.state(region) is not RegionState.ACTIVE:
                state = topology.state(region)
                raise RegionRefused(f"{region} is {state}; only a region that serves is a home")

    def _stop(self, wanted: Mapping[int, str], *, by_force: bool) -> Homes:
        """Write that slots are on their way; go on where somebody has left off just there."""
        for _ in range(_CHANGE_TRIES):
            before = self.homes.read()
            if all(before.slots[number].to == region for number, region in wanted.items()):
                return before
            after = before.moving(wanted, by_force=by_force)
            if self._changed(before, after):
                return after
        raise StoreUnavailable("the homes could not be stopped; begin again")

    def _begin(self, moving: Homes, wanted: Mapping[int, str], *, by_force: bool) -> None:
        """Give slots their new homes, from exactly the state that was held."""
        self._check_active(wanted.values())
        for _ in range(_CHANGE_TRIES):
            before = self.homes.read()
            if all(before.slots[n].epoch == moving.slots[n].epoch + 1 for n in wanted):
                return
            self._check_still(moving, wanted, before)
            self._changed(before, before.moved(wanted, by_force=by_force))
        raise StoreUnavailable("the slots could not be moved; begin again")

    def _hold(self, moving: Homes, wanted: Mapping[int, str]) -> Iterator[Step]:
        """Wait until nobody appends by the homes before."""
        until_s = self.elapsed_s() + self.fresh_s + self.put_s
        while (left_s := until_s - self.elapsed_s()) >= 0:
            yield Step(STOPPING, f"the home has surely stopped within {left_s:.0f} s")
        self._check_still(moving, wanted, self.homes.read())

    def _all_known(self, homes: Homes, wanted: Iterable[int]) -> Iterator[Step]:
        for home in sorted({homes.slots[number].home for number in wanted}):
            numbers = {number for number in wanted if homes.slots[number].home == home}
            yield from self._known_everywhere(home, numbers)

    def _known_everywhere(self, home: str, numbers: set[int]) -> Iterator[Step]:
        """Wait until every region that is not drained has applied all that a home has."""
        topology = self.states.read()
        comparison = self.comparison_of(home)

        def concerns(entry: Entry) -> bool:
            return slot_of(entry.aggregate_id) in numbers

        for region, standing in topology.standings.items():
            if standing.state is not RegionState.DRAINED:
                going = comparison.catch_up(region, concerns=concerns)
                yield from compared(going, phase=f"known in {region}")

    def _changed(self, before: Homes, after: Homes) -> bool:
        try:
            return self.homes.change(before, after)
        except StoreUnavailable:
            # The next read tells whether it was done.
            return False

    @staticmethod
    def _check_still(moving: Homes, wanted: Mapping[int, str], now: Homes) -> None:
        for number in wanted:
            if now.slots[number] != moving.slots[number]:
                raise RegionRefused(f"slot {number} is moved by somebody else; begin again")
