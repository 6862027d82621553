"""How the way of one command is drawn: a line for each step, with a bar from its cause to it.

Says whose clocks the times are, and marks what two clocks tell differently.
"""

from collections.abc import Sequence

from rich.text import Text

from antiphon.letters import Found, moment
from antiphon.terminal import heading, milliseconds, output, print_json, print_table, say
from antiphon.tracing import Stage, Trace
from eventstore.commits import Commit

WIDTH = 44
BAR = "━"
POINT = "╸"
STYLES = {
    "came in": "cyan", "decided": "cyan", "committed": "cyan", "arrived": "blue",
    "applied": "green", "acknowledged": "magenta", "answer built": "yellow",
    "published": "bold yellow",
}  # fmt: skip
CLOCKS = "Times are by the clock of the region named, and the clocks of regions differ a little."


def print_trace(told: Trace, letters: Sequence[Found]) -> None:
    """Print the way of a command, what is missing, and the dead letters about it."""
    command = f"{told.type} {told.command_id} of {told.producer}"
    say(f"{command}: {told.outcome}, sequence {told.sequence}", style="bold")
    say(f"  commit {told.commit}, correlation id {told.correlation_id}")
    if told.traceparent:
        say(f"  traceparent {told.traceparent}")
    say(f"  {_in_short(told)}")
    output.print()
    _print_stages(told.stages)
    if told.missing or letters:
        heading("Missing")
        for sentence in told.missing:
            say(f"  {sentence}", style="yellow")
        for one in letters:
            told_of = f"{one.letter.letter_id} in {one.region}: {one.letter.error}"
            say(f"  a dead letter is about it, {told_of}", style="red")
    output.print()
    say(CLOCKS, style="dim")


def print_found(found: Sequence[Commit], *, most: int, as_json: bool) -> None:
    """Print which commits a search has found; one of them can be traced."""
    rows = [
        {
            "commit": one.commit_id,
            "type": one.command.type,
            "command_id": one.command.command_id,
            "producer": one.command.producer,
            "origin": one.origin,
            "recorded_at": moment(one.recorded_at_ms),
        }
        for one in found[:most]
    ]
    if as_json:
        print_json(rows)
        return
    print_table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    more = f", of more than {most}" if len(found) > most else ""
    say(f"Trace one of these{more} by its commit.")


def _in_short(told: Trace) -> str:
    came_in = f"came in at {told.origin}, {moment(told.came_in_at_ms)}"
    if told.published_at_ms is None:
        return f"{came_in}, not answered as far as is known"
    took = milliseconds(max(told.published_at_ms - told.came_in_at_ms, 0))
    return f"{came_in}; answered after {took}, on the bus of {told.answering}"


def _print_stages(stages: Sequence[Stage]) -> None:
    longest = max((stage.after_ms for stage in stages), default=0)
    regions = max(len(stage.region) for stage in stages)
    steps = max(len(_step(stage)) for stage in stages)
    before = None
    for stage in stages:
        region = stage.region if stage.region != before else ""
        before = stage.region
        after = f"{'-' if stage.after_ms < 0 else ''}{milliseconds(abs(stage.after_ms))}"
        line = Text.assemble(
            f"  {region:<{regions}}  {_step(stage):<{steps}}  {after:>12}  ",
            (_bar(stage, longest), STYLES[stage.step]),
        )
        if stage.clock_wrong:
            ahead = milliseconds(stage.since_ms - stage.after_ms)
            line.append(f" {ahead} before its cause: a clock is wrong", style="red")
        line.rstrip()
        output.print(line, soft_wrap=True)


def _step(stage: Stage) -> str:
    if stage.step == "applied" and stage.projection is None:
        # Its acknowledgement came again, and says no more than this.
        return "had applied it"
    return f"{stage.step} {stage.projection}" if stage.projection else stage.step


def _bar(stage: Stage, longest_ms: int) -> str:
    """Return a bar from the cause to the step, on a scale that ends with the last step."""
    if longest_ms <= 0:
        return POINT
    first, last = (
        round(min(max(ms, 0), longest_ms) / longest_ms * WIDTH)
        for ms in sorted((stage.since_ms, stage.after_ms))
    )
    return f"{' ' * first}{BAR * (last - first)}{POINT}"
