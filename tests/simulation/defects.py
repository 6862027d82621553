"""Defects to plant: each takes one guarantee out of the code, so that a run must show it broken.

They are patched in for a while, by tests only. Each names the invariants that find it; a
defect that no run shows is a hole in the simulation, and one that another invariant shows is a
surprise to look at.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from eventstore.aws_errors import passing_errors_translated
from eventstore.commits import Commit, to_item
from eventstore.decisions import EventStore
from eventstore.log import DynamoDBLog
from eventstore.requests import Decision
from eventstore.subject_keys import SubjectKeys
from eventstore.tokens import TokenIndex
from handlers import command_queue
from projections import gaps, responder
from projections.applying import Applied
from projections.builds import Phase
from projections.control import Control
from projections.forgetting import Forgetting
from projections.projector import Projector
from projections.reading import Reader
from projections.rebuild import Rebuild
from projections.responder import Responder
from projections.response_items import Response
from projections.responses import ResponseStore
from projections.sweeper import Sweeper, Swept
from projections.views import View, ViewStore
from projections.ways import Ways
from tests.simulation.plan import Plan

Patches = Callable[[], Iterable[Any]]


@dataclass(frozen=True, kw_only=True)
class Defect:
    """A guarantee taken out.

    Args:
        name: what the code does wrong then.
        found_by: the invariants of which at least one must show it.
        patches: what is patched, as `unittest.mock.patch` objects.
        needs: what an operator must do in a plan for the defect to matter at all.

    """

    name: str
    found_by: frozenset[str]
    patches: Patches
    needs: frozenset[str] = frozenset()

    def may_show(self, plan: Plan) -> bool:
        """Say whether a plan has what the defect is about."""
        return not self.needs or any(chore.kind in self.needs for chore in plan.chores)

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Have the defect in the code for a while."""
        with ExitStack() as stack:
            for one in self.patches():
                stack.enter_context(one)
            yield


DEFECTS: dict[str, Defect] = {}


def _defect(name: str, *found_by: str, needs: str = "") -> Callable[[Patches], Patches]:
    def add(patches: Patches) -> Patches:
        DEFECTS[name] = Defect(
            name=name,
            found_by=frozenset(found_by),
            patches=patches,
            needs=frozenset(needs.split()),
        )
        return patches

    return add


@_defect("append without its condition", "log-immutable", "contiguous")
def _unconditional() -> Iterable[Any]:
    def put(self: DynamoDBLog, commit: Commit, *, unless: int | None = None) -> Commit | None:
        with passing_errors_translated("append to the log"):
            self._client.put_item(TableName=self._table, Item=to_item(commit))
        return None

    return [patch.object(DynamoDBLog, "put", put)]


@_defect("trust the position without the identity", "reply-names-its-commit", "fresh-once")
def _position_only() -> Iterable[Any]:
    put = DynamoDBLog.put

    def mine_anyway(self: DynamoDBLog, commit: Commit, **more: Any) -> Commit | None:
        put(self, commit, **more)
        return None

    return [patch.object(DynamoDBLog, "put", mine_anyway)]


@_defect("answer a duplicate from one's own decision", "duplicate-same-result")
def _own_decision() -> Iterable[Any]:
    decide = EventStore.decide

    def decided(self: EventStore, request: Any) -> Decision:
        decision = decide(self, request)
        if not decision.duplicate:
            return decision
        now = self._clock.now()
        attempted = self._identify(request)
        events = self._decided(attempted, self._load(attempted, now), now)
        return replace(decision, commit=replace(decision.commit, events=events))

    return [patch.object(EventStore, "decide", decided)]


@_defect("forget the tokens in a snapshot", "decided-once")
def _forgetful_snapshot() -> Iterable[Any]:
    return [patch.object(TokenIndex, "add_pages", lambda *_: None)]


@_defect("look for a duplicate once, not again after reading on", "decided-once")
def _no_second_look() -> Iterable[Any]:
    first = EventStore._first
    identify = EventStore._identify
    looked: set[int] = set()

    def identified(self: EventStore, request: Any) -> Any:
        attempted = identify(self, request)
        looked.discard(id(attempted))
        return attempted

    def once(self: EventStore, attempted: Any, fold: Any) -> Commit | None:
        if id(attempted) in looked:
            return None
        looked.add(id(attempted))
        return first(self, attempted, fold)

    return [
        patch.object(EventStore, "_first", once),
        patch.object(EventStore, "_identify", identified),
    ]


