"""`antiphon up`: the regions on this machine, until Ctrl-C.

However it ends, on Ctrl-C, SIGTERM, a closed terminal or a failure, the regions are
stopped first. Local only.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from antiphon.connection import (
    DEFAULT_AWS_PORT,
    DEFAULT_BASE_PORT,
    AwsPort,
    BasePort,
    Connection,
    bearer,
)
from antiphon.homes import spread_homes
from antiphon.problems import Problem
from antiphon.scenario import Scenario, load, shipped
from antiphon.scenario_player import playing
from antiphon.signals import signals_as_interrupts, signals_ignored
from antiphon.terminal import heading, say
from infra.deploy.secret_file import secret_in
from infra.deploy.states import MEMBERS
from infra.local.regions import EngineFailed, LocalConfig, LocalRegions, PortInUse

CHECK_INTERVAL_S = 1.0
DEFAULT_REGIONS = ",".join(LocalConfig().regions)
CONSOLE = "antiphon.console"
KEY_LENGTH = 16


class Mode(StrEnum):
    """How the event table is replicated."""

    STRONG = "strong"
    EVENTUAL = "eventual"


class WanKind(StrEnum):
    """What lies between the local regions."""

    REALISTIC = "realistic"
    NONE = "none"


Regions = Annotated[
    str,
    typer.Option(
        "--regions",
        help="Three regions, separated by commas; or two; with --mode eventual up to five.",
    ),
]
Witness = Annotated[
    str | None,
    typer.Option(
        "--witness",
        help="With two regions: one that only takes part in writes of the strong tables.",
    ),
]
ModeOption = Annotated[Mode, typer.Option("--mode", help="How the event table is replicated.")]
WanOption = Annotated[
    WanKind, typer.Option("--wan", help="Round trips like those between AWS regions, or none.")
]
ScenarioOption = Annotated[
    str | None,
    typer.Option(
        "--scenario",
        metavar="FILE",
        help=f"Faults to play: a YAML file, or one of {', '.join(shipped())}.",
    ),
]


SecretFile = Annotated[
    Path | None,
    typer.Option(
        "--secret-file",
        help="Key identifiers with what this file holds; made if missing. For backup and restore.",
    ),
]
Generation = Annotated[
    int,
    typer.Option(
        "--generation", min=1, max=10_000, help="One more after each restore: see antiphon restore."
    ),
]
PackageOption = Annotated[
    Path | None,
    typer.Option(
        "--package",
        exists=True,
        dir_okay=False,
        help="Run the functions from this package, made by antiphon package, not this checkout.",
    ),
]
RequireBearer = Annotated[
    bool,
    typer.Option(
        "--require-bearer", help="Answer only who shows the key that antiphon --bearer was given."
    ),
]


def up(
    *,
    mode: ModeOption = Mode.STRONG,
    regions: Regions = DEFAULT_REGIONS,
    witness: Witness = None,
    wan: WanOption = WanKind.REALISTIC,
    scenario: ScenarioOption = None,
    secret_file: SecretFile = None,
    generation: Generation = 1,
    package: PackageOption = None,
    require_bearer: RequireBearer = False,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Start the regions on this machine and stay until Ctrl-C."""
    config = local_config(
        mode=mode,
        regions=regions,
        witness=witness,
        wan=wan,
        base_port=base_port,
        aws_port=aws_port,
    )
    config, script = with_scenario(config, scenario)
    config = replace(
        config,
        secret=_secret_in(secret_file),
        generation=generation,
        package=package,
        development_key=_development_key() if require_bearer else None,
    )
    with running_regions(config) as running:
        print_addresses(config)
        connection = Connection.open(base_port=base_port, aws_port=aws_port)
        with playing(connection, script):
            stay_until_stopped(running)


def _development_key() -> str:
    key = bearer()
    if key is None or len(key) < KEY_LENGTH:
        raise Problem(
            f"--require-bearer needs a key of at least {KEY_LENGTH} characters: set ANTIPHON_BEARER"
        )
    return key


