"""Answer a commit once every required region has applied it.

The proof is gathered in the response item; the state is read from this region's own view,
consistently, and only a view that has applied the commit is answered from. Crashing anywhere
and starting again publishes the same body under the same id.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from domain.registry import Registry
from eventstore.commits import Commit, aggregate_of, parse_commit_id
from eventstore.errors import CorruptLog, StoreUnavailable, SubjectForgotten
from eventstore.folding import domain_events
from eventstore.identity import Keys
from eventstore.log import CommitLog, find
from eventstore.sealing import IN_CLEAR, Cipher
from projections.acknowledgements import AckMessage
from projections.answers import (
    DETAIL_TYPES,
    SUPERSEDED,
    build_answer,
    build_superseded,
    from_iso,
)
from projections.bounds import READ_BOUNDS, ReadBounds
from projections.projection import Change, Projection
from projections.regions import Need, Topology
from projections.response_items import Response
from projections.responses import ResponseStore
from projections.views import ViewStore
from projections.ways import Way


@dataclass(frozen=True, slots=True)
class Answer:
    """One Event B to publish, exactly as stored.

    `decided_at_ms`, since 1970, is when its command was: how late the answer is.
    """

    commit_id: str
    detail_type: str
    body: str
    decided_at_ms: int | None = None


class Publisher(Protocol):
    """Publishes answers on the region's bus (EventBridge, or a list in a test)."""

    def __call__(self, answers: Sequence[Answer]) -> frozenset[str]:
        """Return the commit ids that were published; the others are still to do."""
        ...


