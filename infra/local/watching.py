"""What happens in a running system, as a stream of lines for whoever watches it.

Looks at calls that pass the WAN anyway, and changes none of them; while nobody watches it looks
at nothing. Counts are whole from the first watcher on. Of a commit that is shown everything is
told; more commits than anybody could follow are counted and not shown, from their first moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web

from infra.local.engine_calls import Answer
from infra.local.projection_lags import ProjectionLags
from infra.local.sightings import (
    EVENTS_TABLE,
    Sighting,
    committed,
    refused_entries,
    sightings,
)

PATH = "/_antiphon/watch"
TICK_S = 0.1
# Read models are told about once in so many ticks, and so a silent system says that it lives.
_TICKS_A_BEAT = 10
# Commits that are shown at a time, and how many begin to be in one tick.
MOST_SHOWN = 400
NEW_A_TICK = 6
# How long a commit that is answered is still shown: its last arrivals may come after.
_AFTER_ANSWER_S = 10.0
# Lines that a watcher may be behind; one that is slower is let go, and comes again.
MOST_LINES = 100

Mark = dict[str, Any]


class Watch:
    """Everything that is seen, and everybody who sees it."""

    def __init__(self, regions: tuple[str, ...]) -> None:
        self._regions = regions
        self._watchers: set[asyncio.Queue[bytes | None]] = set()
        self._begin()

    def _begin(self) -> None:
        self._lags = ProjectionLags(self._regions)
        self._counts = {
            region: dict.fromkeys(("committed", "arrived", "applied", "answered"), 0)
            for region in self._regions
        }
        self._marks: list[Mark] = []
        self._shown: OrderedDict[str, None] = OrderedDict()
        self._ending: deque[tuple[float, str]] = deque()
        self._begun_in_tick = 0
        self._unshown = 0

    @property
    def is_watched(self) -> bool:
        """Whether anybody would see what is told now."""
        return bool(self._watchers)

    def committed(self, table: str, change: dict[str, Any], *, origin: str) -> None:
        """A write of a global table is in the log, and on its way to every other replica."""
        if not self._watchers or table != EVENTS_TABLE:
            return
        found = committed(change.get("NewImage") or {})
        if found is None:
            return
        self._lags.committed(found.commit, now_ms=_now_ms())
        self._counts[origin]["committed"] += 1
        if len(self._shown) >= MOST_SHOWN or self._begun_in_tick >= NEW_A_TICK:
            self._unshown += 1
            return
        self._begun_in_tick += 1
        self._shown[found.commit] = None
        self._mark("committed", found.commit, origin, type=found.type, outcome=found.outcome)

    def arrived(self, table: str, change: dict[str, Any] | None, *, region: str) -> None:
        """A replica shows a record from now on; of one too long ago only that is known."""
        if not self._watchers or table != EVENTS_TABLE:
            return
        self._counts[region]["arrived"] += 1
        if change is not None:
            key = change["Keys"]
            self._mark("arrived", f"{key['a']['S']}.{key['q']['N']}", region)

    def begun(self, target: str, body: bytes, *, region: str, caller: str | None) -> list[Sighting]:
        """A call is on its way. Returns: what to hand to `done`, once it is carried out."""
        if not self._watchers or caller is None:
            return []
        found = sightings(target, body, region=region, caller=caller)
        for one in found:
            if one.kind == "acknowledged" and one.to != one.region:
                self._mark("acknowledging", one.commit, one.region, to=one.to)
        return found

    def done(self, found: list[Sighting], answer: Answer) -> None:
        """A call has been carried out, or refused."""
        if not found or not answer.ok:
            return
        refused = refused_entries(answer.body) if found[0].kind == "answered" else frozenset()
        for one in found:
            if one.kind == "applied" and one.projection is not None:
                self._lags.applied(
                    one.commit, projection=one.projection, region=one.region, now_ms=_now_ms()
                )
                self._counts[one.region]["applied"] += 1
                self._mark("applied", one.commit, one.region, projection=one.projection)
            elif one.kind == "acknowledged":
                self._mark("acknowledged", one.commit, one.region, to=one.to)
            elif one.kind == "answered" and one.entry not in refused:
                self._counts[one.region]["answered"] += 1
                self._mark("answered", one.commit, one.region)
                if one.commit in self._shown:
                    self._ending.append((time.monotonic() + _AFTER_ANSWER_S, one.commit))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Tell one watcher everything, a JSON object a line, until it goes or is too slow."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        # A watcher that has gone is nobody's failure.
        with contextlib.suppress(ConnectionResetError):
            async with self._watcher() as lines:
                async for line in lines:
                    await response.write(line)
        return response

    async def run(self) -> None:
        """Tell the watchers what has happened, ten times a second, until cancelled."""
        tick = 0
        while True:
            await asyncio.sleep(TICK_S)
            tick += 1
            if not self._watchers:
                continue
            beat = tick % _TICKS_A_BEAT == 0
            if self._marks or beat:
                self._tell(with_lags=beat)
            self._begun_in_tick = 0
            self._forget_answered()

    @asynccontextmanager
    async def _watcher(self) -> AsyncIterator[AsyncIterator[bytes]]:
        lines: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_LINES)
        if not self._watchers:
            # Nobody has looked for a while: what was remembered is no longer whole.
            self._begin()
        self._watchers.add(lines)
        try:
            yield _until_none(lines)
        finally:
            self._watchers.discard(lines)

    def _mark(self, kind: str, commit: str, region: str, **more: str | None) -> None:
        if commit in self._shown:
            at_ms = round(_now_ms())
            self._marks.append(
                {"kind": kind, "commit": commit, "region": region, "at_ms": at_ms, **more}
            )

    def _tell(self, *, with_lags: bool) -> None:
        told: dict[str, Any] = {
            "at_ms": round(_now_ms()),
            "marks": self._marks,
            "counts": self._counts,
            "unshown": self._unshown,
        }
        if with_lags:
            told["lags"] = self._lags.told(now_ms=_now_ms())
        self._marks = []
        line = orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)
        for lines in list(self._watchers):
            try:
                lines.put_nowait(line)
            except asyncio.QueueFull:
                self._watchers.discard(lines)
                lines.get_nowait()
                lines.put_nowait(None)

    def _forget_answered(self) -> None:
        while self._ending and self._ending[0][0] < time.monotonic():
            self._shown.pop(self._ending.popleft()[1], None)


async def _until_none(lines: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    while (line := await lines.get()) is not None:
        yield line


def _now_ms() -> float:
    return time.time() * 1000
