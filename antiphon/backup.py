"""`antiphon backup`: the log and the answers to it, in one file that `antiphon restore` takes.

Reads only, page by page, while commands flow: of each aggregate the file has every commit up
to some moment. Of the tables of another time (as a point-in-time recovery makes them) it makes
the same file, and tells what was answered and is not in that log.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from antiphon.backup_file import Heading, Lost, write_backup
from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    AwsPort,
    BasePort,
    Connection,
)
from antiphon.installation import dependencies_of
from antiphon.opening import opened
from antiphon.problems import Problem
from antiphon.reading import EVENTS_TABLE, RESPONSES_TABLE, VIEWS_TABLE
from antiphon.running_source import RunningSource
from antiphon.terminal import say
from antiphon.verification.source import Item, Source
from eventstore.commits import Commit, from_item, parse_commit_id, to_item
from eventstore.errors import CorruptLog
from eventstore.key_copies import KeyCopies
from eventstore.sealing import IN_CLEAR, Cipher
from projections.regions import Topology
from projections.restoring import Kept


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; it must not exist.")],
    *,
    events_table: Annotated[
        str,
        typer.Option("--events-table", help="Read the log from this table, as one recovered."),
    ] = EVENTS_TABLE,
    responses_table: Annotated[
        str,
        typer.Option("--responses-table", help="Read the answers from this table of each region."),
    ] = RESPONSES_TABLE,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Write the log, and the answers that were given and are owed to it, into one file."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    source = RunningSource(
        connection,
        tables={"events": events_table, "views": VIEWS_TABLE, "responses": responses_table},
    )
    topology = source.topology()
    if missing := set(topology.not_lost) - set(source.regions):
        raise Problem(f"the answers of {', '.join(sorted(missing))} cannot be read; start it first")
    deps = dependencies_of(connection, source.home)
    heading = Heading(
        taken_at=datetime.now(UTC).isoformat(timespec="seconds"),  # noqa: TID251 - only shown
        regions=tuple(topology.standings),
        fingerprint=deps.keys.fingerprint,
        generation=deps.settings.generation,
        topology=topology,
    )
    lost = events_table != EVENTS_TABLE
    copies = KeyCopies(deps.subject_keys, deps.keys)
    count = write_backup(
        file, heading, lines_of(source, topology, lost=lost, copies=copies, cipher=deps.cipher)
    )
    say(f"{count} commits and their answers are in {file}.", style="green")
    say("It holds what the log holds, personal data too: keep it as you keep the log.")


def lines_of(
    source: Source,
    topology: Topology,
    *,
    lost: bool,
    copies: KeyCopies,
    cipher: Cipher = IN_CLEAR,
) -> Iterator[Kept | Lost]:
    """Yield what belongs into a backup; a commit's answers are read after it.

    Args:
        source: where to read.
        topology: who may have answered for whom.
        lost: tell the answers to commits that the log does not have, too.
        copies: of the keys of those whose data is sealed.
        cipher: opens the answers that are lost, to tell which commands they were to.

    Raises Problem if a commit cannot be read: a backup must not leave it out silently.

    """
    for page in source.log_pages():
        yield from _kept(source, topology, [_commit(item) for item in page], copies)
    if lost:
        for region in source.regions:
            for page in source.pages(region, "responses"):
                yield from _lost(source, region, list(opened(page, cipher)))


def _commit(item: Item) -> Commit:
    try:
        commit = from_item(item)
    except CorruptLog as error:
        place = f"{item['a']['S']}.{item['q']['N']}"
        raise Problem(f"{place}: {error}; see what else is wrong: antiphon verify") from error
    if to_item(commit) != item:
        raise Problem(f"{commit.commit_id} was written by another version; back up with that one")
    return commit


def _kept(
    source: Source, topology: Topology, commits: Sequence[Commit], copies: KeyCopies
) -> Iterator[Kept]:
    asked: dict[str, list[Item]] = defaultdict(list)
    for commit in commits:
        standing = topology.standings.get(commit.origin)
        for region in (commit.origin, *(standing.adopters if standing else ())):
            if region in source.regions:
                asked[region].append({"c": {"S": commit.commit_id}})
    answers: dict[str, dict[str, Item]] = defaultdict(dict)
    for region, keys in asked.items():
        for item in source.get(region, "responses", keys):
            answers[item["c"]["S"]][region] = item
    for commit in commits:
        sealed = any(event.sealed for event in commit.events)
        yield Kept(
            commit=commit,
            answers=answers.get(commit.commit_id, {}),
            key=copies.copy_of(commit.aggregate_id) if sealed else None,
        )


def _lost(source: Source, region: str, page: Sequence[Item]) -> Iterator[Lost]:
    places = {item["c"]["S"]: parse_commit_id(item["c"]["S"]) for item in page}
    there = source.in_log(place for place in places.values() if place is not None)
    for item in page:
        if places[item["c"]["S"]] not in there:
            yield Lost(region=region, answer=_named(item))


def _named(item: Item) -> dict[str, Any]:
    """Tell which command it was, and nothing personal: no state, no events."""
    body = orjson.loads(item["body"]["S"]) if "body" in item else {}
    return {
        "commit": item["c"]["S"],
        "command": body.get("command"),
        "answer_id": body.get("answer_id"),
        "sent": "published" in item,
    }
