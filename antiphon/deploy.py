"""`antiphon deploy` and `antiphon destroy`: a system on AWS, as a file describes it, and its end.

Repeating either goes on where it stopped and changes nothing that is as it should be. Credentials
and profile are those of the environment, as for the AWS CLI.
"""

from pathlib import Path
from typing import Annotated

import typer
from boto3.session import Session

from antiphon.problems import Problem
from antiphon.terminal import say
from infra.deploy.aws import clients_of
from infra.deploy.package import PackageFailed, build_package
from infra.deploy.removal import Removal
from infra.deploy.rollout import Rollout, account_of
from infra.deploy.stacks import StackFailed
from infra.deploy.system import Refused, System, system_of

SystemFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="What is deployed; see docs/DEPLOY.md.")
]


def deploy(
    file: SystemFile,
    *,
    region: Annotated[
        str | None, typer.Option("--region", help="Deploy to this region alone.")
    ] = None,
    package: Annotated[
        Path | None,
        typer.Option("--package", exists=True, dir_okay=False, help="Deploy this package."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only find out whether it could be done.")
    ] = False,
) -> None:
    """Make or change the stacks of a system: the global one, then region after region."""
    try:
        system = system_of(file)
        _check_region(system, region)
        code = b"" if dry_run else _code(system, package)
        rollout = Rollout(
            system=system, clients=clients_of(Session()), code=code, progress=_progress
        )
        if dry_run:
            say(f"could be deployed, to account {rollout.check()}")
        else:
            rollout.run(region)
            say(f"deployed; see whether it works: antiphon smoke {file}", style="green")
    except (Refused, PackageFailed, StackFailed) as error:
        raise Problem(str(error)) from error


def destroy(
    file: SystemFile,
    *,
    unprotect: Annotated[
        list[str] | None,
        typer.Option("--unprotect", metavar="TABLE", help="A protected table that may go."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a system with all its data; refused while a table is protected that is not named."""
    try:
        system, clients = system_of(file), clients_of(Session())
        account = account_of(system, clients)
        removal = Removal(system=system, clients=clients, account=account, progress=_progress)
        regions = ", ".join(system.regions)
        if not yes:
            typer.confirm(f"Delete all of Antiphon in {regions} of account {account}?", abort=True)
        removal.run(unprotect or ())
    except (Refused, StackFailed) as error:
        raise Problem(str(error)) from error
    say("destroyed")


def _check_region(system: System, region: str | None) -> None:
    if region is not None and region not in system.regions:
        raise Refused(f"there is no region {region}; there are {', '.join(system.regions)}")


def _code(system: System, package: Path | None) -> bytes:
    if package is not None:
        return package.read_bytes()
    _progress(f"building the package for {system.architecture}")
    built = build_package(system.architecture, include=system.include)
    _progress(f"{len(built.content) / 1e6:.1f} MB")
    return built.content


def _progress(text: str) -> None:
    say(f"  {text}", style="dim")
