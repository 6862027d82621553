"""Forgets a subscriber on the test's network, as an operator's command line does."""

from typing import Any

from domain.subscriber import SUBSCRIBER
from eventstore.commits import Item
from projections.forgetting import Forgetting, ForgettingRefused, RegionsData, Step
from tests.handlers.network import ACTIVATION, REGIONS, Network

IMSI = ACTIVATION["data"]["imsi"]
# The messages of a network that SQS would have, besides those that it has delivered.
TABLES = ("views", "responses", "snapshots", "letters")


def forgetting(network: Network, imsi: str = IMSI, *, via: str = REGIONS[0]) -> Forgetting:
    """Return what forgets a subscriber, in a new process."""
    deps = network[via].deps

    def data_of(region: str) -> RegionsData:
        there = network[region].deps
        return RegionsData(
            keys=there.subject_keys,
            views=deps.erasure_of(region),
            snapshots=deps.snapshots_of(region),
            responses=deps.responses_of(region),
            letters=deps.letters_of(region),
            empty_mailbox=lambda aggregate_id: _emptied(network, region, aggregate_id),
        )

    def order() -> str:
        status, told = network[via].post(
            {
                "type": "ForgetSubscriber",
                "command_id": "forget",
                "producer": "operator",
                "data": {"imsi": imsi},
            }
        )
        if status == 409:
            raise ForgettingRefused(told["reason"])
        commit: str = told["commit"]
        return commit

    return Forgetting(
        log=network.log,
        aggregate=SUBSCRIBER,
        aggregate_id=deps.keys.aggregate_id("sub", imsi),
        natural_key=imsi,
        regions=(via, *(region for region in REGIONS if region != via)),
        data_of=data_of,
        order=order,
        fresh_s=deps.settings.keys_fresh_s,
        elapsed_s=lambda: network.elapsed_s,
        now_ms=deps.edge.now_ms,
    )


def drive(network: Network, way: Forgetting, *, most: int = 60) -> list[Step]:
    """Go the whole way; whenever it waits, messages arrive and a second passes."""
    steps = []
    for step in way.forget():
        steps.append(step)
        assert len(steps) < most, steps[-3:]
        if step.waits:
            network.settle()
            network.elapsed_s += 1
    return steps


def everything(network: Network) -> dict[str, Any]:
    """Return all that is stored or waits anywhere, by place: tables, messages, answers."""
    settings = network[REGIONS[0]].deps.settings
    global_tables = (settings.events_table, settings.control_table, settings.keys_table)
    found: dict[str, Any] = {name: items_of(network.log._client, name) for name in global_tables}
    for region in REGIONS:
        deps = network[region].deps
        client = deps._clients.dynamodb(region)
        for table in TABLES:
            name = getattr(deps.settings, f"{table}_table")
            found[f"{region} {table}"] = items_of(client, name)
        found[f"{region} mailbox"] = [answer.body for answer in network[region].bus.published]
    found["messages"] = {key: bodies for key, bodies in network.messages.items() if bodies}
    return found


def items_of(client: Any, table: str) -> list[Item]:
    """Return every item of a table."""
    items, request = [], {"TableName": table}
    while True:
        page = client.scan(**request)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return items
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _emptied(network: Network, region: str, aggregate_id: str) -> int:
    published = network[region].bus.published
    kept = [answer for answer in published if aggregate_id not in answer.body]
    count = len(published) - len(kept)
    published[:] = kept
    return count
