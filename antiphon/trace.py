"""`antiphon trace`: the way of one command through all regions, with times, and what is missing.

Reads only: the log, the regions' own views, and what was stored with the answer. A region that
does not answer is told as such and holds up nothing but itself.
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Annotated

import typer
from botocore.exceptions import BotoCoreError, ClientError

from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    AsJson,
    AwsPort,
    BasePort,
    Connection,
)
from antiphon.installation import dependencies_of
from antiphon.letters import Found
from antiphon.problems import Problem
from antiphon.terminal import MS_PER_S, print_json
from antiphon.trace_display import print_found, print_trace
from antiphon.tracing import Look, Trace, trace_of
from eventstore.commits import Commit, from_item, parse_commit_id
from eventstore.errors import StoreUnavailable
from eventstore.log import DynamoDBLog
from handlers.dependencies import Dependencies
from projections.letters import LetterStore
from projections.regions import ControlStore, Topology
from projections.response_items import Response

UNREACHABLE = (StoreUnavailable, BotoCoreError, ClientError)
# A search that finds more of them says that it goes no further.
MOST_FOUND = 50


def trace(
    identifier: Annotated[
        str,
        typer.Argument(
            metavar="COMMIT", help="The commit, as `send` printed it and every answer names it."
        ),
    ],
    *,
    search: Annotated[
        bool,
        typer.Option(
            "--search",
            help="Take it for a command id or a correlation id, and look through the whole log.",
        ),
    ] = False,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json: AsJson = False,
) -> None:
    """Draw the way of one command through all regions."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    dead = {region for region in connection.regions if connection.wan().is_killed(region)}
    there = [region for region in connection.regions if region not in dead]
    if not there:
        raise Problem("every region is killed; start one with: antiphon region start REGION")
    regions = Regions(connection, dependencies_of(connection, there[0]), there=there)
    if search:
        found = regions.search(identifier)
        if len(found) > 1:
            print_found(found, most=MOST_FOUND, as_json=as_json)
            return
        commit = found[0]
    else:
        commit = regions.commit(identifier)
    told = regions.trace(commit)
    letters = regions.letters_about(commit)
    if as_json:
        shown = [{"region": one.region, "letter": one.letter.letter_id} for one in letters]
        print_json(trace_json(told) | {"dead_letters": shown})
    else:
        print_trace(told, letters)


def trace_json(told: Trace) -> dict[str, object]:
    """Return a trace for `--json`."""
    shown: dict[str, object] = told.model_dump()
    shown["stages"] = [one.model_dump() | {"clock_wrong": one.clock_wrong} for one in told.stages]
    return shown


