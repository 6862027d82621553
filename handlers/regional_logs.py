"""The log as each region's replica has it, and where an aggregate's newest commits surely are.

In STRONG mode that is here, read consistently; in EVENTUAL mode at the aggregate's home.
`Dependencies` has this, and adds everything else.
"""

from functools import cached_property

from eventstore.commits import Commit
from eventstore.errors import StoreUnavailable
from eventstore.log import DynamoDBLog
from handlers.clients import Clients
from handlers.edge import Edge
from handlers.settings import Settings
from handlers.shared_tables import SharedTables
from projections.control import Control
from projections.homes import HomesStore, KnownHomes
from projections.regions import ControlStore, Topology


class RegionalLogs(SharedTables):
    """Knows the logs of all regions for one function, the regions' states and the homes."""

    settings: Settings
    edge: Edge
    _clients: Clients
    _logs: dict[str, DynamoDBLog]

    @cached_property
    def log(self) -> DynamoDBLog:
        return self.log_of(self.settings.region)

    @cached_property
    def control(self) -> Control:
        regions = self.settings.regions
        client = self.shared_of(self.settings.region)
        return Control(
            ControlStore(client, table=self.settings.control_table, regions=regions),
            elapsed_s=self.edge.clock.elapsed_s,
            fresh_s=self.settings.control_fresh_s,
            assumed=Topology.all_active(regions),
        )

    @property
    def has_homes(self) -> bool:
        """Whether an aggregate is appended to in one region, its home: EVENTUAL mode."""
        return self.settings.mode == "EVENTUAL"

    @cached_property
    def homes(self) -> KnownHomes:
        """The homes of the aggregates, where they have any."""
        client = self.shared_of(self.settings.region)
        return KnownHomes(
            HomesStore(client, table=self.settings.control_table),
            region=self.settings.region,
            regions=self.settings.regions,
            elapsed_s=self.edge.clock.elapsed_s,
            fresh_s=self.settings.homes_fresh_s,
        )

    def log_of(self, region: str) -> DynamoDBLog:
        """Return the log as a region's replica has it, the same object for all who ask."""
        if region not in self._logs:
            client = self._clients.dynamodb(region)
            self._logs[region] = DynamoDBLog(client, table=self.settings.events_table)
        return self._logs[region]

    def commit_at(self, aggregate_id: str, position: int) -> Commit | None:
        """Return a commit from wherever it surely is if it is at all, None if there is none.

        Raises:
            StoreUnavailable: where it would be cannot be asked now.

        """
        for consistent in (False, True):
            if found := self.log.get(aggregate_id, position, consistent=consistent):
                return found
        newest = self.newest_log(aggregate_id)
        if newest is self.log:
            return None
        return newest.get(aggregate_id, position, consistent=True)

    def owed_commit(self, aggregate_id: str, position: int) -> Commit | None:
        """Return a commit that an answer is owed to; raises: as `commit_at`."""
        found = self.commit_at(aggregate_id, position)
        if found is None and self.has_homes:
            # Another region has it, and has acknowledged it: it is on its way.
            raise StoreUnavailable(f"{aggregate_id}.{position} has not arrived here yet")
        return found

    def homes_of(self, aggregate_id: str) -> frozenset[str]:
        """Return the home and where it moves to, if it has one: they must take part in answers."""
        if not self.has_homes:
            return frozenset()
        slot = self.homes.current().of(aggregate_id)
        return frozenset({slot.home, slot.to or slot.home})

    def logs_elsewhere(self) -> list[DynamoDBLog]:
        """Return the logs of the other regions that are not lost."""
        there = self.control.known().not_lost
        return [self.log_of(region) for region in there if region != self.settings.region]

    def newest_log(self, aggregate_id: str) -> DynamoDBLog:
        """Return the log that, read consistently, has all of an aggregate's commits."""
        home = self.homes.home_of(aggregate_id) if self.has_homes else self.settings.region
        return self.log if home == self.settings.region else self.log_of(home)
