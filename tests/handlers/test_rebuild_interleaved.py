"""A rebuild among commands, deliveries, readers and rivals, in every order that a seed makes.

Two operators, two projectors and two readers of one region each know the builds by a reading of
their own, as old as it may be. Whatever happens: what was answered is what every reader gets.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from eventstore.errors import StoreUnavailable
from eventstore.folding import domain_events
from eventstore.scanning import LogPage, LogSegments
from projections.builds import BuildStore, Phase, Registered
from projections.holding import Holds
from projections.known_builds import KnownBuilds
from projections.lane import read_lane
from projections.projection import Change, Document
from projections.projector import Projector
from projections.rebuild import BehindError, Rebuild, RebuildRefused
from projections.subscriber_view import SUBSCRIBER_VIEW, apply
from projections.views import ViewStore
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS
NAME = SUBSCRIBER_VIEW.name
SEGMENTS = 2
SUBSCRIBERS = 4
ACTIONS = 120


def apply_to_version_2(document: Document | None, change: Change) -> Document | None:
    after = apply(document, change)
    return None if after is None else {**after, "version": 2}


def apply_wrongly(document: Document | None, change: Change) -> Document | None:
    after = apply_to_version_2(document, change)
    if after and after["service_profile"].endswith("7"):
        raise TypeError("the new code does not know this profile")
    return after


@dataclass
class InterruptedScan:
    """Lets other things happen between the reading of a page and its use."""

    segments: LogSegments
    meanwhile: Callable[[], None]

    def page(self, *, start: Mapping[str, Any] | None, **more: Any) -> LogPage:
        page = self.segments.page(**{**more, "start": start, "limit": 3})
        self.meanwhile()
        return page


class Play:
    """One seed's run, in Europe, with America and Asia beside it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.network = Network(InProcessRegions())
        self.deps = self.network[EU].deps
        self.now_s = 0.0
        wrong = seed % 3 == 0
        new = replace(
            SUBSCRIBER_VIEW, version=2, apply=apply_wrongly if wrong else apply_to_version_2
        )
        versions = [new] if seed % 2 else []
        self.registered = Registered([*self.deps.projections, *versions])
        self.projectors = [self._projector() for _ in range(2)]
        self.readers = [self._views(self._known()) for _ in range(2)]
        # What each reader was shown last.
        self.shown: dict[tuple[int, str], int] = {}
        object.__setattr__(self.deps.responder, "views", self._views(self._known()))
        self.operators = [self._operator() for _ in range(2)]
        self.posted = 0
        self.switched = 0

    def _projector(self) -> Projector:
        holds = self._holds()
        return replace(
            self.deps.projector,
            builds=self._known().settled,
            break_build=partial(self.deps.build_store.break_off, holds=holds),
        )

    def _holds(self) -> Holds:
        return Holds(elapsed_s=lambda: self.now_s, hold_s=self.deps.settings.builds_hold_s)

    def _known(self) -> KnownBuilds:
        client = self.deps._clients.dynamodb(EU)
        return KnownBuilds(
            BuildStore(client, table=self.deps.settings.views_table),
            self.registered,
            elapsed_s=lambda: self.now_s,
            fresh_s=self.deps.settings.builds_fresh_s,
        )

    def _views(self, known: KnownBuilds) -> ViewStore:
        client, table = self.deps._clients.dynamodb(EU), self.deps.settings.views_table
        keys, cipher = self.deps.keys, self.deps.cipher
        return ViewStore(client, table=table, keys=keys, builds=known, cipher=cipher)

    def _operator(self) -> Rebuild:
        scan = InterruptedScan(
            LogSegments(self.network.log._client, table=self.deps.settings.events_table),
            self.something_else,
        )
        return replace(
            self.deps.rebuild, scan=scan, registered=self.registered, holds=self._holds()
        )

    def run(self) -> None:
        """Let everything happen, and look after each thing that does."""
        for number in range(SUBSCRIBERS):
            data = {**ACTIVATION["data"], "imsi": f"26201123456789{number}"}
            self.network[US].post({**ACTIVATION, "data": data})
        for _ in range(ACTIONS):
            self.chance.choice((self.something_else, self.something_else, self.operate))()
            self.look()
        self.come_to_rest()

    def something_else(self) -> None:
        """Let one thing happen that is not the rebuild."""
        weighed = {self.post: 3, self.project: 4, self.let_others_work: 2, self.let_time_pass: 3}
        self.chance.choices(list(weighed), list(weighed.values()))[0]()

    def post(self) -> None:
        self.posted += 1
        number = self.chance.randrange(SUBSCRIBERS)
        profile = f"profile-{self.posted}"
        data = {"imsi": f"26201123456789{number}", "service_profile": profile}
        command = {"type": "ChangeServiceProfile", "command_id": profile, "data": data}
        self.network[self.chance.choice((US, EU))].post({**ACTIVATION, **command})

    def project(self) -> None:
        """Deliver some of what waits, in any order; what fails waits again."""
        waiting = self.network.take(EU, "lane")
        self.chance.shuffle(waiting)
        count = self.chance.randint(0, len(waiting))
        projector = self.chance.choice(self.projectors)
        for body in waiting[:count]:
            failures = projector.apply([read_lane(body)])
            assert not failures.aside
            if failures.again or self.chance.random() < 0.1:
                waiting.append(body)
        self.network.messages[EU, "lane"] += waiting[count:]

    def let_others_work(self) -> None:
        for name in (US, AP):
            self.network[name].project(*self.network.take(name, "lane"))
        for name in (US, EU):
            acks = self.network.take(name, "acks")
            failed = self.network[name].acknowledge(*acks)
            self.network.messages[name, "acks"] += [acks[int(number)] for number in failed]

    def let_time_pass(self) -> None:
        self.now_s += self.chance.uniform(0, self.deps.settings.builds_fresh_s)

    def operate(self) -> None:
        """Let one of the rivals do anything at all, or be killed and begin anew."""
        number = self.chance.randrange(2)
        if self.chance.random() < 0.05:
            self.operators[number] = self._operator()
        rebuild = self.operators[number]
        segment = self.chance.randrange(SEGMENTS)
        if self.chance.random() < 0.3:
            self.now_s += rebuild.held_for_s(NAME)
        orders: dict[Callable[[], object], float] = {
            lambda: rebuild.begin(NAME): 1.5,
            lambda: self._finish(rebuild): 5,
            lambda: rebuild.step(NAME, segment=segment, segments=SEGMENTS): 8,
            lambda: rebuild.write_both(NAME): 2,
            lambda: rebuild.switch(NAME): 5,
            lambda: rebuild.retire(NAME): 0.7,
            lambda: rebuild.abort(NAME): 1,
            lambda: rebuild.remove(NAME, start=None): 3,
        }
        try:
            self.chance.choices(list(orders), list(orders.values()))[0]()
        except (RebuildRefused, BehindError, StoreUnavailable):
            return
        self.switched += rebuild.state(NAME).phase is Phase.SWITCHED

    def _finish(self, rebuild: Rebuild) -> None:
        """Go through all segments, as far as the phase allows it."""
        for segment in range(SEGMENTS):
            while not rebuild.step(NAME, segment=segment, segments=SEGMENTS).done:
                self.look()

    def look(self) -> None:
        """Whoever reads now gets no state from before what was answered, or shown to it before."""
        answers = [one for name in (US, EU) for one in self.network[name].answers]
        for number, reader in enumerate(self.readers):
            for answer in answers:
                aggregate_id = answer["aggregate_id"]
                view = reader.read(SUBSCRIBER_VIEW, aggregate_id, consistent=False)
                assert view.applied >= answer["sequence"], self.deps.rebuild.store.read()
                shown = self.shown.get((number, aggregate_id), 0)
                assert view.applied >= shown, self.deps.rebuild.store.read()
                self.shown[number, aggregate_id] = view.applied

    def come_to_rest(self) -> None:
        """Everything is answered, and what is read is the log, folded by the build's own code."""
        for _ in range(10):
            self.now_s += self.deps.settings.builds_fresh_s + 1
            for body in self.network.take(EU, "lane"):
                failures = self.projectors[0].apply([read_lane(body)])
                self.network.messages[EU, "lane"] += [body] if failures.again else []
            self.let_others_work()
        answered = {one["command"]["commit"] for r in (US, EU) for one in self.network[r].answers}
        assert len(answered) == SUBSCRIBERS + self.posted
        self.look()
        live = self.readers[0]._builds.live(SUBSCRIBER_VIEW)
        for aggregate_id in {commit.rpartition(".")[0] for commit in answered}:
            document: Document | None = None
            aggregate = self.deps.registry.aggregate_of(aggregate_id)
            for commit in self.network.log.read(aggregate_id, consistent=True):
                events = domain_events(aggregate, commit, self.deps.cipher)
                document = live.apply(document, Change(commit, events))
            view = self.readers[0].read(SUBSCRIBER_VIEW, aggregate_id, consistent=True)
            assert view.document == document


# Plays that go far: readers change over in most of them, and are brought back.
@pytest.mark.parametrize("seed", [30, 32, 40, 47, 48, 66, 67, 79])
def test_what_was_answered_is_what_every_reader_gets(seed: int):
    Play(seed).run()


def test_the_plays_get_as_far_as_to_change_readers_over():
    play = Play(32)
    play.run()
    assert play.switched
