"""What a person sees while a feed is played and after it: answers, summary, verdict.

Shows only what was measured. In a pipe there is no bar, and the same lines.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from antiphon.ledger import Ledger, Played
from antiphon.scores import Scores
from antiphon.terminal import heading, milliseconds, output, print_table, say
from antiphon.violations import Violation

OUTCOMES = {
    "accepted": ("accepted", "green"),
    "rejected": ("refused", "red"),
    "unchanged": ("unchanged", "yellow"),
}
VIOLATIONS_SHOWN = 25


class _Waiting(ProgressColumn):
    """How many commands are in the log and have no answer yet."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def render(self, task: Task) -> Text:  # noqa: ARG002 - the ledger knows more than the task
        """Show the number while there are any."""
        waiting = len(self._ledger.unanswered)
        return Text(f"{waiting} recorded, not answered yet" if waiting else "", style="dim")


class FeedDisplay:
    """Keeps the ledger of a feed and prints each answer as it comes.

    Above a bar if there is a terminal to draw it on.
    """

    def __init__(self, *, total: int, silent: bool) -> None:
        """`total` commands will be answered; `silent` prints nothing at all."""
        self._silent = silent
        self.ledger = Ledger(on_answer=self._answered)
        self._progress = Progress(
            TextColumn("  answered"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            _Waiting(self.ledger),
            console=output,
            refresh_per_second=4,
            transient=True,
            disable=silent or not output.is_terminal,
        )
        self._task = self._progress.add_task("answered", total=total)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Show the bar, and what the lines above it mean, for the duration of a block."""
        if not self._silent:
            say(f"{'latency':>9}  {'origin':<11}  {'outcome':<9}  command", style="dim")
        with self._progress:
            yield

    def _answered(self, played: Played) -> None:
        """Print one answer, with the time from its command's sending to its arrival."""
        self._progress.advance(self._task)
        receipt = played.recorded
        if self._silent or receipt is None:
            return
        label, style = OUTCOMES[receipt.outcome]
        latency_ms = played.latency_ms
        latency = "before" if latency_ms is None else milliseconds(latency_ms)
        arrival = played.arrivals[0]
        line = Text.assemble(
            (f"{latency:>9}", "bold"),
            (f"  {arrival.region:<11}", "cyan"),
            (f"  {label:<9}", style),
            f"  {played.type:<26}  {played.command_id}",
            (f"  {receipt.reason}" if receipt.reason else "", "dim"),
        )
        output.print(line, soft_wrap=True)


def print_summary(scores: Scores, *, unmatched: int) -> None:
    """Print what a feed came to: counts, then latency beside its floor."""
    heading("Summary")
    rows: list[tuple[str, int, str]] = [
        ("commands", scores.commands, f"in {scores.elapsed_s:.0f} s"),
        ("accepted", scores.accepted, ""),
        ("refused", scores.refused, "by the domain; recorded and answered too"),
        ("unchanged", scores.unchanged, "nothing to do; recorded and answered too"),
        ("duplicates", scores.duplicates, "sent again or to two regions; got the first result"),
        ("conflicts", scores.conflicts, "appends that met a newer commit, and were decided again"),
        ("reads by token", scores.token_reads, "in another region than the command's"),
        ("stale", scores.stale, "answers or reads from before their command"),
    ]
    optional = [
        ("not recorded", scores.not_recorded, "refused before the log, or never received"),
        ("sent again", scores.sent_again, "after an overload, a lost connection or a conflict"),
        ("superseded", scores.superseded, "accepted by a region then evicted; decided anew"),
        ("answered before", scores.answered_earlier, "in an earlier play of the same commands"),
        ("redelivered", scores.redelivered, "answers that came more than once"),
        ("reads put off", scores.token_reads_not_caught_up, "not caught up in time, and said so"),
        ("others' answers", unmatched, "found in the mailboxes, for commands not of this feed"),
    ]
    shown = rows + [row for row in optional if row[1]]
    print_table(("", "", ""), [(name, f"{count:>7,}", note) for name, count, note in shown])
    if scores.latency:
        _print_latency(scores)


def _print_latency(scores: Scores) -> None:
    heading("From sending a command to its answer in the mailbox of its region")
    print_table(
        ("origin", "answers", "floor", "p50", "p95", "p99"),
        [
            (
                row.origin,
                row.answers,
                "" if row.floor_ms is None else milliseconds(row.floor_ms),
                milliseconds(row.p50_ms),
                milliseconds(row.p95_ms),
                milliseconds(row.p99_ms),
            )
            for row in scores.latency
        ],
        numbers=("answers", "floor", "p50", "p95", "p99"),
    )
    say(
        "  floor: round trip to the nearest region (the append) + to the farthest (its proof)",
        style="dim",
    )


def print_verdict(ledger: Ledger, violations: Sequence[Violation], *, regions: int) -> None:
    """Print whether every command was answered, and rightly."""
    output.print()
    if not violations:
        answered = sum(bool(played.arrivals) for played in ledger.commands.values())
        text = f"{answered} answers, one for each command, each applied in all {regions} regions"
        output.print(Text.assemble(("  right  ", "bold white on green"), f"  {text}"))
        return
    count = f"{len(violations)} violation{'s' if len(violations) > 1 else ''}"
    output.print(Text.assemble(("  wrong  ", "bold white on red"), f"  {count}"))
    print_violations(violations)


def print_violations(violations: Sequence[Violation]) -> None:
    """Print violations, one a line, the first of very many."""
    for violation in violations[:VIOLATIONS_SHOWN]:
        say(f"  {violation.line}", style="red")
    more = len(violations) - VIOLATIONS_SHOWN
    if more > 0:
        say(f"  and {more} more; --json shows all", style="red")
