"""`antiphon forget`: nobody can tell any more who a subscriber was, in any region.

May be interrupted or killed at any time: run again, it goes on. What can be undone ends with the
first step; nothing brings back what the key has sealed.
"""

import sys
import time
from functools import partial
from typing import Annotated, Any

import httpx
import orjson
import typer

from antiphon.acts import record
from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    AwsPort,
    BasePort,
    Connection,
)
from antiphon.installation import dependencies_of
from antiphon.mailboxes import erase_answers
from antiphon.problems import Problem
from antiphon.reading import read_topology
from antiphon.terminal import MS_PER_S, milliseconds, say
from eventstore.errors import StoreUnavailable
from handlers.dependencies import Dependencies
from handlers.extension import Resource
from projections.forgetting import Forgetting, ForgettingRefused, RegionsData, Step

PAUSE_S = 0.5
TOLD_AGAIN_S = 5.0
WAIT = "wait=10"
PRODUCER = "antiphon-operator"
# What a wait may take before it is an operator's turn: a region that is down stays so.
MOST_WAIT_S = 300.0


def forget(
    key: Annotated[
        str, typer.Argument(metavar="IMSI", help="The subscriber's IMSI, or another subject's key.")
    ],
    *,
    path: Annotated[
        str, typer.Option("--of", help="The resource that it is of, as in the HTTP API's paths.")
    ] = "subscribers",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: it cannot be undone.")] = False,
    wait_s: Annotated[
        float, typer.Option("--wait", min=1, help="Seconds to wait for a region or an answer.")
    ] = MOST_WAIT_S,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Forget a subscriber in every region, for good: log and backups become unreadable."""
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    serving = _serving(connection)
    deps = dependencies_of(connection, serving)
    resource = _resource(deps, path)
    if not yes and not (
        sys.stdin.isatty()
        and typer.confirm(f"Forget this {resource.name} for good, in every region?", err=True)
    ):
        raise Problem("nothing was changed; say --yes to forget without being asked")
    # Its opaque id: the record is kept, and the subject's number is what is forgotten.
    subject = deps.keys.aggregate_id(resource.aggregate.tag, key)
    record(connection, "forget", about=subject, via=serving)
    forgetting = _forgetting(connection, deps, resource, key=key, serving=serving)
    _drive(forgetting, name=resource.name, wait_s=wait_s)


def _drive(forgetting: Forgetting, *, name: str, wait_s: float) -> None:
    """Go the way to its end, telling each step that is news; raises Problem."""
    begun_s = time.monotonic()
    waiting_since_s, told_at_s, told = begun_s, 0.0, ""
    last: Step | None = None
    try:
        for step in forgetting.forget():
            now_s = time.monotonic()
            if step.phase != told or now_s - told_at_s >= TOLD_AGAIN_S:
                took = milliseconds((now_s - begun_s) * MS_PER_S)
                say(f"{took:>10}  {step.phase}: {step.told}")
                told_at_s = now_s
            if step.phase != told or not step.waits:
                waiting_since_s = now_s
            told, last = step.phase, step
            if step.waits and now_s - waiting_since_s > wait_s:
                raise Problem(f"{step.phase}: {step.told}; run the same again to go on")
            if step.waits:
                time.sleep(PAUSE_S)
    except ForgettingRefused as refused:
        raise Problem(str(refused)) from refused
    except StoreUnavailable as error:
        raise Problem(f"{error}; run the same again to go on") from error
    assert last is not None
    say(f"This {name} is forgotten.", style="green")


def _forgetting(
    connection: Connection, deps: Dependencies, resource: Resource, *, key: str, serving: str
) -> Forgetting:
    regions = read_topology(connection).not_lost
    # The first is the one that is asked for what is the same in all.
    others = [region for region in regions if region != serving]

    def data_of(region: str) -> RegionsData:
        return RegionsData(
            keys=deps.keys_of(region),
            views=deps.erasure_of(region),
            snapshots=deps.snapshots_of(region),
            responses=deps.responses_of(region),
            letters=deps.letters_of(region),
            empty_mailbox=partial(erase_answers, connection, region),
        )

    return Forgetting(
        log=deps.log,
        aggregate=resource.aggregate,
        aggregate_id=deps.keys.aggregate_id(resource.aggregate.tag, key),
        natural_key=key,
        regions=(serving, *others),
        data_of=data_of,
        order=partial(_order, connection, serving, resource, key),
        fresh_s=deps.settings.keys_fresh_s,
        elapsed_s=time.monotonic,
        now_ms=deps.edge.now_ms,
    )


def _order(connection: Connection, region: str, resource: Resource, key: str) -> str:
    """Have the command decided that forgets; the same command whoever sends it, and whenever."""
    assert resource.aggregate.forget is not None
    command: dict[str, Any] = {
        "type": resource.aggregate.forget.__name__,
        "command_id": "forget",
        "producer": PRODUCER,
        "data": {resource.key_name: key},
    }
    response = connection.request(
        region, method="POST", path="/commands", json=command, headers={"Prefer": WAIT}
    )
    told: dict[str, Any] = orjson.loads(response.content)
    if "commit" not in told:
        detail = "; ".join([told.get("detail", ""), *_fields(told)]).strip("; ")
        if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            raise ForgettingRefused(f"{told.get('code')}: {detail}; nothing was changed")
        raise StoreUnavailable(f"{region} did not take the command: {told.get('code')} {detail}")
    if told["status"] == "rejected":
        raise ForgettingRefused(f"{told.get('reason')}: {told.get('message')}")
    return str(told["commit"])


def _fields(told: dict[str, Any]) -> list[str]:
    return [f"{one['field']}: {one['message']}" for one in told.get("errors", [])]


def _serving(connection: Connection) -> str:
    """Return a region that takes commands; raises Problem if there is none."""
    wan = connection.wan()
    for region in read_topology(connection).serving:
        if not (wan.is_killed(region) or wan.is_isolated(region)):
            return region
    raise Problem("no region serves; see: antiphon status")


def _resource(deps: Dependencies, path: str) -> Resource:
    personal = {r.path: r for r in deps.catalog.resources if r.aggregate.forget is not None}
    if path not in personal:
        raise Problem(f"nothing personal is kept of {path!r}; there is {', '.join(personal)}")
    return personal[path]
