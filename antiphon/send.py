"""`antiphon send`: one command to one region, and what came of it.

What the region says is shown as it is; only the text of `key=value` is turned into the
JSON types that the command's own model asks for.
"""

import secrets
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import httpx
import orjson
import typer

from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    AsJson,
    AwsPort,
    BasePort,
    Connection,
    RegionOption,
)
from antiphon.problems import BAD_VERDICT, USAGE, Problem
from antiphon.results import body_of
from antiphon.terminal import print_document, print_json, say
from domain.registry import REGISTRY, UnknownCommand

PRODUCER = "antiphon-cli"
MAX_WAIT_S = 20
JSON_TYPES = frozenset({"integer", "number", "boolean", "object", "array", "null"})
STATUS_STYLES = {
    "accepted": "green",
    "answered": "green",
    "unchanged": "yellow",
    "rejected": "red",
}


def send(
    type_: Annotated[
        str | None, typer.Argument(metavar="[TYPE]", help="The command, e.g. SuspendSubscriber.")
    ] = None,
    pairs: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="The command's data.")
    ] = None,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", help="Send this JSON command instead; - is stdin.")
    ] = None,
    region: RegionOption = None,
    wait: Annotated[
        int | None,
        typer.Option("--wait", min=1, max=MAX_WAIT_S, help="Seconds to wait for the answer."),
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="The Idempotency-Key.")] = None,
    command_id: Annotated[
        str | None, typer.Option("--command-id", help="The command's id; made up if left out.")
    ] = None,
    producer: Annotated[str, typer.Option("--producer", help="Who sends it.")] = PRODUCER,
    expected_sequence: Annotated[
        int | None, typer.Option("--expected-sequence", min=0, help="Only if this is the last one.")
    ] = None,
    depends_on: Annotated[
        str | None, typer.Option("--depends-on", help="A consistency token that must be reached.")
    ] = None,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
    as_json: AsJson = False,
) -> None:
    """Send one command to a region and show the result."""
    if (file is None) == (type_ is None):
        raise Problem("say what to send: either TYPE key=value ... or --file FILE, not both")
    if file is not None:
        command = read_command(file)
    else:
        command = {
            "type": type_,
            "command_id": command_id or f"cli-{secrets.token_hex(6)}",
            "producer": producer,
            "data": data_from(str(type_), pairs or []),
        }
        options = {"expected_sequence": expected_sequence, "depends_on": depends_on}
        command |= {name: value for name, value in options.items() if value is not None}
    headers = {"Content-Type": "application/json"}
    headers |= {"Idempotency-Key": key} if key else {}
    headers |= {"Prefer": f"wait={wait}"} if wait else {}
    connection = Connection.open(base_port=base_port, aws_port=aws_port)
    response = connection.request(
        connection.region_named(region),
        method="POST",
        path="/commands",
        content=orjson.dumps(command),
        headers=headers,
    )
    raise typer.Exit(show_result(response, as_json=as_json))


def read_command(file: Path) -> Any:
    """Read one command as JSON from a file, or from standard input for `-`."""
    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return orjson.loads(text)
    except OSError as error:
        raise Problem(f"cannot read {file}: {error.strerror}") from error
    except orjson.JSONDecodeError as error:
        raise Problem(f"{file} is not one JSON command: {error}") from error


def data_from(type_: str, pairs: Iterable[str]) -> dict[str, Any]:
    """Turn `key=value` texts into a command's data, typed as its model asks.

    Unknown commands and unknown keys go as text: the region says what is wrong with them.
    """
    try:
        _, model = REGISTRY.aggregate_of_command(type_)
        properties: Mapping[str, Any] = model.model_json_schema().get("properties", {})
    except UnknownCommand:
        properties = {}
    data: dict[str, Any] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator or not name:
            raise Problem(f"{pair!r} is not key=value, for example imsi=262011234567890")
        data[name] = _value(name, text, properties.get(name, {}))
    return data


def _value(name: str, text: str, schema: Mapping[str, Any]) -> Any:
    if schema.get("type") not in JSON_TYPES:
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Problem(
            f"{name} must be JSON of type {schema['type']}, which {text!r} is not"
        ) from error


def show_result(response: httpx.Response, *, as_json: bool) -> int:
    """Print what a region said to a command; return the exit status that this means."""
    body = body_of(response)
    status = str(body.get("status", ""))
    if as_json:
        print_json(body or response.text)
    elif status in STATUS_STYLES:
        duplicate = " (a duplicate: this is its first result)" if body.get("duplicate") else ""
        say(f"{status}{duplicate}", style=STATUS_STYLES[status])
        if body.get("answer") is None:
            say(f"not answered yet; follow it with: antiphon get command {body.get('commit')}")
        shown = {name: value for name, value in body.items() if name not in {"status", "duplicate"}}
        print_document(shown)
    else:
        show_problem(response)
    if status not in STATUS_STYLES:
        return USAGE
    return BAD_VERDICT if status == "rejected" else 0


def show_problem(response: httpx.Response) -> None:
    """Print a region's problem: its code, its sentence, each field that is wrong."""
    body = body_of(response)
    code = body.get("code") or f"HTTP {response.status_code}"
    say(f"{code}: {body.get('detail') or body.get('title') or response.text.strip()}", style="red")
    for error in body.get("errors") or ():
        say(f"  {error.get('field')}: {error.get('message')}")
    known = {"type", "title", "status", "detail", "code", "instance", "errors"}
    print_document({name: value for name, value in body.items() if name not in known})
