"""One subject's commands in order, with every outcome that the domain allows for each.

A burst is decided in an order that nobody knows, so after it the subject is in one of
several worlds; what comes later is expected as any of them has it. No outcome is written by
hand: the domain decides each command in each world.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

from antiphon.feeds.lines import FeedCommand
from domain.aggregate import Aggregate, Command, CommandRefused

# Every order of a burst is decided in every world, so both are kept few.
MAX_BURST = 3
MAX_BURSTS = 2
# Of the commands that are sent more than once, so many are sent again later, the others at once.
LATE_SHARE = 0.25
# No rule of the domain depends on time, so that a feed comes out the same whenever it is played.
NOW = datetime(2026, 11, 23, tzinfo=UTC)


@dataclass(kw_only=True, eq=False)
class Draft:
    """A command and what may come of it; `body` is filled when it gets its place in the feed."""

    command: Command
    expect: set[str] = field(default_factory=set)
    body: FeedCommand | None = None


@dataclass(frozen=True, kw_only=True)
class Sending:
    """A draft on its way to regions; several sendings of one draft are duplicates."""

    draft: Draft
    regions: tuple[int, ...]


class Lane:
    """The commands of one subject, drafted one step after another.

    Args:
        aggregate: of the subject.
        rng: where chance comes from.
        regions: how many there are.
        duplicates: share of the commands that are sent more than once, 0 to 1.
        room: how many distinct commands it may have.

    """

    def __init__(
        self,
        aggregate: Aggregate[Any],
        *,
        rng: random.Random,
        regions: int,
        duplicates: float,
        room: int,
    ) -> None:
        self.rng = rng
        self.steps: list[list[Sending]] = []
        self.commands = 0
        self._aggregate = aggregate
        self._regions = regions
        self._duplicates = duplicates
        self._room = room
        self._bursts = 0
        self._late: list[Sending] = []
        self._worlds: list[Any] = [None]

    @property
    def state(self) -> Any:
        """The subject's state in one of the worlds; None while it does not exist."""
        return self._worlds[0]

    @property
    def may_burst(self) -> bool:
        """Say whether several commands may still be sent at the same time."""
        return self._bursts < MAX_BURSTS and self._room - self.commands >= MAX_BURST

    def send(self, commands: Sequence[Command]) -> None:
        """Add a step: commands that are sent at the same time, from different regions.

        What there is no room for is left out.
        """
        commands = commands[: self._room - self.commands]
        if not commands:
            return
        homes = self.rng.sample(range(self._regions), self._regions)
        step = [
            self._sending(Draft(command=command), home=homes[place % len(homes)])
            for place, command in enumerate(commands)
        ]
        self.commands += len(step)
        self._bursts += len(step) > 1
        self._decide([sending.draft for sending in step])
        self.steps.append(step)

    def send_again(self) -> None:
        """End the lane with the late duplicates, as of producers that got no answer."""
        self.steps += [[sending] for sending in self._late]
        self._late = []

    def _sending(self, draft: Draft, *, home: int) -> Sending:
        others = [region for region in range(self._regions) if region != home]
        if self.rng.random() >= self._duplicates:
            return Sending(draft=draft, regions=(home,))
        if not others or self.rng.random() < LATE_SHARE:
            again = self.rng.choice(others or [home])
            self._late.append(Sending(draft=draft, regions=(again,)))
            return Sending(draft=draft, regions=(home,))
        more = self.rng.sample(others, min(len(others), self.rng.choice((1, 1, 2))))
        return Sending(draft=draft, regions=(home, *more))

    def _decide(self, drafts: Sequence[Draft]) -> None:
        worlds: dict[str, Any] = {}
        for world in self._worlds:
            for order in permutations(drafts):
                state = world
                for draft in order:
                    outcome, state = self._decided(state, draft.command)
                    draft.expect.add(outcome)
                worlds.setdefault(state.model_dump_json() if state else "", state)
        self._worlds = list(worlds.values())

    def _decided(self, state: Any, command: Command) -> tuple[str, Any]:
        try:
            events = self._aggregate.decide(state, command, now=NOW)
        except CommandRefused:
            return "rejected", state
        for event in events:
            state = self._aggregate.evolve(state, event)
        return ("accepted" if events else "unchanged"), state
