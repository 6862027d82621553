"""What a command asks of DynamoDB in each mode, counted by the real handlers in one process."""

import io
import logging
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

from tests.dynamodb.metering import Used, total
from tests.dynamodb.regions import InProcessRegions
from tests.handlers.bodies import at_home_in, change
from tests.handlers.eventual import EventualNetwork
from tests.handlers.network import ACTIVATION, REGIONS, Network

US, EU, AP = REGIONS


def counted() -> dict[str, tuple[int, Used, Used]]:
    """Return for each kind of command: functions invoked, all requests, those on the log."""
    # What the handlers log is no part of the tables.
    logging.disable()
    try:
        with redirect_stdout(io.StringIO()):
            return _counted()
    finally:
        logging.disable(logging.NOTSET)


def _counted() -> dict[str, tuple[int, Used, Used]]:
    found: dict[str, tuple[int, Used, Used]] = {}
    engine = InProcessRegions()
    strong = Network(engine)
    assert strong[US].post(ACTIVATION)[0] == 202
    found["STRONG, any region"] = _of(
        engine, "events", 1, lambda: strong[US].post(change(ACTIVATION, "b"))
    )

    engine = InProcessRegions()
    regions = EventualNetwork(engine)
    body = at_home_in(regions, EU)
    assert regions[EU].post(body)[0] == 202
    assert regions[US].post(change(body, "warm"))[0] == 202
    found["EVENTUAL, at home"] = _of(
        engine, regions.events, 1, lambda: regions[EU].post(change(body, "b"))
    )
    found["EVENTUAL, away from home"] = _of(
        engine, regions.events, 2, lambda: regions[US].post(change(body, "c"))
    )
    regions.come_to_rest()
    aggregate_id = regions[US].deps.keys.aggregate_id("sub", body["data"]["imsi"])
    regions.take_by_force(aggregate_id, US)
    found["EVENTUAL, the first after a forced move"] = _of(
        engine, regions.events, 1, lambda: regions[US].post(change(body, "d"))
    )
    return found


def _of(
    engine: InProcessRegions, events: str, invoked: int, post: Callable[[], tuple[int, Any]]
) -> tuple[int, Used, Used]:
    with engine.measured() as used, redirect_stdout(io.StringIO()):
        status, told = post()
    assert status == 202, told
    on_the_log = {place: one for place, one in used.items() if place[1].startswith(events)}
    return invoked, total(used), total(on_the_log)


def costs() -> list[str]:
    """Return the rows of docs/MODES.md."""
    return [
        "| a warm command | functions | requests | on the log | write units of the log |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {invoked} | {used.requests:.0f} | {log.requests:.0f} "
            f"| {log.write_units:.0f} |"
            for name, (invoked, used, log) in counted().items()
        ),
    ]