@_defect("expect a sequence of a fold that may be stale", "expected-sequence-met")
def _stale_expectation() -> Iterable[Any]:
    meet = EventStore._meet_preconditions

    def met(self: EventStore, attempted: Any, fold: Any) -> Any:
        request = replace(attempted.request, expected_sequence=None)
        return meet(self, replace(attempted, request=request), fold)

    return [patch.object(EventStore, "_meet_preconditions", met)]


@_defect("delete queued commands that were not decided", "queued-command-kept")
def _lossy_queue() -> Iterable[Any]:
    take = command_queue._take_one

    def took(*args: Any) -> bool:
        take(*args)
        return True

    return [patch.object(command_queue, "_take_one", took)]


@_defect("acknowledge before applying", "acknowledged-after-applied", "event-b-after-all-applied")
def _early_acknowledgement() -> Iterable[Any]:
    apply = Projector.apply

    def applied(self: Projector, deliveries: Any) -> Any:
        taken = list(deliveries)
        commits = [commit for delivery in taken for commit in delivery.commits]
        self._acknowledge([Applied("", commits, ())], set(), Ways(self.now_ms))
        return apply(self, taken)

    return [patch.object(Projector, "apply", applied)]


@_defect("apply without looking at the predecessor", "view-moves-over-the-log", "views-equal-fold")
def _any_predecessor() -> Iterable[Any]:
    return [patch.object(Commit, "follows", lambda *_: True)]


@_defect("skip the check of what was read for a gap", "view-moves-over-the-log", "views-equal-fold")
def _unchecked_gap() -> Iterable[Any]:
    return [patch.object(gaps, "_unbroken", lambda *_: True)]


@_defect("write a view from wherever it stands", "view-moves-over-the-log", "views-equal-fold")
def _unconditional_view() -> Iterable[Any]:
    write = ViewStore.write

    def written(self: ViewStore, *args: Any, **more: Any) -> bool:
        client = self._client

        class Unconditional:
            def put_item(self, **request: Any) -> Any:
                return client.put_item(**_without_condition(request))

            def transact_write_items(self, **request: Any) -> Any:
                items = [
                    {action: _without_condition(one)}
                    for entry in request["TransactItems"]
                    for action, one in entry.items()
                ]
                return client.transact_write_items(TransactItems=items)

        careless = ViewStore(
            Unconditional(),  # type: ignore[arg-type]
            table=self._table,
            keys=self._keys,
            bounds=self._bounds,
        )
        return write(careless, *args, **more)

    return [patch.object(ViewStore, "write", written)]


def _without_condition(request: Mapping[str, Any]) -> dict[str, Any]:
    dropped = {"ConditionExpression", "ExpressionAttributeValues"}
    return {name: value for name, value in request.items() if name not in dropped}


@_defect(
    "publish at the first acknowledgement", "event-b-after-all-applied", "event-b-required-regions"
)
def _first_acknowledgement() -> Iterable[Any]:
    build = Responder._build

    def built(self: Responder, response: Response, commit: Commit, topology: Any) -> str:
        now = dict.fromkeys(topology.required(self.region), self.now_ms())
        filled = replace(response, applied_at_ms=now | dict(response.applied_at_ms))
        return build(self, filled, commit, topology)

    def lacks(self: Response, required: frozenset[str]) -> frozenset[str]:
        return frozenset() if self.applied_at_ms else required

    return [patch.object(Responder, "_build", built), patch.object(Response, "lacks", lacks)]


@_defect("build Event B from an eventual read", "event-b-state")
def _eventual_state() -> Iterable[Any]:
    build = Responder._build

    def built(self: Responder, response: Response, commit: Commit, topology: Any) -> str:
        views = self.views

        class Eventual:
            def read(self, projection: Any, aggregate_id: str, *, consistent: bool) -> View:
                view = views.read(projection, aggregate_id, consistent=False)
                return replace(view, applied=max(view.applied, commit.last_position))

        one = replace(self, views=Eventual())  # type: ignore[arg-type]
        return build(one, response, commit, topology)

    return [patch.object(Responder, "_build", built)]


@_defect("build the body again at every publishing", "one-answer-one-body")
def _many_bodies() -> Iterable[Any]:
    def answers_to(self: Responder, response: Response, commit: Commit, topology: Any) -> list[Any]:
        body = self._build(response, commit, topology)
        self.responses.store_body(response.commit_id, body, at_ms=self.now_ms())
        outcome = responder.orjson.loads(body)["outcome"]
        kind = responder.DETAIL_TYPES[outcome]
        return [responder.Answer(response.commit_id, kind, body)]

    return [patch.object(Responder, "_answers_to", answers_to)]