def _secret_in(file: Path | None) -> str | None:
    """Return the secret that a file holds, made now if there is no such file."""
    if file is None:
        return None
    try:
        return secret_in(file, make=True)
    except (OSError, ValueError) as error:
        raise Problem(f"the secret in {file} cannot be read or made: {error}") from error


def local_config(
    *,
    mode: Mode = Mode.STRONG,
    regions: str,
    witness: str | None = None,
    wan: WanKind,
    base_port: int,
    aws_port: int,
) -> LocalConfig:
    """Check the options of a local run; raises Problem if they cannot work together."""
    names = tuple(name.strip() for name in regions.split(",") if name.strip())
    if witness is None and len(names) == MEMBERS - 1:
        # Any will do here: nothing runs in it.
        witness = next(name for name in LocalConfig().regions if name not in names)
    if aws_port in range(base_port, base_port + len(names) + 1):
        raise Problem(
            f"--aws-port {aws_port} is one of the ports {base_port} to {base_port + len(names)} "
            "that --base-port takes for the regions; choose another"
        )
    kind: Literal["realistic", "none"] = "realistic" if wan is WanKind.REALISTIC else "none"
    try:
        return LocalConfig(
            regions=names,
            witness=witness,
            mode=mode.value,
            wan=kind,
            base_port=base_port,
            aws_port=aws_port,
            console=CONSOLE,
        )
    except ValueError as error:
        raise Problem(str(error)) from error


def with_scenario(config: LocalConfig, name: str | None) -> tuple[LocalConfig, Scenario | None]:
    """Read the scenario that is to happen, and let its seed be that of the run."""
    if name is None:
        return config, None
    scenario = load(name, regions=config.regions)
    return replace(config, seed=scenario.seed), scenario


@contextmanager
def running_regions(config: LocalConfig) -> Iterator[LocalRegions]:
    """Start local regions and stop them however the block ends, signals included."""
    regions = LocalRegions(config, progress=lambda text: say(f"  {text}", style="dim"))
    with signals_as_interrupts():
        witness = f", and a witness in {config.witness}" if config.witness else ""
        names = ", ".join(config.regions)
        say(f"Starting {len(config.regions)} regions: {names}{witness}", style="bold")
        started_s = time.monotonic()
        try:
            regions.start()
            if config.mode == "eventual":
                first = Connection(
                    base_port=config.base_port, aws_port=config.aws_port, regions=config.regions
                )
                spread_homes(first)
            say(f"  ready after {time.monotonic() - started_s:.1f} s", style="dim")
            say(f"  watch them in a browser: {console_url(config)}")
            yield regions
        except PortInUse as error:
            raise Problem(str(error)) from error
        except EngineFailed as error:
            raise Problem(f"the local regions failed: {error}") from error
        finally:
            with signals_ignored():
                say("Stopping the regions", style="dim")
                regions.stop()


def print_addresses(config: LocalConfig) -> None:
    """Print where everything listens and what to try first."""
    connection = Connection(
        base_port=config.base_port, aws_port=config.aws_port, regions=config.regions
    )
    heading("The regions are up")
    say(f"  {'console':<14} {console_url(config)}")
    for region in config.regions:
        say(f"  {region:<14} {connection.url(region)}")
    say(f"  {'AWS endpoint':<14} {connection.aws_endpoint}   (all regions; any SDK or the AWS CLI)")
    say(f"\n  Documentation of the API: {connection.url(config.regions[0])}/docs")
    say("  In another terminal: antiphon status, antiphon feed, antiphon answers, antiphon --help")
    if (config.base_port, config.aws_port) != (DEFAULT_BASE_PORT, DEFAULT_AWS_PORT):
        say(f"  each with: --base-port {config.base_port} --aws-port {config.aws_port}")


def console_url(config: LocalConfig) -> str:
    """The address of the console, as a browser is to be given it."""
    return f"http://localhost:{config.base_port}"


def stay_until_stopped(regions: LocalRegions) -> None:
    """Wait for Ctrl-C or SIGTERM; raises EngineFailed when a child process has died."""
    never = threading.Event()
    try:
        say("\nCtrl-C stops them.", style="dim")
        while not never.wait(CHECK_INTERVAL_S):
            regions.check()
    except KeyboardInterrupt:
        say("")
