"""A function starts with what it uses: nothing of an operator's, and no client of boto3's own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from botocore.loaders import Loader
from botocore.session import get_session

from handlers import entry
from handlers.service_models import SERVICES, read_fast
from handlers.settings import Settings
from tests.handlers.test_settings import VALID

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = get_args(Settings.model_fields["function"].annotation)
# What operators use, what only documents the API, and what costs a start more than it brings.
_OF_NO_START = {
    "boto3",
    "s3transfer",
    "pydantic_settings",
    "handlers.openapi",
    "projections.rebuild",
    "projections.checkpoints",
    "projections.removal",
    "projections.draining",
    "projections.restoring",
}
_TELL = """
import json, sys
from handlers.entry import build_handler
build_handler(json.loads(sys.argv[1]), "us-east-1")
sys.stdout.write("\\n".join(sys.modules))
"""


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_function_builds_what_it_needs_before_its_first_event(
    function: str, monkeypatch: pytest.MonkeyPatch
):
    built: dict[str, object] = {}
    kept = entry.Dependencies

    def keep(*args: object) -> object:
        deps = kept(*args)  # type: ignore[arg-type]
        built["deps"] = deps
        return deps

    monkeypatch.setattr(entry, "Dependencies", keep)

    entry.build_handler(VALID | {"ANTIPHON_FUNCTION": function}, "us-east-1")

    module = sys.modules[f"handlers.{function}"]
    assert set(module.NEEDS) <= vars(built["deps"]).keys()


@pytest.mark.parametrize("function", ["commands", "queries"])
def test_a_function_imports_nothing_that_it_does_not_use(function: str):
    environment = json.dumps(VALID | {"ANTIPHON_FUNCTION": function})
    told = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", _TELL, environment],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )

    assert not _OF_NO_START & set(told.stdout.split())


@pytest.mark.parametrize("service", SERVICES)
def test_services_are_described_as_botocore_describes_them(service: str):
    session = get_session()
    read_fast(session)

    fast = session.get_component("data_loader").load_service_model(service, "service-2")

    assert fast == Loader().load_service_model(service, "service-2")


def test_models_of_ones_own_are_looked_for_where_botocore_looks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_DATA_PATH", "/of/ones/own")
    session = get_session()
    usual = session.get_component("data_loader").search_paths

    read_fast(session)

    assert session.get_component("data_loader").search_paths == usual
    assert usual[0] == "/of/ones/own"