@dataclass(frozen=True, slots=True)
class Heard:
    """What is still unanswered after a round.

    Attributes:
        again: complete, but something was unavailable: try again.
        unanswerable: complete, but it cannot be answered as it is, with the error: it stays
            pending, and alarms.
        published: no more unanswered: when each was decided and was published, ms since 1970.

    """

    again: set[str] = field(default_factory=set)
    unanswerable: dict[str, Exception] = field(default_factory=dict)
    published: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    """The responder of the region where the commands came in.

    Args:
        region: whose commands it answers, or another's that is lost and that it has adopted.
        regions: all of them; nobody else can acknowledge.
        topology: the regions' states, never older than they may be to decide who is required.
        homes_of: the regions that append to an aggregate or are about to, known as freshly; none
            where all do.

    """

    region: str
    regions: frozenset[str]
    topology: Callable[[], Topology]
    log: CommitLog
    registry: Registry
    projections: Sequence[Projection]
    views: ViewStore
    responses: ResponseStore
    keys: Keys
    publish: Publisher
    now_ms: Callable[[], int]
    cipher: Cipher = IN_CLEAR
    bounds: ReadBounds = READ_BOUNDS
    homes_of: Callable[[str], frozenset[str]] = lambda _aggregate_id: frozenset()

    def need(self, commit_id: str) -> Need:
        """Return whom the answer to a commit needs, as of now.

        Raises:
            StoreUnavailable: it is not known. Whatever is answered then is late, not wrong.

        """
        return Need(self.topology(), self.homes_of(aggregate_of(commit_id)))

    def hear(self, messages: Iterable[AckMessage]) -> Heard:
        """Gather acknowledgements and answer what they complete."""
        heard: dict[str, dict[str, int]] = defaultdict(dict)
        ways: dict[str, dict[str, Way]] = defaultdict(dict)
        now_ms = self.now_ms()
        for message in messages:
            for ack in message.acks:
                # Older than a response item lives: its answer may be long gone, not missing.
                gone = self.bounds.may_be_forgotten(ack.recorded_at_ms, now_ms=now_ms)
                if message.region in self.regions and not gone:
                    heard[ack.commit][message.region] = message.applied_at_ms
                    way = (ack.way or Way()).model_copy(
                        update={"heard": now_ms - ack.recorded_at_ms}
                    )
                    ways[ack.commit].setdefault(message.region, way)
        result = Heard()
        gathered: list[Response] = []
        for commit_id, applied_at_ms in heard.items():
            try:
                due_ms = now_ms + self.bounds.answer_due_ms
                response = self.responses.gather(
                    commit_id, applied_at_ms, due_ms=due_ms, ways=ways[commit_id]
                )
            except StoreUnavailable:
                result.again.add(commit_id)
            else:
                gathered += [response] if response else []
        try:
            self.topology()
            for response in gathered[:1]:
                self.need(response.commit_id)
        except StoreUnavailable:
            # They are pending, and the sweeper answers them once it is known who is required.
            # Coming again by the queue they would become dead letters while a region is cut off.
            return result
        answered = self.answer(gathered)
        return Heard(result.again | answered.again, answered.unanswerable, answered.published)

    def answer(self, responses: Iterable[Response]) -> Heard:
        """Answer the commits that every required region has acknowledged.

        What another region answers, or is taking over, stays as it is: two would make two bodies.
        """
        answers: list[Answer] = []
        result = Heard()
        for response in responses:
            try:
                need = self.need(response.commit_id)
                if response.lacks(need.required(self.region)):
                    continue
                commit = self._commit(response.commit_id)
                if need.topology.may_answer(self.region, commit.origin):
                    answers += self._answers_to(response, commit, need)
            except StoreUnavailable:
                result.again.add(response.commit_id)
            except Exception as error:  # noqa: BLE001 - one that cannot be answered stops no other
                result.unanswerable[response.commit_id] = error
        published = self._published(answers, result)
        result.again.update(a.commit_id for a in answers if a.commit_id not in published)
        return result

    def supersede(self, response: Response, commit: Commit) -> bool:
        """Tell the producer that a commit counts for nothing; False if that must be tried again.

        For commits that every required region has left aside: no later branch has them either,
        for each of these regions would have to be home before, and goes on from its own replica.

        Raises:
            CorruptLog: it is answered already, which no order of events allows.

        """
        body = response.body
        if body is None:
            body = build_superseded(commit, keys=self.keys, answered_at_ms=self.now_ms())
            if not self._store_what_tells_nothing(response, body):
                return False
        if (outcome := orjson.loads(body)["outcome"]) != SUPERSEDED:
            raise CorruptLog(f"{commit.commit_id} was answered, and is superseded")
        answer = Answer(commit.commit_id, DETAIL_TYPES[outcome], body, commit.recorded_at_ms)
        return bool(self._published([answer], Heard()))

    def _store_what_tells_nothing(self, response: Response, body: str) -> bool:
        try:
            if not response.lost:
                at_ms = self.now_ms()
                return self.responses.store_body(response.commit_id, body, at_ms=at_ms)
        except SubjectForgotten:
            pass
        return self.responses.store_bare_body(response, body, at_ms=self.now_ms())

    def _published(self, answers: Sequence[Answer], result: Heard) -> frozenset[str]:
        """Publish answers, and note which; return the commits of which that was done."""
        published = self.publish(answers) if answers else frozenset()
        for answer in (a for a in answers if a.commit_id in published):
            now_ms = self.now_ms()
            result.published.append((answer.decided_at_ms or now_ms, now_ms))
            # Unmarked it would be published once more by the sweeper: the same body again.
            with suppress(StoreUnavailable):
                self.responses.mark_published(answer.commit_id, at_ms=now_ms)
        return published

    def complete(self, response: Response) -> str | None:
        """Return the one stored body, building it if need be, without publishing it.

        None if a required region is still lacking, or another region is to answer now. The
        sweeper of the region that answers publishes what is stored.
        """
        need = self.need(response.commit_id)
        if response.body is not None or response.lacks(need.required(self.region)):
            return response.body
        commit = self._commit(response.commit_id)
        if not need.topology.may_answer(self.region, commit.origin):
            return None
        body = self._stored(response, commit, need)
        if body is not None:
            return body
        stored = self.responses.get(response.commit_id)
        return stored.body if stored else None

    def _answers_to(self, response: Response, commit: Commit, need: Need) -> list[Answer]:
        """Return the answer to publish: built and stored now, or stored by who did not publish.

        What another responder has just stored is left to it, so an answer is published twice
        only when its publisher died or was refused, not whenever acknowledgements repeat.
        """
        body = response.body
        if body is None:
            body = self._stored(response, commit, need)
            if body is None:
                return []
        elif abs(self.now_ms() - (response.stored_at_ms or 0)) < self.bounds.publish_claim_ms:
            # Either way, since the clock that stored it may be ahead of this one: nobody's
            # claim lasts until the clocks agree.
            return []
        told = orjson.loads(body)
        detail_type, decided_at_ms = DETAIL_TYPES[told["outcome"]], from_iso(told["recorded_at"])
        return [Answer(response.commit_id, detail_type, body, decided_at_ms)]

    def _stored(self, response: Response, commit: Commit, need: Need) -> str | None:
        """Build the body and store it; return it, or None if another one is stored."""
        try:
            if not response.lost:
                body = self._build(response, commit, need)
                stored = self.responses.store_body(response.commit_id, body, at_ms=self.now_ms())
                return body if stored else None
        except SubjectForgotten:
            # Told so far, or about to be: from now on nobody may keep it.
            pass
        body = self._build(response, commit, need, bare=True)
        stored = self.responses.store_bare_body(response, body, at_ms=self.now_ms())
        return body if stored else None

    def _build(self, response: Response, commit: Commit, need: Need, *, bare: bool = False) -> str:
        shown = next(p for p in self.projections if p.shows_state and p.covers(commit.aggregate_id))
        view = self.views.read(shown, commit.aggregate_id, consistent=True)
        if not view.has(commit.last_position):
            # An acknowledgement is a hint; the view is the proof, and it says: not yet.
            raise StoreUnavailable(f"the view of {commit.commit_id} has not applied it yet")
        aggregate = self.registry.aggregate_of(commit.aggregate_id)
        return build_answer(
            Change(commit, domain_events(aggregate, commit, self.cipher)),
            view,
            keys=self.keys,
            applied_at_ms={r: response.applied_at_ms[r] for r in need.required(self.region)},
            left_out=need.left_out(self.region),
            answered_at_ms=self.now_ms(),
            bare=bare,
        )

    def _commit(self, commit_id: str) -> Commit:
        place = parse_commit_id(commit_id)
        if place is None:
            raise ValueError(f"{commit_id!r} is no commit id")
        commit = find(self.log, *place)
        if commit is None:
            raise StoreUnavailable(f"{commit_id} is not in the log")
        return commit
