"""The moves of regions, wired to a running system with the settings that its functions have.

Reads and changes the control item through a region that is not the one moved: that one may be
lost. Nothing here decides anything; that is `projections.draining`'s work.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import orjson

from antiphon.connection import Connection
from antiphon.installation import dependencies_of
from antiphon.letters import store_of
from antiphon.problems import Problem
from eventstore.replicas import EveryReplica
from eventstore.scanning import SEGMENTS, LogScan, Scan
from handlers.dependencies import Dependencies
from handlers.settings import Settings
from projections.adoption import Adoption
from projections.catching_up import Commits, Comparison
from projections.draining import RegionMoves
from projections.homes import HomesStore
from projections.letters import LetterStore
from projections.regions import ControlStore
from projections.rehoming import HomeMoves

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SWEEPER = "antiphon-sweeper"
COMMANDS_QUEUE = "antiphon-commands.fifo"
ADOPTED_AT_ONCE = 16
# Between two tries of one call, at the most.
CALL_AGAIN_S = 2.0

T = TypeVar("T")


def check_consistent(connection: Connection, *, via: str) -> None:
    """Refuse to move regions or homes where not all regions see one truth about them.

    Two operators could otherwise both be right: one epoch of a slot would have two homes, and what
    was answered would be written over.

    Raises: Problem
    """
    deps = dependencies_of(connection, via)
    table = deps.settings.control_table
    found = deps.shared_of(via).describe_table(TableName=table)["Table"]
    if (mode := found.get("MultiRegionConsistency")) != "STRONG":
        told = f"{table} is {mode or 'in one region'}, not strongly consistent over regions"
        raise Problem(
            f"{told}: homes and the regions' states stay as they are. To move them, deploy "
            "infra/sam/global.yaml anew, whose control table is, and copy the log there"
        )


def open_moves(connection: Connection, *, via: str) -> RegionMoves:
    """Return the moves of regions as seen from the region `via`."""
    deps = dependencies_of(connection, via)
    settings = deps.settings
    return moves_of(
        deps,
        states=ControlStore(
            deps.shared_of(via), table=settings.control_table, regions=settings.regions
        ),
        scan_of=lambda region: _scan(connection.dynamodb(region), settings),
        together=_together(ADOPTED_AT_ONCE),
        queued=partial(_queued, connection, dead=settings.dead_commands_queue),
        letters_of=partial(store_of, connection),
        sweep=partial(sweep, connection),
    )


def moves_of(
    deps: Dependencies,
    *,
    states: ControlStore,
    scan_of: Callable[[str], LogScan],
    together: Callable[[Sequence[Callable[[], bool]]], Sequence[bool]],
    queued: Callable[[str], int],
    letters_of: Callable[[str], LetterStore],
    sweep: Callable[[str], Mapping[str, int]],
) -> RegionMoves:
    """Return the moves of regions by the settings and the clock of these dependencies.

    Args:
        deps: of the region that they are seen from.
        scan_of: the log as any region's replica has it.
        together: adopts some answers at the same time.
        states, queued, letters_of, sweep: as `RegionMoves` takes them.

    """
    settings, clock = deps.settings, deps.edge.clock
    scan: Scan = scan_of(settings.region)
    log: Commits = deps.log
    if deps.has_homes:
        # What is answered, and what is owed, may not have come to where this goes through.
        near_first = sorted(settings.regions, key=lambda region: region != settings.region)
        scan = log = EveryReplica(
            {region: scan_of(region) for region in near_first},
            {region: deps.log_of(region) for region in near_first},
            needed=lambda: states.read().not_drained,
        )
    return RegionMoves(
        states=states,
        comparison=comparison_of(deps, scan=scan, log=log),
        responses_of=deps.responses_of,
        queued=queued,
        letters_of=letters_of,
        sweep=sweep,
        adoption=Adoption(
            scan=scan,
            responses_of=deps.responses_of,
            together=together,
            now_ms=deps.edge.now_ms,
            pause=clock.pause,
            bounds=settings,
        ),
        fresh_s=settings.control_fresh_s,
        append_s=settings.append_s + _last_call_s(settings),
        elapsed_s=clock.elapsed_s,
        now_ms=deps.edge.now_ms,
    )


def comparison_of(deps: Dependencies, *, scan: Scan, log: Commits) -> Comparison:
    """Return what compares the views of any region with a log."""
    return Comparison(
        scan=scan,
        log=log,
        projections=deps.projections,
        views_of=deps.views_of,
        ring=deps.queues.ring,
    )


def open_home_moves(connection: Connection, *, via: str) -> HomeMoves | None:
    """Return the moves of homes as seen from the region `via`; None in STRONG mode."""
    deps = dependencies_of(connection, via)
    return home_moves_of(
        deps,
        client=deps.shared_of(via),
        scan_of=lambda region: _scan(connection.dynamodb(region), deps.settings),
    )


def home_moves_of(
    deps: Dependencies, *, client: "DynamoDBClient", scan_of: Callable[[str], LogScan]
) -> HomeMoves | None:
    """Return the moves of homes by these dependencies; None in STRONG mode.

    Args:
        deps: of the region that they are seen from.
        client: what reaches the homes and states from there.
        scan_of: the log as any region's replica has it.

    """
    settings = deps.settings
    if settings.mode != "EVENTUAL":
        return None
    return HomeMoves(
        homes=HomesStore(client, table=settings.control_table),
        states=ControlStore(client, table=settings.control_table, regions=settings.regions),
        comparison_of=lambda region: comparison_of(
            deps, scan=scan_of(region), log=deps.log_of(region)
        ),
        fresh_s=settings.homes_fresh_s,
        put_s=_last_call_s(settings),
        elapsed_s=deps.edge.clock.elapsed_s,
    )


def _last_call_s(settings: Settings) -> float:
    """Return how long an AWS call may take that was begun at the end of what bounds its tries."""
    return settings.call_tries * (settings.connect_s + settings.read_s) + CALL_AGAIN_S


def _scan(client: "DynamoDBClient", settings: Settings) -> LogScan:
    return LogScan(client, table=settings.events_table, together=_together(SEGMENTS))


def _together(most: int) -> Callable[[Sequence[Callable[[], T]]], list[T]]:
    pool = ThreadPoolExecutor(most, thread_name_prefix="region-moves")

    def run(tasks: Sequence[Callable[[], T]]) -> list[T]:
        return list(pool.map(lambda task: task(), tasks))

    return run


def _queued(connection: Connection, region: str, *, dead: str) -> int:
    """Count the commands in a region's queue, those being decided and not yet buried too."""
    sqs = connection.sqs(region)
    count = 0
    # In the order in which a command goes, so that none is missed between the two.
    for queue in (COMMANDS_QUEUE, dead):
        url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        counts = sqs.get_queue_attributes(
            QueueUrl=url,
            AttributeNames=[
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesNotVisible",
                "ApproximateNumberOfMessagesDelayed",
            ],
        )["Attributes"]
        count += sum(int(number) for number in counts.values())
    return count


def sweep(connection: Connection, region: str) -> Mapping[str, int]:
    """Have a region's sweeper look for overdue answers; return what it did, by what."""
    answer = connection.functions(region).invoke(FunctionName=SWEEPER, Payload=b"{}")
    told: dict[str, Any] = orjson.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise Problem(f"{SWEEPER} in {region} failed with {told.get('errorType', 'an error')}")
    return told
