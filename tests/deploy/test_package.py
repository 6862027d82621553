"""The functions' package: complete by itself, of one architecture, and the same every time."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from handlers.clients import Clients
from infra.deploy.package import (
    MAX_UNPACKED_BYTES,
    SERVICES,
    Package,
    PackageFailed,
    build_package,
)
from tests.handlers.test_settings import VALID

AARCH64 = 183  # e_machine of an ELF file

# Runs with the standard library and the package, and nothing else to import from.
ALONE = """
import json, os, sys
sys.path.append(sys.argv[1])
given = json.loads(sys.argv[2])
import handlers.entry
from handlers.clients import Clients
for function, environment in given.items():
    handlers.entry.build_handler(environment, "us-east-1")
os.environ.update(given["commands"])
assert callable(handlers.entry.handler)
from handlers.settings import EdgeBounds
clients = Clients(EdgeBounds())
for service in ("dynamodb", "sqs", "events", "functions", "kms", "s3"):
    getattr(clients, service)("eu-west-1")
foreign = [
    name for name, module in list(sys.modules.items())
    if (where := getattr(module, "__file__", None)) and not where.startswith(
        (sys.argv[1], sys.base_prefix)
    )
]
assert not foreign, foreign
print("built", *given)
"""


@pytest.fixture(scope="module")
def here() -> Package:
    """The package for this machine and its Python."""
    return build_package()


def names(package: Package) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(package.content)).namelist()


def environment_of(function: str) -> dict[str, str]:
    return VALID | {"ANTIPHON_FUNCTION": function}


def test_every_function_is_built_from_the_package_alone(here, tmp_path):
    zipfile.ZipFile(io.BytesIO(here.content)).extractall(tmp_path / "package")
    functions = ("commands", "command_queue", "projector", "responder", "sweeper", "queries")
    given = {function: environment_of(function) for function in (*functions, "dead_letters")}
    ran = subprocess.run(  # noqa: S603 - this Python, isolated: no site packages, no checkout
        [sys.executable, "-I", "-S", "-c", ALONE, str(tmp_path / "package"), json.dumps(given)],
        cwd=tmp_path,
        env={
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["built", *functions, "dead_letters"]


def test_the_same_checkout_gives_the_same_bytes(here):
    again = build_package()
    assert again.content == here.content


def test_it_is_for_the_architecture_that_was_asked_for():
    package = build_package("arm64")
    archive = zipfile.ZipFile(io.BytesIO(package.content))
    machines = {
        name: int.from_bytes(archive.read(name)[18:20], "little")
        for name in archive.namelist()
        if ".so" in Path(name).suffixes
    }
    assert len(machines) >= 4
    assert set(machines.values()) == {AARCH64}
    # Of the runtime's Python, or of any.
    assert all("cpython-312-" in name or ".abi3." in name for name in machines)


def test_it_has_what_functions_need_and_nothing_else(here):
    listed = names(here)
    top = {name.split("/")[0] for name in listed}
    assert {"domain", "eventstore", "projections", "handlers"} <= top
    # Of the command line, the local regions and the tests.
    assert not {"antiphon", "infra", "tests", "typer", "aiohttp", "ministack", "bin"} & top
    assert not [name for name in listed if name.endswith((".pyc", "/RECORD", "/direct_url.json"))]
    described = {
        name.split("/")[2]
        for name in listed
        if name.startswith("botocore/data/") and name.count("/") > 2
    }
    assert described == SERVICES
    # Small enough to be uploaded without a bucket, and far from Lambda's bound.
    assert len(here.content) < 20_000_000
    assert here.unpacked_bytes < MAX_UNPACKED_BYTES // 4


def test_every_service_that_functions_have_clients_of_is_described_in_it():
    of_functions = {
        name for name in vars(Clients) if not name.startswith("_") and name != "functions"
    }
    assert of_functions | {"lambda", "sts"} == SERVICES


def test_modules_of_ones_own_may_be_in_it_but_not_in_place_of_its_own(tmp_path):
    (tmp_path / "sims").mkdir()
    (tmp_path / "sims" / "__init__.py").write_text("")
    (tmp_path / "domain").mkdir()
    with pytest.raises(PackageFailed, match="domain has the name of what the package has already"):
        build_package(include=[tmp_path])
    with pytest.raises(PackageFailed, match="is not a directory"):
        build_package(include=[tmp_path / "nothing"])
