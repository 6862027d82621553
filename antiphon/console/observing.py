"""One look at the system for every page that is open, and none while no page is.

Reads the WAN's stream of what happens, where there is one, looks at what waits every few seconds,
and hands both to each page. A page that is too slow loses marks, never counts or states, and is
told so; a stream that breaks is begun again, and the pages are told that it was broken.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout

from infra.local.engine_calls import EngineError

LOOK_S = 2.0
RETRY_S = 0.5
# The WAN says something once a second; silence this long is a broken stream.
SILENCE_S = 5.0
# Events that a page may be behind.
MOST_WAITING = 64
MAX_LINE_BYTES = 4 * 1024 * 1024

_logger = logging.getLogger("console")

Event = tuple[str, dict[str, Any]]
# Looks at the system. Raises: ClientError, TimeoutError, EngineError.
Look = Callable[[], Awaitable[dict[str, Any]]]


class Page:
    """What one open page has still to be told."""

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque()
        self._news = asyncio.Event()

    def tell(self, event: Event) -> None:
        """Have a page told something. Counts and states come whole again; marks do not."""
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.clear()
            self._waiting.append(("behind", {}))
        self._waiting.append(event)
        self._news.set()

    async def events(self) -> AsyncIterator[Event]:
        """Give everything that the page is to be told, without end."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            self._news.clear()
            await self._news.wait()


class Observer:
    """Watches while there are pages."""

    def __init__(self, look: Look, *, watch: str | None = None, look_s: float = LOOK_S) -> None:
        """Take how to look, how often in s, and the stream of what happens, where there is one."""
        self._ask = look
        self._watch_url = watch
        self._look_s = look_s
        self._pages: set[Page] = set()
        self._watching: asyncio.Task[None] | None = None
        self._look_now = asyncio.Event()

    @asynccontextmanager
    async def page(self) -> AsyncIterator[Page]:
        """Open a page; it is told everything from now on."""
        page = Page()
        self._pages.add(page)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        self.look_soon()
        try:
            yield page
        finally:
            self._pages.discard(page)
            if not self._pages and self._watching is not None:
                self._watching.cancel()
                with suppress(asyncio.CancelledError):
                    await self._watching
                self._watching = None

    def look_soon(self) -> None:
        """Look again now: something was changed."""
        self._look_now.set()

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.TaskGroup() as tasks:
                    if self._watch_url is not None:
                        tasks.create_task(self._follow(self._watch_url))
                    tasks.create_task(self._look())
            except* Exception:
                # A page that says that it sees nothing is better than one that stands still.
                _logger.exception("the console cannot read what it is told; it begins again")
                self._tell("unseen", {"why": "what the regions tell cannot be read"})
            await asyncio.sleep(RETRY_S)

    async def _follow(self, url: str) -> None:
        """Hand on what the WAN tells, line by line."""
        timeout = ClientTimeout(total=None, sock_connect=SILENCE_S, sock_read=SILENCE_S)
        async with ClientSession(timeout=timeout, read_bufsize=MAX_LINE_BYTES) as session:
            while True:
                with suppress(ClientError, TimeoutError, ValueError):
                    async with session.get(url) as response:
                        response.raise_for_status()
                        self._tell("watching", {})
                        async for line in response.content:
                            self._tell("happened", orjson.loads(line))
                self._tell("unseen", {"why": "the regions do not answer"})
                await asyncio.sleep(RETRY_S)

    async def _look(self) -> None:
        while True:
            self._look_now.clear()
            try:
                self._tell("state", await self._ask())
            except (ClientError, TimeoutError, EngineError, KeyError) as error:
                self._tell("unseen", {"why": f"the regions do not answer: {type(error).__name__}"})
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_s):
                    await self._look_now.wait()

    def _tell(self, name: str, content: dict[str, Any]) -> None:
        for page in self._pages:
            page.tell((name, content))
