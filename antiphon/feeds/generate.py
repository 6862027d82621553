"""Make a feed of any size: the same arguments always make the same lines.

Subjects are told side by side, as systems of many operators would send them, each subject's
own commands in order. Numbers come from real plans; no name, host or clock of the machine
that makes the feed gets into it.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

from antiphon.feeds.elements import Place, place_for, play_element
from antiphon.feeds.lanes import Lane, Sending
from antiphon.feeds.lines import FeedCommand, FeedLine
from antiphon.feeds.numbering import MAX_TRIES, OPERATORS, Operator
from antiphon.feeds.subscribers import play_subscriber
from domain.aggregate import Aggregate
from domain.network_element import NETWORK_ELEMENT
from domain.subscriber import SUBSCRIBER

T = TypeVar("T")

# So many subjects are told side by side.
WINDOW = 40
ELEMENT_SHARE = 0.24
BEGIN = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
PAUSE_MS = (40, 900)
OUTCOMES = ("accepted", "unchanged", "rejected")

BUNDLED_COMMANDS = 440
BUNDLED_SEED = 2032
BUNDLED_DUPLICATES = 0.14
BUNDLED_REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")


def generate(
    commands: int, *, seed: int, regions: Sequence[str], duplicates: float
) -> Iterator[FeedLine]:
    """Make a feed.

    Args:
        commands: how many distinct commands; late duplicates are lines on top of these.
        seed: another seed makes other subjects.
        regions: the region list; the lines name regions by their place in it.
        duplicates: share of the commands that are sent more than once, 0 to 1: most of them
            to two or three regions at the same moment, some again later.

    Returns:
        The lines, made while they are read.

    Raises:
        ValueError: fewer than no commands, no region, or a share that is none.

    """
    if commands < 0 or not regions or not 0 <= duplicates <= 1:
        raise ValueError("a feed has commands, regions, and a share of duplicates from 0 to 1")
    maker = _Maker(_chance(seed), regions=len(regions), duplicates=duplicates)
    return maker.lines(commands)


def _chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - it keeps no secret: a feed is the same every time


def bundled() -> Iterator[FeedLine]:
    """Make the feed that comes with Antiphon again."""
    return generate(
        BUNDLED_COMMANDS,
        seed=BUNDLED_SEED,
        regions=BUNDLED_REGIONS,
        duplicates=BUNDLED_DUPLICATES,
    )


class _Teller:
    """Gives commands their ids and times in the order in which the feed tells them."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._numbers = count(1)
        self._bursts = count(1)
        self._now = BEGIN

    def tell(self, step: Sequence[Sending], *, operator: str, tag: str) -> Iterator[FeedLine]:
        burst = next(self._bursts) if len(step) > 1 else None
        for sending in step:
            draft = sending.draft
            if draft.body is None:
                draft.body = self._body(sending, operator=operator, tag=tag)
            yield FeedLine(
                regions=list(sending.regions),
                burst=burst,
                expect=[outcome for outcome in OUTCOMES if outcome in draft.expect],
                command=draft.body,
            )

    def _body(self, sending: Sending, *, operator: str, tag: str) -> FeedCommand:
        self._now += timedelta(milliseconds=self._rng.randrange(*PAUSE_MS))
        desk, prefix = ("crm", "prov") if tag == SUBSCRIBER.tag else ("oss", "net")
        command = sending.draft.command
        return FeedCommand(
            type=type(command).__name__,
            command_id=f"{prefix}-{next(self._numbers):06}",
            producer=f"{desk}-{operator}",
            occurred_at=self._now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            data=command.model_dump(mode="json"),
        )


@dataclass(frozen=True, kw_only=True)
class _OpenLane:
    """A subject in the middle of being told."""

    steps: Iterator[list[Sending]]
    operator: str
    tag: str


class _Maker:
    """Makes lanes and tells their steps side by side."""

    def __init__(self, rng: random.Random, *, regions: int, duplicates: float) -> None:
        self._rng = rng
        self._regions = regions
        self._duplicates = duplicates
        self._subjects: set[str] = set()

    def lines(self, commands: int) -> Iterator[FeedLine]:
        teller = _Teller(self._rng)
        left = commands
        lanes: list[_OpenLane] = []
        while left or lanes:
            while left and len(lanes) < WINDOW:
                lane, opened = self._lane(left)
                left -= lane.commands
                lanes.append(opened)
            place = self._rng.randrange(len(lanes))
            step = next(lanes[place].steps, None)
            if step is None:
                lanes[place] = lanes[-1]
                lanes.pop()
            else:
                yield from teller.tell(step, operator=lanes[place].operator, tag=lanes[place].tag)

    def _lane(self, room: int) -> tuple[Lane, _OpenLane]:
        # Each subject has its chance to itself, so that a change of one country's numbering
        # plan changes the feed only where it must.
        rng = _chance(self._rng.getrandbits(64))
        operator = rng.choice(OPERATORS)
        element = rng.random() < ELEMENT_SHARE
        aggregate: Aggregate[Any] = NETWORK_ELEMENT if element else SUBSCRIBER
        lane = Lane(
            aggregate,
            rng=rng,
            regions=self._regions,
            duplicates=self._duplicates,
            room=room,
        )
        if element:
            play_element(lane, operator, self._new_place(operator, rng))
        else:
            play_subscriber(lane, operator, self._new_imsi(operator, rng))
        return lane, _OpenLane(
            steps=iter(lane.steps), operator=operator.country.lower(), tag=aggregate.tag
        )

    def _new_imsi(self, operator: Operator, rng: random.Random) -> str:
        return self._unused(lambda: operator.imsi(rng), str)

    def _new_place(self, operator: Operator, rng: random.Random) -> Place:
        return self._unused(lambda: place_for(operator, rng), lambda made: made.element_id)

    def _unused(self, make: Callable[[], T], key: Callable[[T], str]) -> T:
        """Make a subject that no other lane is about, or its outcomes would not be known."""
        for _ in range(MAX_TRIES):
            made = make()
            if key(made) not in self._subjects:
                self._subjects.add(key(made))
                return made
        raise ValueError("the numbering plans have no more subjects for a feed of this size")
