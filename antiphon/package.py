"""`antiphon package`: build what the functions are made of, for Lambda or for this machine.

The same checkout gives the same bytes. Needs the checkout, uv and the package registry, or what
of it is already here; nothing of what it packs is run.
"""

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from antiphon.problems import Problem
from antiphon.terminal import say
from infra.deploy.package import PackageFailed, build_package


class For(StrEnum):
    """What a package is built for."""

    ARM64 = "arm64"
    X86_64 = "x86_64"
    HERE = "here"


Include = Annotated[
    list[Path] | None,
    typer.Option("--include", help="A directory of modules of your own, such as extensions."),
]


def package(
    *,
    for_: Annotated[
        For,
        typer.Option("--for", help="Lambda's architecture, or this machine, for antiphon up."),
    ] = For.ARM64,
    include: Include = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The file; build/antiphon-FOR.zip if left out.")
    ] = None,
) -> None:
    """Build the functions' package."""
    file = out or Path("build") / f"antiphon-{for_.value}.zip"
    try:
        built = build_package(None if for_ is For.HERE else for_.value, include=include or ())
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(built.content)
    except (PackageFailed, OSError) as error:
        raise Problem(f"no package was built: {error}") from error
    digest = hashlib.sha256(built.content).hexdigest()
    say(f"{file}: {len(built.content) / 1e6:.1f} MB, {built.unpacked_bytes / 1e6:.1f} MB unpacked")
    say(f"sha256 {digest}", style="dim")
