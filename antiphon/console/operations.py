"""What an operator can do here: commands of the command line, run as they are.

Nothing is done in a second way: a button runs the command that it shows. Only the commands
below, each argument of a known form, without a shell. One that is left (its page is closed) is
ended; all of them may be interrupted and go on when they are begun again.
"""

import asyncio
import re
import shlex
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import orjson

from antiphon.console.deployed import DeployedSettings
from antiphon.console.settings import ConsoleSettings
from eventstore.commits import COMMIT_ID

# Operations at a time; each is a process.
MOST_AT_ONCE = 4
MAX_LINE_BYTES = 8 * 1024 * 1024

_LETTER = re.compile(r"[a-z][a-z-]{0,30}\.[A-Za-z0-9._-]{1,200}")
_COMMIT = re.compile(COMMIT_ID)
_IDENTIFIER = re.compile(r"[\x21-\x2c\x2e-\x7e][\x21-\x7e]{0,127}")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_SENTENCE = re.compile(r"[^\x00-\x1f-][^\x00-\x1f]{0,199}")

Settings = ConsoleSettings | DeployedSettings

# What each operation takes, by name, and the words that it runs.
_KINDS: Mapping[str, tuple[str, ...]] = {
    "verify": ("verify", "--json", "--settle", "30"),
    "trace": ("trace", "{commit}", "--json"),
    "find": ("trace", "{identifier}", "--search", "--json"),
    "letters": ("dlq", "list", "--json"),
    "letter": ("dlq", "show", "{letter}", "--region", "{region}", "--json"),
    "replay": ("dlq", "replay", "{letter}", "--region", "{region}", "--json"),
    "drop": (
        "dlq",
        "drop",
        "{letter}",
        "--region",
        "{region}",
        "--reason",
        "{reason}",
        "--yes",
        "--json",
    ),
    "play": ("wan", "play", "{scenario}"),
    "drain": ("region", "drain", "{region}"),
    "undrain": ("region", "undrain", "{region}"),
    "rebuild": ("rebuild", "{projection}", "--region", "{region}", "--yes"),
    "rebuild-status": ("rebuild", "{projection}", "--status", "--json"),
    "rebuild-abort": ("rebuild", "{projection}", "--region", "{region}", "--abort"),
}
# The network of a deployment is nobody's to break.
_LOCAL = frozenset({"play"})
_FORMS = {
    "letter": _LETTER,
    "commit": _COMMIT,
    "identifier": _IDENTIFIER,
    "projection": _NAME,
    "scenario": _NAME,
    "reason": _SENTENCE,
}


class NotPossible(ValueError):
    """An operation that there is not, or an argument that is none."""


class TooMany(Exception):
    """As many operations as are run at a time are running."""


def words_of(kind: str, body: bytes, settings: Settings) -> list[str]:
    """The words of the command that an operation runs, without where it is run.

    Args: body: its arguments as a JSON object; nothing for an operation that takes none.
    Raises: NotPossible.
    """
    try:
        arguments = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise NotPossible(f"the arguments are not JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise NotPossible("the arguments of an operation are an object")
    here = [one for one in _KINDS if isinstance(settings, ConsoleSettings) or one not in _LOCAL]
    if kind not in here:
        raise NotPossible(f"there is no operation {kind!r}; there are: {', '.join(here)}")
    return [
        _argument(word[1:-1], arguments, settings) if word.startswith("{") else word
        for word in _KINDS[kind]
    ]


def _argument(name: str, arguments: Mapping[str, Any], settings: Settings) -> str:
    value = arguments.get(name)
    if not isinstance(value, str):
        raise NotPossible(f"{name} is missing, or no text")
    if name == "region":
        if value not in settings.regions:
            raise NotPossible(f"{value!r} is not one of {', '.join(settings.regions)}")
    elif not _FORMS[name].fullmatch(value):
        raise NotPossible(f"{value!r} is no {name}")
    return value


class Operations:
    """Runs operations, a few at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running = 0

    async def run(self, words: list[str]) -> AsyncGenerator[dict[str, object], None]:
        """Run a command: what it is, each line that it says, then its exit status.

        Raises: TooMany, before anything is begun.
        """
        if self._running >= MOST_AT_ONCE:
            raise TooMany(f"{MOST_AT_ONCE} operations are running; wait for one of them")
        self._running += 1
        try:
            yield {"command": shlex.join(["antiphon", *self._before(), *words])}
            process = await self._begin(words)
            try:
                assert process.stdout is not None
                async for line in process.stdout:
                    yield {"line": line.decode(errors="replace").rstrip("\n")}
                yield {"ended": await process.wait()}
            finally:
                with suppress(ProcessLookupError):
                    process.terminate()
        finally:
            self._running -= 1

    def _before(self) -> Sequence[str]:
        """The words before those of a command: which deployment it is of."""
        assert self._settings.operations is not None, "without a file nothing is run"
        return self._settings.operations

    def _ports(self, command: str) -> Sequence[str]:
        if not isinstance(self._settings, ConsoleSettings):
            return ()
        aws = ("--aws-port", str(self._settings.aws_port))
        return aws if command == "wan" else (*aws, "--base-port", str(self._settings.base_port))

    async def _begin(self, words: list[str]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            # Unbuffered: each line is shown when it is said.
            "-u",
            "-m",
            "antiphon",
            *self._before(),
            *words,
            *self._ports(words[0]),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=MAX_LINE_BYTES,
        )
