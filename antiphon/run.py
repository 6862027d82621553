"""`antiphon run`: the whole of Antiphon once through, on this machine. What `make run` calls.

Starts the regions, three by default, plays a feed into all of them at once, shows every answer,
checks everything, and stays up. Leaves no process behind, however it ends.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from antiphon.connection import DEFAULT_AWS_PORT, DEFAULT_BASE_PORT, AwsPort, BasePort, Connection
from antiphon.feed import play_and_report
from antiphon.feed_plan import bundled_lines, lines_of_file, plan_feed
from antiphon.player import Pace
from antiphon.problems import BAD_VERDICT
from antiphon.scenario_player import playing
from antiphon.terminal import heading, say
from antiphon.up import (
    DEFAULT_REGIONS,
    Mode,
    ModeOption,
    PackageOption,
    Regions,
    ScenarioOption,
    WanKind,
    WanOption,
    Witness,
    local_config,
    print_addresses,
    running_regions,
    stay_until_stopped,
    with_scenario,
)
from antiphon.verify import DEFAULT_SETTLE_S, print_audit, settled_verdict


def run(
    *,
    exit_: Annotated[
        bool, typer.Option("--exit", help="End after the verdict; non-zero if it is bad.")
    ] = False,
    feed: Annotated[
        Path | None, typer.Option("--feed", help="A file of commands instead of the bundled one.")
    ] = None,
    mode: ModeOption = Mode.STRONG,
    regions: Regions = DEFAULT_REGIONS,
    witness: Witness = None,
    wan: WanOption = WanKind.REALISTIC,
    scenario: ScenarioOption = None,
    package: PackageOption = None,
    base_port: BasePort = DEFAULT_BASE_PORT,
    aws_port: AwsPort = DEFAULT_AWS_PORT,
) -> None:
    """Start the regions, play a feed into all of them, verify, and stay up."""
    config = local_config(
        mode=mode,
        regions=regions,
        witness=witness,
        wan=wan,
        base_port=base_port,
        aws_port=aws_port,
    )
    config, script = with_scenario(replace(config, package=package), scenario)
    lines = bundled_lines() if feed is None else lines_of_file(feed)
    with running_regions(config) as running:
        connection = Connection.open(base_port=base_port, aws_port=aws_port)
        plan = plan_feed(lines, regions=connection.regions)
        heading(f"Playing {plan.title} into {len(connection.regions)} regions at once")
        with playing(connection, script) as faults:
            right = play_and_report(connection, plan, pace=Pace(), as_json=False)
            if faults is not None:
                faults.finish()
        heading("Verifying: the log against the read models and the answers of every region")
        verdict = settled_verdict(connection, settle_s=DEFAULT_SETTLE_S)
        print_audit(verdict)
        if not exit_:
            print_addresses(config)
            stay_until_stopped(running)
    if not (right and verdict.good):
        say("The verdict is bad.", style="bold red")
        raise typer.Exit(BAD_VERDICT)
