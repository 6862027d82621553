"""Forgetting a subscriber in a simulated world, wired as the command line wires it.

What it takes away of a mailbox is not played: the queues of producers are no part of a world.
"""

from typing import TYPE_CHECKING, Any

from domain.subscriber import SUBSCRIBER
from eventstore.errors import StoreUnavailable
from handlers.dependencies import Dependencies
from projections.forgetting import Forgetting, ForgettingRefused, RegionsData
from projections.regions import ControlStore
from tests.simulation.deployment import GLOBAL_TABLES, REGIONAL_TABLES
from tests.simulation.engine import Engine
from tests.simulation.history_json import plain_text
from tests.simulation.opening import Opening
from tests.simulation.plan import Chore, Op

if TYPE_CHECKING:
    from tests.simulation.world import World

_UNPROCESSABLE = 422


def forgetting_of(
    world: "World", deps: Dependencies, chore: Chore, states: ControlStore
) -> Forgetting:
    """Return the way to forget the subscriber of a chore, in a new process of an operator."""
    topology, here = states.read(), deps.settings.region
    reached = [region for region in topology.serving if world.network.is_open(here, region)]
    if not reached:
        raise StoreUnavailable("no region serves")
    serving = here if here in reached else reached[0]

    def data_of(region: str) -> RegionsData:
        return RegionsData(
            keys=deps.keys_of(region),
            views=deps.erasure_of(region),
            snapshots=deps.snapshots_of(region),
            responses=deps.responses_of(region),
            letters=deps.letters_of(region),
            empty_mailbox=lambda _aggregate_id: 0,
        )

    return Forgetting(
        log=deps.log,
        aggregate=SUBSCRIBER,
        aggregate_id=deps.keys.aggregate_id(SUBSCRIBER.tag, chore.imsi),
        natural_key=chore.imsi,
        regions=(serving, *(region for region in topology.not_lost if region != serving)),
        data_of=data_of,
        order=lambda: _ordered(world, chore, serving),
        fresh_s=deps.settings.keys_fresh_s,
        elapsed_s=deps.edge.clock.elapsed_s,
        now_ms=deps.edge.now_ms,
    )


def _ordered(world: "World", chore: Chore, region: str) -> str:
    """Have it decided; the same command whoever sends it, and whenever."""
    command: dict[str, Any] = {
        "type": "ForgetSubscriber",
        "command_id": "forget",
        "producer": "antiphon-operator",
        "data": {"imsi": chore.imsi},
    }
    now_ms, headers = world.time.now_ms, {"Prefer": "wait=10", "X-Correlation-Id": "corr-forget"}
    reply = world.clients.order(
        Op(id="forget", at_ms=now_ms, kind="command", region=region, body=command, headers=headers)
    )
    if reply is None or "commit" not in reply[1]:
        raise StoreUnavailable(f"{region} did not take the command")
    status, told = reply
    if told["status"] == "rejected" or status == _UNPROCESSABLE:
        raise ForgettingRefused(str(told.get("reason")))
    return str(told["commit"])


def commands_on_their_way(world: "World") -> bool:
    """Say whether any region's queues still hold a command, or one that was given up."""
    names = [terms.name for terms in world.queues if "commands" in terms.name]
    return any(world.queue(region, name).messages for region in world.regions for name in names)


def legible(world: "World") -> dict[str, tuple[str, ...]]:
    """Return what whoever has all keys that are left can read at the end, place by place."""
    opening = Opening(world.journal)
    found = {name: _texts(world.journal, name, opening) for name in GLOBAL_TABLES}
    for region, one in world.tables.items():
        for name in REGIONAL_TABLES:
            found[f"{region} {name}"] = _texts(one.engine, name, opening)
        for terms in world.queues:
            if "commands" not in terms.name:
                messages = world.queue(region, terms.name).messages.values()
                found[f"{region} {terms.name}"] = tuple(message.body for message in messages)
    return found


def _texts(engine: Engine, name: str, opening: Opening) -> tuple[str, ...]:
    return tuple(plain_text(opening(item)) for item in engine.items(f"antiphon-{name}"))
