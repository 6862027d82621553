"""Scenes of EVENTUAL mode: what seldom comes together by chance, put together on purpose.

Each is about one subscriber whose home is moved, and is one thing that the mode must stand: whoever
wrote it down has the times worked out by which a guarantee, once taken out, is missed. What else
goes wrong in a plan may still spoil its scene.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache

from eventstore.identity import Keys
from projections.homes import Homes
from tests.simulation.deployment import SECRET
from tests.simulation.faults import Outage
from tests.simulation.plan import Chore, ChoreKind, Op
from tests.simulation.workload import SUBSCRIBERS, Workload

# What a move takes, from its stopping of the home to the beginning of another, and a little more.
_BEGUN_MS = 13_500.0
_BACK_MS = 60_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is in a plan for a scene."""

    chores: tuple[Chore, ...]
    outages: tuple[Outage, ...] = ()
    ops: tuple[Op, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Stage:
    """What a scene is made with: a subscriber, its home, the other regions and a beginning."""

    chance: random.Random
    workload: Workload
    which: int
    home: str
    others: Sequence[str]
    at_ms: float
    words: list[Op] = field(default_factory=list)

    def say(self, region: str, after_ms: float, *, count: int, every_ms: float) -> None:
        """Have a region be sent changes of the subscriber, from a time after the beginning on."""
        at_ms = max(0.0, self.at_ms + after_ms)
        name = f"s{region}"
        self.words += self.workload.in_a_row(
            region, at_ms, count=count, every_ms=every_ms, which=self.which, name=name
        )

    def outage(
        self, region: str, kind: str, after_ms: float, for_ms: float, **more: object
    ) -> Outage:
        at_ms = max(0.0, self.at_ms + after_ms)
        return Outage(kind=kind, at_ms=at_ms, for_ms=for_ms, a=region, **more)  # type: ignore[arg-type]

    def chore(self, kind: ChoreKind, after_ms: float = 0.0, *, region: str = "") -> Chore:
        at_ms = self.at_ms + after_ms
        return Chore(kind=kind, at_ms=at_ms, region=region or self.home, for_ms=_BACK_MS)


def _stands_still_before_its_put(stage: _Stage) -> Scene:
    """A process of the home stands still before it puts, until another region is home."""
    kind: ChoreKind = stage.chance.choice(("evict", "move"))
    stage.say(stage.home, -500, count=14, every_ms=250)
    stall = stage.outage(stage.home, "stall", -300, 3_500, site="PutItem events")
    return Scene(chores=(stage.chore(kind),), outages=(stall,))


def _stands_still_before_it_sends_on(stage: _Stage) -> Scene:
    """A process elsewhere stands still before it sends a command on to the home, which moves."""
    kind: ChoreKind = stage.chance.choice(("evict", "move"))
    stalls = []
    for region in stage.others:
        stage.say(region, -500, count=8, every_ms=400)
        stalls.append(stage.outage(region, "stall", -300, 3_000, site="Invoke commands"))
    return Scene(chores=(stage.chore(kind),), outages=tuple(stalls))


def _arrives_while_another_takes_over(stage: _Stage) -> Scene:
    """What the home put arrives, and is answered, while its successor is about to put its first."""
    back_ms = _BEGUN_MS + 6_500
    origin = stage.chance.choice(stage.others)
    stage.say(origin, -1_500, count=3, every_ms=300)
    outages = [
        # It went out, and is held back until the home is in reach again.
        stage.outage(stage.home, "lag", -2_500, 2_500, ms=back_ms),
        stage.outage(stage.home, "cut", -100, back_ms + 100),
    ]
    for region in stage.others:
        stage.say(region, _BEGUN_MS, count=8, every_ms=600)
        # The one of the code as it is, and that of code which does not look once more.
        outages += [
            stage.outage(region, "stall", _BEGUN_MS, 6_000, site=site)
            for site in ("TransactWriteItems events", "PutItem events")
        ]
    return Scene(chores=(stage.chore("evict"),), outages=tuple(outages))


def _moves_while_much_is_on_its_way(stage: _Stage) -> Scene:
    """A home is moved as planned while what it put takes long to the others."""
    stage.say(stage.home, -1_500, count=6, every_ms=300)
    lag = stage.outage(stage.home, "lag", -2_500, 4_000, ms=_BEGUN_MS + 20_000)
    for region in stage.others:
        stage.say(region, _BEGUN_MS, count=20, every_ms=1_500)
    return Scene(chores=(stage.chore("move"),), outages=(lag,))


def _comes_back(stage: _Stage) -> Scene:
    """A home is moved away, and from there, and so on, until the first is home once more."""
    every_ms = 26_000.0
    regions = (stage.home, *stage.others)
    moves = [stage.chore("move", n * every_ms, region=regions[n % 3]) for n in range(4)]
    for number in range(5):
        for region in regions:
            stage.say(region, (number - 0.35) * every_ms, count=3, every_ms=1_500)
    return Scene(chores=tuple(moves))


def _is_answered_on_both_sides(stage: _Stage) -> Scene:
    """A home that is cut off goes on as long as it may; others take over, and it comes back."""
    for_ms = stage.chance.choice((25_000.0, 50_000.0, 90_000.0))
    cut = stage.outage(stage.home, "cut", -1_000, for_ms)
    stage.say(stage.home, -1_500, count=10, every_ms=250)
    for region in stage.others:
        stage.say(region, _BEGUN_MS, count=10, every_ms=1_000)
        stage.say(region, for_ms, count=4, every_ms=1_000)
    return Scene(chores=(stage.chore("evict"),), outages=(cut,))


def _is_moved_under_load(stage: _Stage) -> Scene:
    """A home takes commands all the while that it is moved or evicted, being well."""
    kind: ChoreKind = stage.chance.choice(("evict", "evict", "move"))
    stage.say(stage.home, -1_000, count=36, every_ms=150)
    for region in stage.others:
        stage.say(region, -1_000, count=6, every_ms=700)
        stage.say(region, _BEGUN_MS, count=4, every_ms=500)
    return Scene(chores=(stage.chore(kind),))


SCENES: tuple[Callable[[_Stage], Scene], ...] = (
    _stands_still_before_its_put,
    _stands_still_before_it_sends_on,
    _arrives_while_another_takes_over,
    _moves_while_much_is_on_its_way,
    _comes_back,
    _is_answered_on_both_sides,
    _is_moved_under_load,
)


def scene_of(number: int, chance: random.Random, regions: Sequence[str]) -> Scene:
    """Return one of the scenes, in turn by its number, between regions that chance chooses."""
    which = chance.randrange(len(SUBSCRIBERS))
    home = _home(which, tuple(regions))
    others = [one for one in regions if one != home]
    chance.shuffle(others)
    stage = _Stage(
        chance=chance,
        workload=Workload(chance, regions),
        which=which,
        home=home,
        others=others,
        at_ms=chance.uniform(4_000, 20_000),
    )
    scene = SCENES[number % len(SCENES)](stage)
    return Scene(chores=scene.chores, outages=scene.outages, ops=tuple(stage.words))


@cache
def _home(which: int, regions: tuple[str, ...]) -> str:
    """Return the first home of a subscriber."""
    keys = Keys(SECRET.encode())
    return Homes.spread(regions).of(keys.aggregate_id("sub", SUBSCRIBERS[which]["imsi"])).home
