"""Settings are checked at the start, and the docs list every bound with unit and default."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from eventstore.bounds import Bounds
from handlers.settings import EdgeBounds, Settings
from projections.bounds import ReadBounds

DOC = Path(__file__).resolve().parents[2] / "docs" / "SETTINGS.md"
VALID = {
    "ANTIPHON_FUNCTION": "commands",
    "ANTIPHON_REGIONS": "us-east-1, eu-west-1,ap-south-1",
    "ANTIPHON_MODE": "STRONG",
    "ANTIPHON_SECRET": "a secret of the tests",
    "ANTIPHON_ACCOUNT": "000000000000",
    "ANTIPHON_EVENTS_TABLE": "events",
    "ANTIPHON_VIEWS_TABLE": "views",
    "ANTIPHON_RESPONSES_TABLE": "responses",
    "ANTIPHON_SNAPSHOTS_TABLE": "snapshots",
    "ANTIPHON_LETTERS_TABLE": "letters",
    "ANTIPHON_CONTROL_TABLE": "control",
    "ANTIPHON_KEYS_TABLE": "keys",
    "ANTIPHON_KMS_KEY": "alias/keys",
    "ANTIPHON_BUS": "bus",
    "ANTIPHON_LANE_QUEUE": "lane",
    "ANTIPHON_ACKS_QUEUE": "acks",
    "ANTIPHON_DEAD_COMMANDS_QUEUE": "dead",
}
BOUNDS: list[type[BaseModel]] = [Bounds, ReadBounds, EdgeBounds]


def test_a_full_environment_is_read():
    settings = Settings.of(VALID | {"ANTIPHON_LANE_MS": "150"}, region="eu-west-1")

    assert settings.regions == ("us-east-1", "eu-west-1", "ap-south-1")
    assert (settings.lane_ms, settings.append_tries) == (150, 32)
    assert "a secret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ANTIPHON_FUNCTION", "mailer", "function"),
        ("ANTIPHON_MODE", "WEAK", "mode"),
        ("ANTIPHON_SECRET", "short", "at least 16 bytes"),
        ("ANTIPHON_REGIONS", "us-east-1,us-east-1", "twice"),
        ("ANTIPHON_REGIONS", "us-east-1,us-west-2", "does not list this region"),
        ("ANTIPHON_ACCOUNT", "12", "account"),
        ("ANTIPHON_APPEND_TRIES", "0", "append_tries"),
        ("ANTIPHON_APPEND_S", "soon", "append_s"),
        ("ANTIPHON_ANSWER_KEPT_S", "60", "answer_kept_s"),
        ("ANTIPHON_COMMITS_A_WRITE", "100", "commits_a_write"),
        ("ANTIPHON_STATE_BYTES", "300000", "state_bytes"),
    ],
)
def test_a_setting_that_is_not_valid_is_named(name: str, value: str, told: str):
    with pytest.raises(ValidationError, match=told):
        Settings.of(VALID | {name: value}, region="eu-west-1")


@pytest.mark.parametrize("name", sorted(VALID))
def test_a_setting_that_is_missing_is_named(name: str):
    rest = {key: value for key, value in VALID.items() if key != name}

    with pytest.raises(ValidationError, match=name.removeprefix("ANTIPHON_").lower()):
        Settings.of(rest, region="eu-west-1")


def rows() -> dict[str, tuple[str, str]]:
    found = re.findall(r"^\| `(ANTIPHON_\w+)` \| (.+?) \| (.+?) \|$", DOC.read_text(), re.MULTILINE)
    return {name: (default, meaning) for name, default, meaning in found}


def test_the_docs_list_every_bound_with_its_default_and_meaning():
    expected: dict[str, Any] = {
        f"ANTIPHON_{name.upper()}": (str(field.default), field.description)
        for bounds in BOUNDS
        for name, field in bounds.model_fields.items()
    }

    assert rows() == expected
