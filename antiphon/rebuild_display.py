"""What a person sees of a rebuild: what it does, how fast, and how long it will still take.

In a pipe there is no bar, and the same lines. Shows only what was counted.
"""

import time
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from antiphon.terminal import MS_PER_S, milliseconds, output, say

# In a pipe, a line this often.
TOLD_AGAIN_S = 5.0


class _Rate(ProgressColumn):
    """Commits a second."""

    def render(self, task: Task) -> Text:
        """Show the rate once there is one."""
        return Text(f"{task.speed:,.0f} commits/s" if task.speed else "", style="dim")


class RebuildDisplay:
    """Shows one region's rebuild of one projection."""

    def __init__(self, projection: str, region: str) -> None:
        self._began_s = self._told_s = time.monotonic()
        self._task: TaskID | None = None
        self._title = ""
        self._pass_s = self._began_s
        self._before = self._total = 0
        self._progress = Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            console=output,
            refresh_per_second=4,
            transient=True,
            disable=not output.is_terminal,
        )
        say(f"{projection} in {region}", style="bold")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def tell(self, text: str) -> None:
        """Say what has begun or ended, and when since the start."""
        took = milliseconds((time.monotonic() - self._began_s) * MS_PER_S)
        say(f"{took:>10}  {text}")

    def pass_over(self, title: str, *, done: int, total: int) -> None:
        """Begin to show a pass over the log; `total` is about how many commits that has."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._title, self._before, self._total = title, done, total
        self._pass_s = self._told_s = time.monotonic()
        self._task = self._progress.add_task(title, completed=done, total=total or None)
        left = f", {done} of them done before" if done else ""
        self.tell(f"{title} over about {max(total, done)} commits{left}")

    def advance(self, done: int) -> None:
        """Show how many commits of the pass are done."""
        if self._task is None:
            return
        self._progress.update(self._task, completed=done, total=max(self._total, done) or None)
        now_s = time.monotonic()
        if output.is_terminal or now_s - self._told_s < TOLD_AGAIN_S:
            return
        self._told_s = now_s
        rate = (done - self._before) / (now_s - self._pass_s)
        left_s = (self._total - done) / rate if rate > 0 and self._total > done else 0.0
        still = f", {milliseconds(left_s * MS_PER_S)} left" if left_s else ""
        self.tell(f"{self._title}: {done} commits, {rate:.0f} a second{still}")
