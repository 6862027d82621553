"""The command `antiphon`: every command and where it lives. `--help` is its manual."""

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from antiphon.acts import acts, give_reason
from antiphon.answers import answers
from antiphon.backup import backup
from antiphon.bench import bench
from antiphon.connection import identify, work_on
from antiphon.console.command import console
from antiphon.deploy import deploy, destroy
from antiphon.deployed import deployment
from antiphon.dlq import dlq
from antiphon.feed import feed
from antiphon.forget import forget
from antiphon.get import get
from antiphon.homes import homes
from antiphon.package import package
from antiphon.problems import new_command_group
from antiphon.rebuild import rebuild
from antiphon.region import region
from antiphon.restore import restore
from antiphon.run import run
from antiphon.schemas import schemas
from antiphon.send import send
from antiphon.simulate import simulate
from antiphon.smoke import smoke
from antiphon.status import status
from antiphon.trace import trace
from antiphon.up import up
from antiphon.verify import verify
from antiphon.wan import wan

LOCAL = "On this machine"
USE = "Use a running system"
OPERATE = "Look after it"
DEPLOY = "Put it on AWS"

app = new_command_group(
    "Antiphon: Event A in, Event B out, never from stale state, in three regions at once.\n\n"
    "Start here: [bold]antiphon run[/bold] brings up three regions on this machine, plays a feed "
    "of commands into all of them and shows every answer. Every command has its own --help."
)


def _tell_version(asked: bool) -> None:  # noqa: FBT001 - as typer calls it
    if asked:
        print(f"antiphon {version('antiphon')}")
        raise typer.Exit


@app.callback()
def _antiphon(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_tell_version, is_eager=True, help="Show the version and end."
        ),
    ] = False,
    bearer: Annotated[
        str | None,
        typer.Option(
            "--bearer",
            envvar="ANTIPHON_BEARER",
            show_envvar=True,
            help="The token or development key that regions know you by; better by environment.",
        ),
    ] = None,
    on: Annotated[
        Path | None,
        typer.Option(
            "--on",
            metavar="FILE",
            envvar="ANTIPHON_ON",
            show_envvar=True,
            help="Work on the deployment of this file, as for deploy, instead of local regions.",
        ),
    ] = None,
    why: Annotated[
        str | None,
        typer.Option("--why", help="Why: kept with what an operator does, see antiphon acts."),
    ] = None,
) -> None:
    identify(bearer)
    give_reason(why)
    work_on(None if on is None else partial(deployment, on))


app.command(
    rich_help_panel=LOCAL,
    epilog="Examples: antiphon run; antiphon run --exit; antiphon run --feed my.jsonl",
)(run)
app.command(
    rich_help_panel=LOCAL, epilog="Examples: antiphon up; antiphon up --wan none --base-port 9100"
)(up)
app.add_typer(wan, name="wan", rich_help_panel=LOCAL)
app.command(
    rich_help_panel=USE,
    epilog="Examples: antiphon feed; antiphon feed my.jsonl; antiphon feed --generate 500",
)(feed)
app.command(
    rich_help_panel=USE,
    epilog="Example: antiphon send SuspendSubscriber imsi=262011234567890 reason=fraud --wait 5",
)(send)
app.add_typer(get, name="get", rich_help_panel=USE)
app.command(
    rich_help_panel=USE, epilog="Examples: antiphon answers; antiphon answers --no-follow --json"
)(answers)
app.command(
    rich_help_panel=USE, epilog="Examples: antiphon schemas; antiphon schemas --out docs/schemas"
)(schemas)
app.command(rich_help_panel=OPERATE, epilog="Example: antiphon status --json")(status)
app.command(
    rich_help_panel=OPERATE,
    epilog="Example: antiphon console --endpoint us-east-1=https://abc.execute-api.us-east-1."
    "amazonaws.com --endpoint eu-west-1=https://def.execute-api.eu-west-1.amazonaws.com",
)(console)
app.command(
    rich_help_panel=OPERATE,
    epilog="Examples: antiphon verify --settle 60; antiphon verify --repair --dry-run",
)(verify)
app.command(
    rich_help_panel=OPERATE,
    epilog="Examples: antiphon trace COMMIT; antiphon trace prov-0001 --search --json",
)(trace)
app.command(rich_help_panel=OPERATE, epilog="Example: antiphon acts --json")(acts)
app.add_typer(dlq, name="dlq", rich_help_panel=OPERATE)
app.add_typer(region, name="region", rich_help_panel=OPERATE)
app.add_typer(homes, name="homes", rich_help_panel=OPERATE)
app.command(
    rich_help_panel=OPERATE,
    epilog="Examples: antiphon simulate --runs 1000; antiphon simulate --seed 42 --runs 1",
)(simulate)
app.command(
    rich_help_panel=OPERATE, epilog="Examples: antiphon bench --quick; antiphon bench --json"
)(bench)
app.command(
    rich_help_panel=OPERATE,
    epilog="Examples: antiphon rebuild subscriber-view --units-per-second 200; "
    "antiphon rebuild activity --region eu-west-1 --status",
)(rebuild)
app.command(rich_help_panel=OPERATE, epilog="Example: antiphon backup antiphon-2026-11-24.gz")(
    backup
)
app.command(
    rich_help_panel=OPERATE, epilog="Example: antiphon restore antiphon-2026-11-24.gz --dry-run"
)(restore)
app.command(
    rich_help_panel=OPERATE,
    epilog="Examples: antiphon forget 262011234567890; antiphon forget 262011234567890 --yes",
)(forget)
app.command(
    rich_help_panel=DEPLOY, epilog="Examples: antiphon package; antiphon package --for here"
)(package)
app.command(
    rich_help_panel=DEPLOY,
    epilog="Examples: antiphon deploy antiphon.yaml; antiphon deploy antiphon.yaml --dry-run",
)(deploy)
app.command(
    rich_help_panel=DEPLOY, epilog="Examples: antiphon smoke antiphon.yaml; antiphon smoke"
)(smoke)
app.command(
    rich_help_panel=DEPLOY,
    epilog="Example: antiphon destroy antiphon.yaml --unprotect antiphon-events "
    "--unprotect antiphon-control --unprotect antiphon-keys",
)(destroy)