class Regions:
    """What the regions of one running system tell of a commit.

    Args:
        connection: to all regions.
        deps: the functions' own parts, wired to it.
        there: the regions that are not dead.

    """

    def __init__(self, connection: Connection, deps: Dependencies, *, there: Sequence[str]) -> None:
        self._connection = connection
        self._deps = deps
        self._settings = deps.settings
        self._there = there

    def commit(self, commit_id: str) -> Commit:
        """Return a commit of the log; raises Problem if there is none of this id."""
        place = parse_commit_id(commit_id)
        if place is None:
            raise Problem(
                f"{commit_id!r} is no commit; to look through the whole log for a command id or "
                f"a correlation id: antiphon trace {commit_id} --search"
            )
        silent: dict[str, str] = {}
        # A region that reaches no other, or that the commit has not come to, does not decide it:
        # any that has the commit will do.
        for consistent in (True, False):
            for region in self._there:
                try:
                    found = self._log(region).get(*place, consistent=consistent)
                except UNREACHABLE as error:
                    silent[region] = str(error)
                    continue
                if found is not None:
                    return found
        if silent:
            told = "; ".join(f"{region}: {error}" for region, error in silent.items())
            raise Problem(f"the log cannot be read now in all regions ({told})")
        raise Problem(f"there is no commit {commit_id} in the log")

    def search(self, identifier: str) -> list[Commit]:
        """Return the commits with this command id or correlation id, in the order of their times.

        Reads the whole log. Raises Problem if there is none.
        """
        found: dict[str, Commit] = {}
        # Where regions do not share one log at once, what is new may be in one of them only.
        for region in self._there if self._settings.mode == "EVENTUAL" else self._there[:1]:
            pages = self._connection.dynamodb(region).get_paginator("scan")
            for page in pages.paginate(
                TableName=self._settings.events_table,
                FilterExpression="c = :id OR m.i = :id",
                ExpressionAttributeValues={":id": {"S": identifier}},
            ):
                commits = map(from_item, page["Items"])
                found |= {commit.commit_id: commit for commit in commits}
                if len(found) > MOST_FOUND:
                    break
        if not found:
            raise Problem(self._not_in_the_log(identifier))
        return sorted(found.values(), key=lambda one: one.recorded_at_ms)

    def _not_in_the_log(self, identifier: str) -> str:
        told = f"no commit in the log has the command id or correlation id {identifier}"
        for one in self._letters():
            if one.letter.correlation_id == identifier:
                letter = one.letter.letter_id
                return f"{told}, but a dead letter has: antiphon dlq show {letter}"
        return told

    def trace(self, commit: Commit) -> Trace:
        """Ask every region, and put together what they tell."""
        topology = self._topology()
        # The region of origin first: the way begins there.
        regions = sorted(self._connection.regions, key=lambda region: region != commit.origin)
        looks = {region: self._look(region, commit) for region in regions}
        answering = topology.answering_region(commit.origin)
        response = None
        if answering in looks and not looks[answering].silent:
            response = self._response(answering, commit, looks)
        gone = self._settings.may_be_forgotten(
            commit.recorded_at_ms, now_ms=int(time.time() * MS_PER_S)
        )
        return trace_of(commit, response, looks, topology=topology, answer_may_be_gone=gone)

    def letters_about(self, commit: Commit) -> list[Found]:
        """Return the dead letters that hold up this commit or its answer."""
        return [
            one
            for one in self._letters()
            if one.letter.aggregate_id == commit.aggregate_id
            and (one.letter.position or 0) <= commit.position
            and (one.letter.source in {"projector", "stream"} or _is_of(one, commit))
        ]

    def _letters(self) -> Iterator[Found]:
        for region in self._there:
            try:
                client, table = self._connection.dynamodb(region), self._settings.letters_table
                for letter in LetterStore(client, table=table).waiting():
                    yield Found(region=region, letter=letter)
            except UNREACHABLE:
                continue

    def _topology(self) -> Topology:
        for region in self._there:
            try:
                return self._states(region)
            except UNREACHABLE:
                continue
        # Nobody knows who is drained: then what is shown as missing may be as it should be.
        return Topology.all_active(self._connection.regions)

    def _states(self, region: str) -> Topology:
        client, table = self._deps.shared_of(region), self._settings.control_table
        store = ControlStore(client, table=table, regions=self._settings.regions)
        return store.read()

    def _look(self, region: str, commit: Commit) -> Look:
        if region not in self._there:
            return Look(region=region, silent="is killed")
        place = (commit.aggregate_id, commit.position)
        views = self._deps.views_of(region)
        read = partial(views.read_live, aggregate_id=commit.aggregate_id, consistent=True)
        try:
            there = self._log(region).get(*place, consistent=False) is not None
            shown = {
                projection.name: read(projection)[1]
                for projection in self._deps.projections
                if projection.covers(commit.aggregate_id)
            }
            at = commit.last_position
            return Look(
                region=region,
                replicated=there,
                applied={name: view.has(at) for name, view in shown.items()},
                left_aside=all(view.left_aside(at) for view in shown.values()),
            )
        except UNREACHABLE as error:
            return Look(region=region, silent=f"does not answer ({error})")

    def _response(self, region: str, commit: Commit, looks: dict[str, Look]) -> Response | None:
        try:
            return self._deps.responses_of(region).get(commit.commit_id)
        except UNREACHABLE as error:
            looks[region].silent = f"does not answer ({error})"
            return None

    def _log(self, region: str) -> DynamoDBLog:
        return DynamoDBLog(self._connection.dynamodb(region), table=self._settings.events_table)


def _is_of(found: Found, commit: Commit) -> bool:
    return found.letter.commit_id == commit.commit_id or commit.commit_id in found.letter.letter_id
