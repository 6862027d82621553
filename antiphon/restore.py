"""`antiphon restore`: put a backup into an installation that is new, and bring it into service.

Until the whole log is there and applied in every region, none serves. May be interrupted: run
again, it goes on. It never writes over anything, and refuses what is not new.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from antiphon.acts import record
from antiphon.backup_file import Heading, Lost, read_heading, read_lines
from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    AsJson,
    AwsPort,
    BasePort,
    Connection,
)
from antiphon.installation import dependencies_of
from antiphon.problems import Problem
from antiphon.region_moves import open_moves
from antiphon.terminal import print_json, say
from eventstore.errors import StoreUnavailable
from eventstore.key_copies import KeyCopies
from handlers.dependencies import Dependencies
from projections.draining import Step
from projections.regions import RegionRefused, RegionState
from projections.restoring import Kept, RestoreRefused, Restoring, restoring

LINES_A_STEP = 500
SIDE_BY_SIDE = 8
PAUSE_S = 0.5
TOLD_AGAIN_S = 5.0
LOST_TOLD = 1_000


@dataclass(slots=True)
class Restored:
    """What was put back: `owed` answers are given now; `lost` are the first that cannot be."""

    commits: int = 0
    answered: int = 0
    owed: int = 0
    lost_count: int = 0
    lost: list[Mapping[str, object]] = field(default_factory=list)

    def lose(self, line: Lost) -> None:
        """Note an answer whose commit is not in the log."""
        self.lost_count += 1
        if len(self.lost) < LOST_TOLD:
            self.lost.append({"region": line.region, **line.answer})


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What antiphon backup has made.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only look whether it is whole and could be restored.")
    ] = False,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json: AsJson = False,
) -> None:
    """Put a backup into a new installation: the log, and which answers were given.

    The installation must have the secret of the old one, and a generation that is one higher.
    """
    heading = read_heading(file)
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    deps = dependencies_of(connection, connection.regions[0])
    check_fits(heading, deps)
    check_new(connection, deps)
    if dry_run:
        say(f"{file} of {heading.taken_at} is whole and can be restored here.", style="green")
        return
    record(connection, "restore", about=f"{file.name} of {heading.taken_at}")
    again = f"antiphon restore {file}"
    try:
        _stop_serving(connection, heading, deps)
        restored = put_back(deps, read_lines(file), silent=as_json)
        serve(connection, silent=as_json)
    except (StoreUnavailable, RegionRefused) as error:
        raise Problem(f"{error}; go on with: {again}") from error
    except RestoreRefused as error:
        raise Problem(f"{error}; begin again with a new installation") from error
    _tell(restored, as_json=as_json)


def check_fits(heading: Heading, deps: Dependencies) -> None:
    """Raise Problem if a backup is not for this installation."""
    settings = deps.settings
    if settings.mode != "STRONG":
        raise Problem(
            "a log is restored in STRONG mode only: in EVENTUAL mode it would need its homes and "
            "their epochs, which a backup does not have"
        )
    if heading.fingerprint != deps.keys.fingerprint:
        raise Problem(
            "this installation has another secret than the one backed up: nobody would find its "
            "aggregates again; deploy it with the secret of the old one"
        )
    if set(heading.regions) != set(settings.regions):
        raise Problem(f"the backup is of {', '.join(heading.regions)}; deploy those regions")
    if settings.generation <= heading.generation:
        raise Problem(
            f"this installation has generation {settings.generation}: deploy it with "
            f"{heading.generation + 1}, or tokens of commands that are lost would be honoured"
        )


def check_new(connection: Connection, deps: Dependencies) -> None:
    """Raise Problem if there is anything that could be ahead of the log to be restored.

    A restore that was interrupted has left something in the log, and it goes on.
    """
    settings = deps.settings
    if _has_items(connection, settings.region, settings.events_table):
        # A restore that goes on has every region joining: whatever serves is somebody's system.
        if serving := deps.control.current().serving:
            raise Problem(
                f"the log is not empty and {', '.join(serving)} in service: only a new "
                "installation is restored; if a restore was interrupted at its very end, bring the "
                "others into service with: antiphon region undrain"
            )
        return
    for region in settings.regions:
        for table in (settings.views_table, settings.responses_table, settings.snapshots_table):
            if _has_items(connection, region, table):
                raise Problem(
                    f"{table} in {region} is not empty, so it is of another log; delete the tables "
                    "of the region's stack and deploy them again"
                )


def _has_items(connection: Connection, region: str, table: str) -> bool:
    client = connection.dynamodb(region)
    found = client.scan(TableName=table, Limit=1, ConsistentRead=True)["Items"]
    return bool(found)


def _stop_serving(connection: Connection, heading: Heading, deps: Dependencies) -> None:
    """Have no region take commands or answer queries before it has applied the whole log."""
    states = open_moves(connection, via=deps.settings.region).states
    before = states.read()
    if any(one.state is RegionState.JOINING for one in before.standings.values()):
        return
    after = restoring(heading.topology, before, at_ms=deps.edge.now_ms())
    if not states.change(before, after):
        raise RegionRefused("somebody moves the regions")


def put_back(deps: Dependencies, lines: Iterator[Kept | Lost], *, silent: bool) -> Restored:
    """Put all of a backup back, some aggregates side by side; commits of one stay in order."""
    restored = Restored()
    # Clients are made in one thread and used in several.
    responses = {region: deps.responses_of(region) for region in deps.settings.regions}
    copies = KeyCopies(deps.subject_keys, deps.keys)
    to = Restoring(
        log=deps.log,
        responses_of=responses.__getitem__,
        pause=lambda: time.sleep(PAUSE_S),
        put_key=partial(copies.put_back, at_ms=deps.edge.now_ms()),
    )
    told_s = time.monotonic()
    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="restore") as pool:
        while some := list(islice(lines, LINES_A_STEP)):
            together: dict[str, list[Kept]] = defaultdict(list)
            for line in some:
                if isinstance(line, Lost):
                    restored.lose(line)
                    continue
                together[line.commit.aggregate_id].append(line)
                restored.commits += 1
                restored.answered += line.is_answered
                restored.owed += bool(line.answers) and not line.is_answered
            for _ in pool.map(to.put, together.values()):
                pass
            if not silent and time.monotonic() - told_s >= TOLD_AGAIN_S:
                told_s = time.monotonic()
                say(f"  {restored.commits} commits", style="dim")
    return restored


def serve(connection: Connection, *, silent: bool) -> None:
    """Bring every region back as one that returns: it serves once it has applied all of it."""
    ways: dict[str, Iterator[Step]] = {}
    for region in connection.regions:
        via = next(one for one in connection.regions if one != region)
        moves = open_moves(connection, via=via)
        if moves.states.read().state(region) is RegionState.JOINING:
            ways[region] = moves.undrain(region)
    told: dict[str, str] = {}
    while ways:
        for region, way in list(ways.items()):
            step = next(way, None)
            if step is None:
                del ways[region]
            elif not silent and told.get(region) != step.phase:
                told[region] = step.phase
                say(f"  {region}  {step.phase}: {step.told}", style="dim")
        time.sleep(PAUSE_S)


def _tell(restored: Restored, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "commits": restored.commits,
                "answered_before": restored.answered,
                "answers_owed": restored.owed,
                "lost_count": restored.lost_count,
                "lost": restored.lost,
            }
        )
        return
    say(f"{restored.commits} commits are restored, and every region serves.", style="green")
    say(f"  {restored.answered} answers had been sent and are not sent again")
    say(f"  {restored.owed} answers were under way and are given now, under the same answer_id")
    if restored.lost:
        say(
            f"  {len(restored.lost)} answered commands are lost; tell their producers:", style="red"
        )
        for lost in restored.lost:
            say(f"    {lost['region']}  {lost['commit']}  {lost['command']}", style="red")
    say("  Consistency tokens from before are refused. Check it with: antiphon verify")
