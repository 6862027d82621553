"""The form of a backup: one file, whole or not at all.

Gzip of JSON lines: what it is of, then each commit with its response items, in an order in
which they can be put back, then what was lost, then how many lines there were and their hash.
A file without its last line, or with another hash, is refused before anything is put back.
"""

import base64
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.problems import Problem
from eventstore.commits import from_item, to_image, with_binaries, with_text_binaries
from eventstore.errors import CorruptLog
from projections.regions import Topology
from projections.restoring import Kept

FORMAT = 1


class Heading(BaseModel):
    """What a backup is of.

    Attributes:
        fingerprint: of the secret; under another nobody would find the aggregates again.
        generation: that the installation had.
        topology: the regions' states; answers name who was left out.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    antiphon_backup: int = FORMAT
    taken_at: str
    regions: tuple[str, ...]
    fingerprint: str
    generation: int
    topology: Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """An answer that was given to a commit which the backed up log does not have."""

    region: str
    answer: Mapping[str, Any]


def write_backup(file: Path, heading: Heading, lines: Iterable[Kept | Lost]) -> int:
    """Write a backup and return how many commits are in it; raises Problem if it exists.

    It is there under its name only once it is whole, and for its owner alone.
    """
    if file.exists():
        raise Problem(f"{file} is there already; a backup is never written over")
    partial = file.with_name(f"{file.name}.partial")
    digest, count, commits = hashlib.sha256(), 0, 0
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as raw, gzip.open(raw, "wb", compresslevel=4) as out:
            for line in chain([heading.model_dump_json().encode()], map(_encoded, lines)):
                out.write(line + b"\n")
                digest.update(line)
                count += 1
                commits += line.startswith(b'{"commit"')
            end = {"lines": count, "sha256": digest.hexdigest()}
            out.write(orjson.dumps(end) + b"\n")
        partial.rename(file)
    except OSError as error:
        raise Problem(f"the backup cannot be written to {file}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return commits


def read_heading(file: Path) -> Heading:
    """Return what a backup is of; raises Problem if it is none, or is not whole.

    Reads all of it once, a line at a time.
    """
    digest, count, last, first = hashlib.sha256(), 0, b"", b""
    for line in _lines(file):
        if last:
            digest.update(last)
            count += 1
        first, last = first or line, line
    try:
        end = orjson.loads(last)
        whole = end["lines"] == count and end["sha256"] == digest.hexdigest()
        heading = Heading.model_validate_json(first)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise Problem(f"{file} is no whole backup of this version: take it again") from error
    if not whole:
        raise Problem(f"{file} is damaged: it has {count} lines that are not those it was made of")
    return heading


def read_lines(file: Path) -> Iterator[Kept | Lost]:
    """Yield what is in a backup whose heading was read, a line at a time.

    Raises Problem if a line is in a form unknown here.
    """
    for number, line in enumerate(_lines(file)):
        told = orjson.loads(line)
        if number == 0 or "sha256" in told:
            continue
        try:
            if "lost" in told:
                yield Lost(region=told["region"], answer=told["lost"])
            else:
                answers = {region: with_binaries(a) for region, a in told["answers"].items()}
                key = base64.b64decode(told["key"]) if "key" in told else None
                yield Kept(commit=from_item(told["commit"]), answers=answers, key=key)
        except (KeyError, CorruptLog) as error:
            raise Problem(f"line {number + 1} of {file} cannot be read: {error}") from error


def _encoded(line: Kept | Lost) -> bytes:
    if isinstance(line, Lost):
        return orjson.dumps({"lost": line.answer, "region": line.region})
    told: dict[str, Any] = {
        "commit": to_image(line.commit),
        "answers": {region: with_text_binaries(item) for region, item in line.answers.items()},
    }
    if line.key is not None:
        told["key"] = base64.b64encode(line.key).decode()
    return orjson.dumps(told)


def _lines(file: Path) -> Iterator[bytes]:
    try:
        with gzip.open(file, "rb") as lines:
            for line in lines:
                yield line.rstrip(b"\n")
    except (OSError, EOFError, zlib.error) as error:
        raise Problem(f"{file} cannot be read as a backup: {error}") from error
