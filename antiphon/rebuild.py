"""`antiphon rebuild`: build a projection anew from the log while commands and queries go on.

May be interrupted or killed at any time: run again, it goes on. The old version stays, and is
kept up to date, until its removal is confirmed. Nothing is answered because of a rebuild.
"""

import getpass
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Annotated

import typer

from antiphon.acts import record
from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    AsJson,
    AwsPort,
    BasePort,
    Connection,
)
from antiphon.installation import settings_of
from antiphon.problems import BAD_VERDICT, Problem
from antiphon.rebuild_display import RebuildDisplay
from antiphon.rebuild_lease import Lease, Pace
from antiphon.rebuilding import Driver
from antiphon.terminal import MS_PER_S, print_json, print_table, say
from eventstore.errors import StoreUnavailable
from handlers.dependencies import Dependencies
from projections.builds import BuildState, Phase
from projections.rebuild import PAGE_COMMITS, BehindError, Rebuild, RebuildRefused

DEFAULT_SEGMENTS = 4
MOST_SEGMENTS = 64
# A page is what one pause follows: small enough that a low rate is kept smoothly.
LEAST_PAGE = 10
PAGES_A_SECOND = 2

OneRegion = Annotated[
    str | None,
    typer.Option("--region", help="In this region alone; in one after the other if left out."),
]


def rebuild(
    projection: Annotated[str, typer.Argument(metavar="PROJECTION", help="Which one.")],
    *,
    region: OneRegion = None,
    units_per_second: Annotated[
        float | None,
        typer.Option(
            "--units-per-second", min=1, help="Capacity units to use at the most; reads and writes."
        ),
    ] = None,
    segments: Annotated[
        int,
        typer.Option("--segments", min=1, max=MOST_SEGMENTS, help="Parts that go side by side."),
    ] = DEFAULT_SEGMENTS,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove the old version at the end without asking.")
    ] = False,
    abort: Annotated[
        bool, typer.Option("--abort", help="Give up: readers keep, or get back, the old version.")
    ] = False,
    status: Annotated[bool, typer.Option("--status", help="Only show how far it is.")] = False,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json: AsJson = False,
) -> None:
    """Build a projection anew from the log, in every region, while the system serves."""
    if abort and status:
        raise Problem("say --abort or --status, not both")
    if as_json and not status:
        raise Problem("--json goes with --status")
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    regions = connection.regions if region is None else (connection.region_named(region),)
    pace = Pace(units_per_second)
    page = min(PAGE_COMMITS, int((units_per_second or PAGE_COMMITS) / segments / PAGES_A_SECOND))
    engines = {
        name: replace(_engine(connection, name, pace), page_commits=max(page, LEAST_PAGE))
        for name in regions
    }
    with _told(projection):
        # Asked of every region first: what is refused anywhere begins nowhere.
        states = {name: engine.state(projection) for name, engine in engines.items()}
        if status:
            _show(projection, engines, json=as_json)
            return
        if abort:
            engines = {name: one for name, one in engines.items() if _is_begun(states[name])}
            if not engines:
                raise Problem(f"nothing of {projection} is being rebuilt; nothing was changed")
        what = "rebuild --abort" if abort else "rebuild"
        record(connection, what, about=f"{projection} in {', '.join(engines)}", via=regions[0])
        for name, engine in engines.items():
            with _driver(projection, name, engine, segments=segments, pace=pace) as driver:
                if abort:
                    _give_up(driver)
                else:
                    _rebuild(driver, yes=yes)


def _rebuild(driver: Driver, *, yes: bool) -> None:
    state = driver.build_and_switch()
    old = state.other
    if state.phase is Phase.RETURNED:
        driver.display.tell(f"readers were given version {state.live} again")
    if not yes and not (
        sys.stdin.isatty() and typer.confirm(f"Remove version {old} for good?", err=True)
    ):
        again = driver.go_on
        say(f"  Version {old} stays and is kept up to date. Remove it: {again} --yes")
        say(f"  Or give it to readers again: {again} --abort")
        return
    count = driver.remove()
    driver.display.tell(f"version {old} is removed ({count} items)")


def _is_begun(state: BuildState) -> bool:
    return state.phase is not None or state.leftover is not None


def _give_up(driver: Driver) -> None:
    state = driver.rebuild.state(driver.name)
    if state.phase in {Phase.SWITCHED, Phase.RETURNING, Phase.RETURNED}:
        state = driver.give_back()
    elif state.phase is not None:
        state = driver.rebuild.abort(driver.name)
    label = state.other or state.leftover
    driver.display.tell(f"readers have version {state.live}; version {label} is given up")
    count = driver.remove() if state.phase is Phase.RETURNED else driver.clear()
    driver.display.tell(f"what there was of it is removed ({count} items)")


def _show(name: str, engines: dict[str, Rebuild], *, json: bool) -> None:
    rows = []
    for region, engine in engines.items():
        state, progress = engine.state(name), engine.progress(name)
        holder = engine.checkpoints.holder(name, now_ms=engine.now_ms())
        rows.append(
            {
                "region": region,
                "phase": state.phase or "none",
                "readers_get": state.live,
                "besides": state.other,
                "since": _moment(state.since_ms) if state.since_ms else None,
                "commits": sum(one.commits for one in progress),
                "segments": f"{sum(one.done for one in progress)}/{len(progress)}",
                "failed": sum(len(one.failed) for one in progress) + (state.broken is not None),
                "at_it": holder,
            }
        )
    if json:
        print_json(rows)
        return
    columns = tuple(rows[0])
    print_table(columns, [["-" if row[c] is None else row[c] for c in columns] for row in rows])


@contextmanager
def _driver(
    projection: str, region: str, engine: Rebuild, *, segments: int, pace: Pace
) -> Iterator[Driver]:
    began = datetime.now(UTC)  # noqa: TID251 - the command line's edge: only shown
    who = f"{getpass.getuser()}@{socket.gethostname()} ({os.getpid()}, since {began:%H:%M:%S} UTC)"
    lease = Lease(rebuild=engine, name=projection, who=who)
    with RebuildDisplay(projection, region) as display:
        lease.take(waiting=display.tell)
        try:
            yield Driver(
                rebuild=engine,
                name=projection,
                segments=segments,
                lease=lease,
                pace=pace,
                display=display,
                go_on=f"antiphon rebuild {projection} --region {region}",
            )
        finally:
            lease.release()


@contextmanager
def _told(projection: str) -> Iterator[None]:
    """Turn what a rebuild refuses into a sentence and a status."""
    try:
        yield
    except BehindError as error:
        problem = Problem(f"{error}: antiphon rebuild {projection} {error.option}")
        problem.exit_status = BAD_VERDICT
        raise problem from error
    except RebuildRefused as error:
        raise Problem(str(error)) from error
    except StoreUnavailable as error:
        raise Problem(f"{error}; what is done is kept: run the same again") from error


class _Clients:
    """Metered clients of every region, each made once."""

    def __init__(self, connection: Connection, pace: Pace) -> None:
        self.dynamodb = cache(lambda region: pace.meter(connection.dynamodb(region)))
        self.kms = cache(connection.kms)


def _engine(connection: Connection, region: str, pace: Pace) -> Rebuild:
    settings = settings_of(connection, region)
    # Of all services that functions have clients of, these are what is needed here.
    return Dependencies(settings, _Clients(connection, pace)).rebuild  # type: ignore[arg-type]


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / MS_PER_S, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"
