"""docs/EVENTSOURCING.md: its example runs, its table of settings is complete."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventstore.recorders.settings import VARIABLES, RecorderSettings

PAGE = (Path(__file__).parents[3] / "docs" / "EVENTSOURCING.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def modules_of_the_page(tmp_path: Path, monkeypatch: Any) -> Iterator[list[str]]:
    """Every block of Python as the module that its first line names."""
    names = []
    for block in blocks("python"):
        name = re.match(r"# (\w+)\.py\n", block)
        assert name, f"a block does not say its file: {block[:40]}"
        names.append(name[1])
        (tmp_path / f"{name[1]}.py").write_text(block)
    monkeypatch.syspath_prepend(tmp_path)
    yield names
    for name in names:
        sys.modules.pop(name, None)


def test_the_example_runs_as_it_stands_there(
    modules_of_the_page: list[str], engine: Any, monkeypatch: Any
):
    for name, value in re.findall(r"^\$ export (\w+)=(\S+)$", PAGE, flags=re.MULTILINE):
        monkeypatch.setenv(name, value)
    # What one machine has in place of AWS.
    monkeypatch.setenv("AWS_ENDPOINT_URL", engine.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("CREATE_TABLE", "y")
    monkeypatch.setenv("ANTIPHON_RECORDER_EVENTS_TABLE", "documented-events")
    monkeypatch.setenv("ANTIPHON_RECORDER_REGIONAL_TABLE", "documented-regional")

    for name in modules_of_the_page:
        importlib.import_module(name)

    assert modules_of_the_page == ["number_porting", "two_regions"]
    stored = engine.client("dynamodb").scan(TableName="documented-events")["Items"]
    assert len(stored) == 3


def test_the_page_lists_every_setting_with_its_default():
    listed = dict(re.findall(r"^\| `(\w+)` \|([^|]*)\|", PAGE, flags=re.MULTILINE))

    fields = RecorderSettings.model_fields
    expected = {
        variable: "" if fields[name].is_required() else str(fields[name].default)
        for name, variable in VARIABLES.items()
    }
    words = {
        "AWS_ENDPOINT_URL": "AWS",
        "ANTIPHON_RECORDER_REGIONAL_TABLE": "",
        "CREATE_TABLE": "no",
    }
    assert {name: listed[name].strip() for name in VARIABLES.values()} == expected | words
