"""What the command line writes: lines, tables, JSON, complaints.

Everything printed goes through here, so that a terminal gets colour and a pipe gets
plain text. Never prints an IMSI, MSISDN or ICCID of its own accord: only what a
command was asked to show.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from rich.console import Console
from rich.text import Text

output = Console(highlight=False)
complaints = Console(stderr=True, highlight=False)

MS_PER_S = 1_000
MS_PER_MINUTE = 60_000


def say(text: str | Text, *, style: str | None = None) -> None:
    """Print one line, unwrapped, so that it stays one line in a pipe too."""
    output.print(text, style=style, markup=False, soft_wrap=True)


def complain(text: str) -> None:
    """Print one sentence on standard error."""
    complaints.print(Text.assemble(("antiphon: ", "bold red"), text), soft_wrap=True)


def heading(text: str) -> None:
    """Print a section's title with an empty line before it."""
    output.print()
    say(text, style="bold")


def print_json(value: object) -> None:
    """Print `value` as indented JSON, the same in a terminal and in a pipe."""
    rendered = orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode()
    output.print(rendered, markup=False, soft_wrap=True)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: Iterable[str] = ()
) -> None:
    """Print rows under their columns; those named in `numbers` stand flush right.

    As wide as it needs to be: a pipe has no width, and a cropped figure is a wrong one.
    """
    right = set(numbers)
    cells = [[cell if isinstance(cell, Text) else Text(str(cell)) for cell in row] for row in rows]
    heads = [Text(column, style="dim") for column in columns]
    widths = [max(row[at].cell_len for row in [heads, *cells]) for at in range(len(columns))]
    for row in [heads, *cells]:
        line = Text("  ")
        for column, width, cell in zip(columns, widths, row, strict=True):
            space = " " * (width - cell.cell_len)
            line.append_text(Text(space) + cell if column in right else cell + Text(space))
            line.append("   ")
        line.rstrip()
        if line.plain:
            output.print(line, soft_wrap=True)


def milliseconds(value: float) -> str:
    """Show a duration in ms the way it is read: 262 ms, 1.4 s, 2 min 05 s."""
    if value < MS_PER_S:
        return f"{value:.0f} ms"
    if value < MS_PER_MINUTE:
        return f"{value / MS_PER_S:.1f} s"
    minutes, seconds = divmod(round(value / MS_PER_S), 60)
    return f"{minutes} min {seconds:02d} s"


def print_document(document: Mapping[str, Any], *, indent: int = 2) -> None:
    """Print a JSON object for reading: one line a field, nested objects indented."""
    width = max((len(name) for name in document), default=0)
    for name, value in document.items():
        if value is None or value in ({}, []):
            continue
        if isinstance(value, Mapping):
            say(f"{'':{indent}}{name}")
            print_document(value, indent=indent + 2)
        else:
            shown = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
            say(f"{'':{indent}}{name:<{width}}  {shown}")
