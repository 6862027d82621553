"""Pictures of what `antiphon bench --json` told, as SVG for the docs.

They are made from those figures and nothing else, and load nothing from elsewhere.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pygal
from pygal.style import CleanStyle

# The library looks for its plug-ins, of which there are none here, at every import in the process,
# by a way that Python warns of.
sys.meta_path[:] = [one for one in sys.meta_path if type(one).__module__ != pygal.__name__]

Figures = Mapping[str, Any]


def draw(figures: Figures, directory: Path) -> list[Path]:
    """Draw into a directory; return the files."""
    charts = {
        "append": _append(figures["append"]),
        "starting": _bars(
            "CPU from the interpreter's start until a handler is ready",
            {one["name"]: one["cpu_ms"] for one in figures["starting"]},
            unit="ms",
        ),
        "loading": _loading(figures["loading"]),
        "projecting": _bars(
            "Commits a second and core, beside the naive loop's",
            {f"{c['commits']} of {c['aggregates']}": c["ratio"] for c in figures["projecting"]},
            unit="times",
        ),
    }
    written = []
    for name, chart in charts.items():
        file = directory / f"bench-{name}.svg"
        file.write_bytes(chart.render())
        written.append(file)
    return written


def _bars(title: str, values: Mapping[str, float], *, unit: str) -> Any:
    chart = _plain(pygal.HorizontalBar, title, unit)
    for name, value in values.items():
        chart.add(name, [{"value": round(value, 2), "label": unit}])
    return chart


def _append(append: Figures) -> Any:
    chart = _plain(pygal.Bar, "CPU of a command, beside a bare boto3 put", "times")
    engines = {name: told for name, told in append["engines"].items() if "absent" not in told}
    chart.x_labels = list(engines)
    ways = [one["name"] for one in next(iter(engines.values()))["one by one"]]
    for at, way in enumerate(ways):
        ratios = [round(told["one by one"][at]["cpu_ratio"], 2) for told in engines.values()]
        chart.add(way, ratios)
    return chart


def _loading(rows: Any) -> Any:
    chart = _plain(pygal.XY, "CPU of loading an aggregate by its events", "ms")
    chart.logarithmic = True
    chart.xrange = (1, rows[-1]["events"])
    for name, title in (("with_snapshot_ms", "with a snapshot"), ("without_ms", "without")):
        chart.add(title, [(row["events"], round(row[name], 3)) for row in rows])
    return chart


def _plain(kind: Any, title: str, unit: str) -> Any:
    # No scripts from elsewhere: the picture stands by itself.
    return kind(
        title=f"{title}, {unit}",
        style=CleanStyle,
        js=(),
        width=900,
        height=420,
        no_prefix=True,
        truncate_legend=-1,
    )