@_defect("mark an answer published that was refused", "answered-finally")
def _marked_too_soon() -> Iterable[Any]:
    answer = Responder.answer

    def answered(self: Responder, responses: Any) -> Any:
        def publish(answers: Any) -> frozenset[str]:
            self.publish(answers)
            return frozenset(one.commit_id for one in answers)

        return answer(replace(self, publish=publish), responses)

    return [patch.object(Responder, "answer", answered)]


@_defect("never look for overdue answers", "answered-finally", "came-to-rest")
def _no_sweeps() -> Iterable[Any]:
    nothing = Swept(looked_at=0, answered=0, lagging={}, unanswerable={})
    return [patch.object(Sweeper, "sweep", lambda _: nothing)]


@_defect("let unpublished answers expire", "answered-finally")
def _expiring() -> Iterable[Any]:
    update = ResponseStore._update

    def updated(self: ResponseStore, commit_id: str, request: dict[str, Any]) -> Any:
        sets = request["UpdateExpression"]
        if "pending = if_not_exists" in sets:
            values = request["ExpressionAttributeValues"]
            expires = str(int(values[":due"]["N"]) // 1000 + 20)
            request = {
                **request,
                "UpdateExpression": sets + ", expires = if_not_exists(expires, :expires)",
                "ExpressionAttributeValues": {**values, ":expires": {"N": expires}},
            }
        return update(self, commit_id, request)

    return [patch.object(ResponseStore, "_update", updated)]


@_defect("forget without destroying the key", "forgotten-for-good", needs="forget")
def _key_kept() -> Iterable[Any]:
    def marked(self: SubjectKeys, aggregate_id: str, *, at_ms: int) -> None:
        self._client.update_item(
            TableName=self._table,
            Key={"a": {"S": aggregate_id}},
            UpdateExpression="SET f = :at",
            ExpressionAttributeValues={":at": {"N": str(at_ms)}},
        )

    unwrapped = SubjectKeys._unwrapped

    def still(self: SubjectKeys, item: Mapping[str, Any]) -> bytes | None:
        return unwrapped(self, {name: told for name, told in item.items() if name != "f"})

    return [
        patch.object(SubjectKeys, "destroy", marked),
        patch.object(SubjectKeys, "_unwrapped", still),
    ]


@_defect("forget without erasing what was made of the log", "views-equal-fold", needs="forget")
def _nothing_erased() -> Iterable[Any]:
    return [patch.object(Forgetting, "_erased", lambda _self, _commits: iter(()))]


@_defect("read with a token without waiting for it", "token-read-not-older")
def _impatient_token() -> Iterable[Any]:
    def at_least(self: Reader, projection: Any, aggregate_id: str, **_: Any) -> Any:
        _, view = self.views.read_live(projection, aggregate_id, consistent=True)
        return self._reading(aggregate_id, view)

    return [patch.object(Reader, "at_least", at_least)]


@_defect("read strongly from the region's own view", "strong-read-linearizable")
def _weak_strong_read() -> Iterable[Any]:
    def strong(self: Reader, projection: Any, aggregate_id: str) -> Any:
        _, view = self.views.read_live(projection, aggregate_id, consistent=True)
        return self._reading(aggregate_id, view)

    return [patch.object(Reader, "strong", strong)]


@_defect("go by regions' states that are too old", "event-b-required-regions", needs="drain lose")
def _stale_states() -> Iterable[Any]:
    def once(self: Control) -> Any:
        if self._read is None:
            self._refresh(again_s=0.0)
        return self._assumed if self._read is None else self._read.value

    return [patch.object(Control, "current", once), patch.object(Control, "known", once)]


@_defect(
    "change readers over before the second pass",
    "read-shows-the-log",
    "token-read-not-older",
    "read-not-behind-its-region",
    "read-after-event-b",
    "event-b-after-all-applied",
    "views-equal-fold",
    needs="rebuild",
)
def _early_switch() -> Iterable[Any]:
    write_both = Rebuild.write_both

    def over_at_once(self: Rebuild, name: str) -> Any:
        state = write_both(self, name)
        assert state.other is not None
        return self._move(name, state, live=state.other, other=state.live, phase=Phase.SWITCHED)

    return [patch.object(Rebuild, "write_both", over_at_once)]
