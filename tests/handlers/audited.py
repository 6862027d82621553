"""Audits and repairs the regions of the test's network, as the command line does running ones."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from antiphon.opening import Opened
from antiphon.running_source import RunningSource
from antiphon.verification import Audit, Verdict
from antiphon.verification.source import Item, Table
from projections.builds import Builds, Registered
from projections.regions import Topology
from projections.repair import Repair
from tests.handlers.network import REGIONS, Network

US = REGIONS[0]


class NetworkSource(RunningSource):
    """The regions of the test's network, read as running ones are."""

    def __init__(self, network: Network) -> None:
        self._states = network.states
        wan = SimpleNamespace(
            is_killed=lambda _: False, is_isolated=lambda _: False, links=(), faults=()
        )
        connection: Any = SimpleNamespace(
            wan=lambda: wan, dynamodb=lambda region: client_of(network, region)
        )
        settings = network[US].deps.settings
        super().__init__(
            connection,
            tables={
                "events": settings.events_table,
                "views": settings.views_table,
                "responses": settings.responses_table,
            },
        )

    def topology(self) -> Topology:
        return self._states.read()

    # The log is one table for all regions here.

    def get(self, region: str, table: Table, keys: Iterable[Item]) -> list[Item]:
        return super().get(US if table == "events" else region, table, keys)

    def pages(self, region: str, table: Table) -> Iterator[Sequence[Item]]:
        return super().pages(US if table == "events" else region, table)


def client_of(network: Network, region: str) -> Any:
    return network[region].deps._clients.dynamodb(region)


def audit(network: Network) -> Verdict:
    deps = network[US].deps
    return Audit(
        source=Opened(NetworkSource(network), network["us-east-1"].deps.cipher),
        projections=deps.projections,
        registry=deps.registry,
        keys=deps.keys,
        now_ms=deps.edge.now_ms,
        settle_s=0.0,
        elapsed_s=lambda: 0.0,
        pause=lambda: None,
    ).run()


def repair_of(network: Network, region: str) -> Repair:
    deps = network[region].deps
    return Repair(
        log=network.log,
        registry=deps.registry,
        views=deps.applier.views,
        builds=lambda: Builds(Registered(deps.projections), deps.build_store.read()),
        responses=deps.responses_of(region),
        ring=partial(deps.queues.ring, region),
        sweep=lambda: network[region].sweep()["answered"],
        now_ms=deps.edge.now_ms,
        cipher=deps.cipher,
        bounds=deps.settings,
    )


def table_of(network: Network, region: str, kind: str) -> dict[str, Any]:
    return {"TableName": getattr(network[region].deps.settings, f"{kind}_table")}


def items(network: Network, region: str, kind: str) -> list[dict[str, Any]]:
    found = client_of(network, region).scan(**table_of(network, region, kind))["Items"]
    return [dict(item) for item in found]


def put(network: Network, region: str, kind: str, item: dict[str, Any]) -> None:
    client_of(network, region).put_item(**table_of(network, region, kind), Item=item)


def delete(network: Network, region: str, kind: str, *keys: str, item: dict[str, Any]) -> None:
    client_of(network, region).delete_item(
        **table_of(network, region, kind), Key={name: item[name] for name in keys}
    )
