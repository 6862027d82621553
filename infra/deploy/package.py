"""The functions' package: what Lambda loads, and nothing else.

The four packages of the functions and the locked versions of what they import, as wheels of one
architecture and one Python. The same checkout gives the same bytes, wherever it is built. boto3
is in it although Lambda has one: Lambda's is exchanged without notice, and the functions call
parts of botocore that only the locked version was tested with. Its descriptions of services are
left out but for those that functions call, which are most of its size.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PACKAGES = ("domain", "eventstore", "projections", "handlers")
# Of infra/sam/region.yaml.
RUNTIME = "3.12"
# Lambda's Amazon Linux 2023 has glibc 2.34.
_PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
ARCHITECTURES = tuple(_PLATFORMS)
# As in handlers/clients.py; and sts, by which botocore can take on a role.
SERVICES = frozenset({"dynamodb", "sqs", "events", "kms", "lambda", "s3", "sts"})
# What installing leaves behind, which tells of this machine or is of no use without a user.
_LEFT_BEHIND = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json"})
# Lambda's bound of everything in a package, unpacked.
MAX_UNPACKED_BYTES = 262_144_000
_INSTALL_TIMEOUT_S = 300


class PackageFailed(Exception):
    """The package cannot be built; says why."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """A built package.

    Attributes:
        content: the zip archive.
        unpacked_bytes: what it takes on Lambda's disk.
    """

    content: bytes
    unpacked_bytes: int


def build_package(architecture: str | None = None, *, include: Sequence[Path] = ()) -> Package:
    """Build the package for Lambda on an architecture, or for this machine and its Python.

    Args:
        architecture: one of ARCHITECTURES; None is this machine, where the local regions run it.
        include: directories of packages or modules of your own, such as extensions.

    Raises: PackageFailed.

    """
    with tempfile.TemporaryDirectory(prefix="antiphon-package-") as made:
        own, folder = Path(made) / "own", Path(made) / "package"
        for name in PACKAGES:
            _copy(PROJECT / name, own / name)
        # Before anything is downloaded: what cannot be included ends it.
        for directory in include:
            _copy_all(directory, own)
        _install(folder, architecture)
        _copy_all(own, folder)
        return _zipped(folder)


def _install(folder: Path, architecture: str | None) -> None:
    """Install the locked dependencies as wheels; nothing is built, or run, of theirs."""
    target = (
        ["--python", sys.executable]
        if architecture is None
        else ["--python-platform", _PLATFORMS[architecture], "--python-version", RUNTIME]
    )
    words = [_uv(), "pip", "install", "--quiet", "--target", str(folder), *target]
    words += ["--only-binary", ":all:", "--no-compile-bytecode", "--link-mode", "copy"]
    # The lock's versions and hashes; the project's own list says which of them.
    words += ["--constraints", "requirements.lock", "--requirements", "pyproject.toml"]
    try:
        done = subprocess.run(  # noqa: S603 - a program of this project's environment, no shell
            words,
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=_INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PackageFailed(
            f"the dependencies were not there after {_INSTALL_TIMEOUT_S} s; try again"
        ) from error
    if done.returncode:
        raise PackageFailed(f"the dependencies cannot be installed: {done.stderr.strip()}")


def _uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise PackageFailed("uv is needed to build the package; `make setup` installs it")
    return found


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"))


def _copy_all(directory: Path, folder: Path) -> None:
    """Copy what a directory has into the package. Raises: PackageFailed if that is there."""
    if not directory.is_dir():
        raise PackageFailed(f"{directory} is not a directory of modules to include")
    for entry in sorted(directory.iterdir()):
        if entry.name == "__pycache__" or entry.name.startswith("."):
            continue
        if (folder / entry.name).exists():
            raise PackageFailed(f"{entry} has the name of what the package has already")
        if entry.is_dir():
            _copy(entry, folder / entry.name)
        else:
            shutil.copyfile(entry, folder / entry.name)


def _zipped(folder: Path) -> Package:
    """Zip a folder such that equal files give equal bytes: sorted, undated, plain rights."""
    archive, unpacked = io.BytesIO(), 0
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as into:
        for file in _wanted(folder):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix())
            entry.compress_type = zipfile.ZIP_DEFLATED
            # Made by Unix whatever this machine is: the rights below are Unix's.
            entry.create_system = 3
            entry.external_attr = (0o755 if ".so" in file.suffixes else 0o644) << 16
            content = file.read_bytes()
            unpacked += len(content)
            into.writestr(entry, content)
    if unpacked > MAX_UNPACKED_BYTES:
        raise PackageFailed(
            f"Lambda takes {MAX_UNPACKED_BYTES} bytes unpacked; these are {unpacked}"
        )
    return Package(content=archive.getvalue(), unpacked_bytes=unpacked)


def _wanted(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        where = file.relative_to(folder).parts
        if not file.is_file() or where[0] in {"bin", ".lock"} or "__pycache__" in where:
            continue
        if where[0].endswith(".dist-info") and file.name in _LEFT_BEHIND:
            continue
        if where[:2] == ("botocore", "data") and not _is_called(where[2:]):
            continue
        yield file


def _is_called(where: Sequence[str]) -> bool:
    """Whether a file of botocore's data is of a service that functions call, or of all."""
    described = len(where) > 1
    return (not described or where[0] in SERVICES) and where[-1] != "examples-1.json"
