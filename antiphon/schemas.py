"""`antiphon schemas`: the JSON Schemas of what producers send and are told, and their guard.

They are published under a version: a schema that others rely on is replaced only by one that
breaks none of them.
"""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from antiphon.problems import BAD_VERDICT, Problem
from antiphon.schema_changes import breaking_changes
from antiphon.terminal import print_json, say
from domain.registry import REGISTRY
from handlers.envelope import CommandReader
from handlers.published import Answer, Published, Reply
from handlers.published import Problem as ToldProblem

VERSION = "v1"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
SENT = "commands"
TOLD: dict[str, type[Published]] = {"answer": Answer, "problem": ToldProblem, "reply": Reply}


class BreakingChange(Problem):
    """A schema would break someone who relies on the published one."""

    exit_status = BAD_VERDICT


def schemas(
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write them into the version's folder of this one."),
    ] = None,
) -> None:
    """Show the JSON Schemas of commands, replies, answers and problems, or publish them.

    With --out they replace those that are there, unless that would break anyone who relies on
    them: then nothing is written, and each breaking change is named.
    """
    new = published()
    if out is None:
        print_json(new)
        return
    folder = out / VERSION
    found = {name: _read(folder / f"{name}.json") for name in new}
    breaking = [
        f"{name}: {change}"
        for name, old in found.items()
        if old is not None
        for change in breaking_changes(old, new[name], told=name in TOLD)
    ]
    if breaking:
        changes = "\n  ".join(breaking)
        raise BreakingChange(
            f"this would break who relies on {folder}:\n  {changes}\n"
            "add instead of changing, or publish a new version beside this one"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in new.items():
        (folder / f"{name}.json").write_bytes(serialized(schema))
        say(f"wrote {folder / name}.json")


def published() -> dict[str, dict[str, Any]]:
    """Return every schema by its name."""
    commands = CommandReader(REGISTRY, max_bytes=0).adapter.json_schema()
    told = {name: model.model_json_schema() for name, model in TOLD.items()}
    return {
        name: {"$schema": DIALECT, "title": name.capitalize()} | schema
        for name, schema in sorted({SENT: commands, **told}.items())
    }


def serialized(schema: dict[str, Any]) -> bytes:
    """Return a schema as it is published."""
    return orjson.dumps(schema, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        schema: dict[str, Any] = orjson.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError as error:
        raise Problem(f"{file} is not JSON: {error}") from error
    return schema
