"""`antiphon dlq`: list dead letters, look into one, replay them, drop what may be dropped.

Listing shows nothing personal. Replaying is safe to repeat. Dropping asks, and leaves behind who
did it and why.
"""

import getpass
import time
from collections.abc import Sequence
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
from antiphon.letters import (
    Filters,
    Found,
    Orders,
    Told,
    as_json,
    find,
    moment,
    named,
    print_letters,
    print_told,
    since_ms,
    store_of,
)
from antiphon.problems import BAD_VERDICT, Problem, new_command_group
from antiphon.terminal import MS_PER_S, print_document, print_json, print_table, say
from projections.failures import SOURCES

dlq = new_command_group("Dead letters: what could not be processed, in all regions.")

DEFAULT_WAIT_S = 10.0
# Letters that the record of one act names.
MOST_NAMED = 20
# How the letter of a command begins that its sender had no grant for.
FORBIDDEN = ("forbidden:", "unauthenticated:")
LOOK_S = 0.5
Letters = Annotated[
    list[str] | None, typer.Argument(metavar="[LETTER]...", help="Letters, as `list` names them.")
]
OneRegion = Annotated[
    str | None, typer.Option("--region", help="Only this region's; all regions if left out.")
]
Source = Annotated[
    str | None, typer.Option("--source", help=f"Only those of one of {', '.join(SOURCES)}.")
]
Aggregate = Annotated[
    str | None, typer.Option("--aggregate", help="Only those of this aggregate id.")
]
Since = Annotated[
    str | None, typer.Option("--since", help="Only what failed since: 30m, 2h, 3d, or a time.")
]
All = Annotated[bool, typer.Option("--all", help="All letters that wait.")]


@dlq.command(
    "list", epilog="Examples: antiphon dlq list; antiphon dlq list --source bus --since 2h"
)
def list_letters(
    *,
    region: OneRegion = None,
    source: Source = None,
    aggregate: Aggregate = None,
    since: Since = None,
    ended: Annotated[
        bool, typer.Option("--ended", help="Those done or dropped too, while they are kept.")
    ] = False,
    dropped: Annotated[
        bool, typer.Option("--dropped", help="Instead: who dropped what, when and why.")
    ] = False,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json_: AsJson = False,
) -> None:
    """List the letters that wait, oldest first."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    if dropped:
        _list_dropped(connection, region=region, json=as_json_)
        return
    filters = _filters(source=source, aggregate=aggregate, since=since)
    letters = find(connection, region=region, filters=filters, ended=ended)
    if as_json_:
        print_json([as_json(one) for one in letters])
    elif letters:
        print_letters(letters)
    else:
        say("No dead letters." if not filters.narrow else "No such dead letters.")


@dlq.command(epilog="Example: antiphon dlq show commands.3udj73ex5vuxsi2vchxm4ny242 --reveal")
def show(
    letter: Annotated[str, typer.Argument(metavar="LETTER", help="As `list` names it.")],
    *,
    region: OneRegion = None,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show the payload too: it may be personal data.")
    ] = False,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json_: AsJson = False,
) -> None:
    """Show one letter, in every region that has it."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    found = [as_json(one, reveal=reveal) for one in named(connection, letter, region=region)]
    if as_json_:
        print_json(found)
        return
    for one in found:
        print_document(one)
        if one["payload_bytes"] and not reveal:
            say("  What it holds may be personal data; --reveal shows it.", style="dim")


