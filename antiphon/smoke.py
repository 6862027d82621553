"""`antiphon smoke`: does a deployed system keep its promise? One command to each region, for real.

Each command registers a network element of its own, named `smoke-...`; its answer must come with
proof of every region, and each region must show it at every consistency. Leaves the elements
decommissioned, for the log forgets nothing.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol

import httpx
import typer

from antiphon.connection import DEFAULT_AWS_PORT, DEFAULT_BASE_PORT, AwsPort, BasePort, Connection
from antiphon.deployed import deployment
from antiphon.problems import BAD_VERDICT
from antiphon.results import body_of
from antiphon.terminal import heading, milliseconds, say

ANSWERED_WITHIN_S = 60.0
WAIT_S = 20
POLL_S = 1.0
PRODUCER = "antiphon-smoke"


class Apis(Protocol):
    """The HTTP APIs of a system: of local regions, or of AWS."""

    @property
    def regions(self) -> tuple[str, ...]: ...

    def request(self, region: str, *, method: str, path: str, **content: Any) -> httpx.Response: ...


def smoke(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="As for deploy; the local regions if left out."),
    ] = None,
    *,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Send a command to each region, wait for its Event B, and read it back everywhere."""
    apis: Apis = (
        Connection.open(base_port=base_port, aws_port=aws_port)
        if file is None
        else deployment(file)
    )
    run_id, wrong = secrets.token_hex(4), 0
    for region in apis.regions:
        heading(region)
        for trouble in troubles_of(apis, region, run_id=run_id, told=lambda text: say(f"  {text}")):
            say(f"  {trouble}", style="red")
            wrong += 1
    if wrong:
        say(f"\n{wrong} things are wrong", style="bold red")
        raise typer.Exit(BAD_VERDICT)
    say("\nEvery region answers, and shows what was answered", style="bold green")


def troubles_of(
    apis: Apis, origin: str, *, run_id: str, told: Callable[[str], None]
) -> Iterator[str]:
    """Play one element through one region; yield what is wrong, in words."""
    element = f"smoke-{run_id}-{origin}"
    register = {"element_id": element, "kind": "gnb", "site": "smoke", "plmn": "001-01"}
    started = time.monotonic()
    body = yield from _answered(apis, origin, _command("RegisterNetworkElement", element, register))
    if body is None:
        return
    told(f"answered after {milliseconds((time.monotonic() - started) * 1000)}")
    proof = body["answer"].get("regions", {})
    if missing := sorted(set(apis.regions) - set(proof)):
        yield f"the answer has no proof of {', '.join(missing)}; is a region drained?"
    yield from _reads(apis, element, token=body["consistency_token"])
    gone = _command(
        "DecommissionNetworkElement", element, {"element_id": element, "reason": "smoke"}
    )
    yield from _ends(apis, origin, gone)


def _command(kind: str, element: str, data: Mapping[str, str]) -> dict[str, Any]:
    return {
        "type": kind,
        "command_id": f"{kind}-{element}",
        "producer": PRODUCER,
        "data": dict(data),
    }


def _answered(apis: Apis, origin: str, command: Mapping[str, Any]) -> "Iterator[str] | Any":
    """Send a command until it is answered; return the body with its answer, None if it is not."""
    deadline = time.monotonic() + ANSWERED_WITHIN_S
    body: Mapping[str, Any] = {}
    while time.monotonic() < deadline:
        response = apis.request(
            origin,
            method="POST",
            path="/commands",
            json=dict(command),
            headers={"Prefer": f"wait={WAIT_S}"},
        )
        body = body_of(response)
        # The same command again is a duplicate, which gets the one answer.
        if body.get("answer") is not None:
            return body
        if response.is_client_error:
            yield f"refused the command: {response.status_code} {_said(response)}"
            return None
        time.sleep(POLL_S)
    yield f"no answer within {ANSWERED_WITHIN_S:.0f} s; {_waits(body)}"
    return None


def _ends(apis: Apis, origin: str, command: Mapping[str, Any]) -> Iterator[str]:
    yield from _answered(apis, origin, command)


def _reads(apis: Apis, element: str, *, token: str) -> Iterator[str]:
    """Read an answered element in every region: what was answered is everywhere, for everyone."""
    levels: dict[str, dict[str, Any]] = {
        "eventual": {},
        "by its token": {"headers": {"Consistency-Token": token}},
        "strong": {"params": {"consistency": "strong"}},
    }
    for region in apis.regions:
        for level, how in levels.items():
            response = apis.request(
                region, method="GET", path=f"/network-elements/{element}", **how
            )
            if not response.is_success:
                status = response.status_code
                yield f"{region} does not show it, {level}: {status} {_said(response)}"


def _said(response: httpx.Response) -> str:
    body = body_of(response)
    return str(body.get("detail") or body.get("message") or response.text[:200])


def _waits(body: Mapping[str, Any]) -> str:
    commit = body.get("commit")
    if commit is None:
        return f"last it was told {body.get('detail') or 'nothing'}"
    return (
        f"its commit is {commit}: antiphon trace says where it waits, antiphon status which region"
    )
