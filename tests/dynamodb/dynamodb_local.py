"""AWS's own DynamoDB Local, for those who have Java and npm: fetched, run, and gone at the end.

Its licence lets everyone use it and forbids handing it on, so the project neither contains nor
ships it: it is fetched into the user's cache when tests first want it.
"""

import hashlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
from pathlib import Path

_PACKAGE = "amplify-dynamodb-simulator@2.9.30"
_SHA256 = "3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9"
_INSIDE = "package/emulator/"
_LAUNCHER = Path(__file__).with_name("OnLoopback.java")
_JAVA = 17
_PROBE_S = 30
_FETCH_S = 180
_START_S = 90
_STOP_S = 10


class Absent(Exception):
    """DynamoDB Local cannot be had here; the message says what is missing."""


def fetched() -> Path:
    """Return the directory of DynamoDB Local, fetching it if this user never did.

    Raises:
        Absent: no Java, no npm, or npm cannot fetch it.

    """
    # The launcher is compiled beside the jar, so another launcher is another directory.
    version = hashlib.sha256(_SHA256.encode() + _LAUNCHER.read_bytes()).hexdigest()[:12]
    directory = Path.home() / ".cache" / "antiphon-tests" / f"dynamodb-local-{version}"
    if shutil.which("java") is None:
        raise Absent("there is no java")
    if not directory.is_dir():
        _fetch(directory)
    return directory


def _fetch(directory: Path) -> None:
    _check_java()
    if (npm := shutil.which("npm")) is None:
        raise Absent("there is no npm to fetch it with")
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent) as temporary:
        made = Path(temporary) / "made"
        made.mkdir()
        _run([npm, "pack", _PACKAGE, "--loglevel=error", "--pack-destination", temporary], _FETCH_S)
        [packed] = Path(temporary).glob("*.tgz")
        if hashlib.sha256(packed.read_bytes()).hexdigest() != _SHA256:
            raise Absent(f"what npm fetched is not the {_PACKAGE} that was checked")
        with tarfile.open(packed) as archive:
            wanted = [one for one in archive if one.isfile() and one.name.startswith(_INSIDE)]
            for member in wanted:
                member.name = member.name.removeprefix(_INSIDE)
            archive.extractall(made, members=wanted, filter="data")
        compiler = ["java", "--module", "jdk.compiler/com.sun.tools.javac.Main"]
        _run([*compiler, "-cp", _class_path(made), "-d", str(made), str(_LAUNCHER)], _PROBE_S)
        try:
            made.rename(directory)
        except OSError:
            # Another run of the tests was first.
            if not directory.is_dir():
                raise


def _check_java() -> None:
    told = _run(["java", "--list-modules"], _PROBE_S)
    found = re.search(r"^jdk\.compiler@(\d+)", told, re.MULTILINE)
    if found is None or int(found[1]) < _JAVA:
        raise Absent(f"java is not a JDK of version {_JAVA} or newer")


def _run(command: list[str], within_s: float) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - fixed commands
            command, capture_output=True, check=True, text=True, timeout=within_s
        )
    except (OSError, subprocess.SubprocessError) as error:
        told = str(getattr(error, "stderr", "") or error).strip().splitlines()
        name = " ".join([Path(command[0]).name, *command[1:3]])
        raise Absent(f"{name} failed: {told[0] if told else 'it says nothing'}") from error
    return done.stdout


def _class_path(directory: Path) -> str:
    return f"{directory}:{directory / 'DynamoDBLocal.jar'}:{directory / 'DynamoDBLocal_lib'}/*"


class DynamoDBLocal:
    """One running DynamoDB Local, in memory. Regions are separate, as they are at AWS."""

    def __init__(self, directory: Path, *, log: Path) -> None:
        """Start it and wait until it serves; raise RuntimeError if it does not come up."""
        libraries = directory / "DynamoDBLocal_lib"
        virtual_machine = [f"-Djava.library.path={libraries}", "-Xmx512m", "-XX:+UseSerialGC"]
        # Compiling less makes it start in half the time, and tests are over soon.
        virtual_machine += ["-XX:TieredStopAtLevel=1", "-cp", _class_path(directory)]
        with log.open("wb") as errors:
            # The open standard input is what keeps it alive: it ends with this process.
            self._process = subprocess.Popen(  # noqa: S603 - fixed command
                ["java", *virtual_machine, "OnLoopback", "-disableTelemetry", "-inMemory"],  # noqa: S607 - the user's java
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=log.parent,
            )
        impatience = threading.Timer(_START_S, self._process.kill)
        impatience.start()
        try:
            self.url = f"http://127.0.0.1:{self._port()}"
        except RuntimeError as error:
            self.stop()
            raise RuntimeError(f"{error}; its log: {log.read_text(errors='replace')}") from None
        finally:
            impatience.cancel()

    def _port(self) -> int:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if found := re.match(rb"port (\d+)$", line.strip()):
                return int(found[1])
        raise RuntimeError("DynamoDB Local did not start")

    def stop(self) -> None:
        """End it, and wait until it is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