@dlq.command(epilog="Examples: antiphon dlq replay --all; antiphon dlq replay --source commands")
def replay(
    letters: Letters = None,
    *,
    region: OneRegion = None,
    source: Source = None,
    aggregate: Aggregate = None,
    since: Since = None,
    everything: All = False,
    wait: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to wait for what is under way.")
    ] = DEFAULT_WAIT_S,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json_: AsJson = False,
) -> None:
    """Have what failed tried again, from the log or as it was sent. Safe to repeat."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    filters = _filters(source=source, aggregate=aggregate, since=since)
    chosen = _chosen(connection, letters, region=region, filters=filters, everything=everything)
    if not letters:
        chosen = _granted(chosen)
    orders = Orders(connection)
    _record(connection, "dlq replay", chosen)
    told = [orders.give(one, "replay") for one in chosen]
    _report(_waited_for(orders, chosen, told, wait_s=wait), json=as_json_)


@dlq.command(epilog="Example: antiphon dlq drop commands.3udj73ex5vuxsi2... --reason 'sent twice'")
def drop(
    letters: Letters = None,
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept for good.")],
    by: Annotated[
        str | None, typer.Option("--by", help="Who; the user of this machine if left out.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    region: OneRegion = None,
    source: Source = None,
    aggregate: Aggregate = None,
    since: Since = None,
    everything: All = False,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json_: AsJson = False,
) -> None:
    """Give messages up for good. What stands in the log or is owed is never dropped."""
    if not reason.strip():
        raise Problem("say why with --reason: it is all that stays of the letter")
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    filters = _filters(source=source, aggregate=aggregate, since=since)
    chosen = _chosen(connection, letters, region=region, filters=filters, everything=everything)
    if not yes and chosen:
        print_letters(chosen)
        count = f"{len(chosen)} letter{'s' if len(chosen) > 1 else ''}"
        typer.confirm(f"Drop {count}, and what they hold, for good?", abort=True, err=True)
    who = by or getpass.getuser()
    orders = Orders(connection)
    _record(connection, "dlq drop", chosen, who=who, why=reason)
    _report([orders.give(one, "drop", by=who, reason=reason) for one in chosen], json=as_json_)


def _granted(chosen: Sequence[Found]) -> list[Found]:
    """Leave out what its sender had no grant for: a replay goes by the operator's authority.

    Whoever lets such a command in names it, having looked at it.
    """
    without = [one for one in chosen if one.letter.error.startswith(FORBIDDEN)]
    if without:
        say(f"{len(without)} left out: their senders had no grant. Name a letter to let it in.")
    return [one for one in chosen if one not in without]


def _record(
    connection: Connection,
    what: str,
    chosen: Sequence[Found],
    *,
    who: str | None = None,
    why: str | None = None,
) -> None:
    if chosen:
        first = ", ".join(one.letter.letter_id for one in chosen[:MOST_NAMED])
        more = f" and {len(chosen) - MOST_NAMED} more" if len(chosen) > MOST_NAMED else ""
        record(connection, what, about=first + more, via=chosen[0].region, who=who, why=why)


def _filters(*, source: str | None, aggregate: str | None, since: str | None) -> Filters:
    if source is not None and source not in SOURCES:
        raise Problem(f"no letters come from {source}; they come from {', '.join(SOURCES)}")
    now_ms = int(time.time() * MS_PER_S)
    return Filters(source=source, aggregate=aggregate, since_ms=since_ms(since, now_ms=now_ms))


def _chosen(
    connection: Connection,
    letters: Sequence[str] | None,
    *,
    region: str | None,
    filters: Filters,
    everything: bool,
) -> list[Found]:
    """Return the letters that are named, or those that the filters take."""
    if letters and (filters.narrow or everything):
        raise Problem("name letters, or choose them by filters, not both")
    if letters:
        return [one for name in letters for one in named(connection, name, region=region)]
    if not (filters.narrow or everything):
        raise Problem("name letters, or choose them with --source, --aggregate, --since or --all")
    return find(connection, region=region, filters=filters)


def _waited_for(
    orders: Orders, chosen: Sequence[Found], told: list[Told], *, wait_s: float
) -> list[Told]:
    """Look again at what is under way until it has ended or failed, or the time is over."""
    deadline_s = time.monotonic() + wait_s
    while time.monotonic() < deadline_s:
        under_way = [at for at, one in enumerate(told) if one.outcome == "replaying"]
        if not under_way:
            break
        time.sleep(LOOK_S)
        for at in under_way:
            told[at] = orders.give(chosen[at], "look")
    return told


def _report(told: Sequence[Told], *, json: bool) -> None:
    if json:
        print_json([vars(one) for one in told])
    elif told:
        print_told(told)
    else:
        say("No such dead letters.")
    if any(one.outcome not in {"done", "replaying", "dropped"} for one in told):
        raise typer.Exit(BAD_VERDICT)


def _list_dropped(connection: Connection, *, region: str | None, json: bool) -> None:
    regions = connection.regions if region is None else (connection.region_named(region),)
    rows = [
        {
            "region": name,
            "letter": one.letter_id,
            "dropped_at": moment(one.at_ms),
            "dropped_by": one.dropped_by,
            "reason": one.reason,
            "error": one.error,
        }
        for name in regions
        for one in store_of(connection, name).dropped()
    ]
    rows.sort(key=lambda row: str(row["dropped_at"]))
    if json:
        print_json(rows)
    elif rows:
        columns = ("region", "letter", "dropped_at", "dropped_by", "reason")
        print_table(columns, [[str(row[name]) for name in columns] for row in rows])
    else:
        say("No letter was ever dropped.")
