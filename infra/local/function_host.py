"""The functions of one region, resident in one process in place of Lambda's sandboxes.

The engine forwards each invocation here as a POST; the handler, built with the
environment that its template gives it, runs on a thread of its function's own
pool, so that requests which wait for an answer hold up no other function. An
exception becomes a 500, which the engine reports as a function error. Unlike on
Lambda one handler runs many invocations at once: handlers must be thread-safe.
The functions' clock can be set wrong; their deadlines are true all the same.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
from aiohttp import ClientSession, web

from infra.local.children import Handed, begin
from infra.local.engine import MAX_BODY_BYTES
from infra.local.engine_calls import authorization

Handler = Callable[[dict[str, Any], Any], Any]
Builder = Callable[[Mapping[str, str], str], Handler]

# Invocations of one function at a time; more wait. AWS starts with 1000 for a
# whole account, which two cores could not run anyway.
MAX_CONCURRENCY = 128
# Where the host is asked to build every function, and to set their clock.
PREPARE = "/prepare"
SKEW = "/skew"

_logger = logging.getLogger("function_host")

# Kept from before it is replaced: deadlines are the engine's, whose clock is right.
_true_time = time.time


def set_clocks_ahead(by_ms: int) -> None:
    """Set the wall clock of everything in this process ahead, or back, by some ms."""

    def skewed() -> float:
        return _true_time() + by_ms / 1000

    time.time = skewed if by_ms else _true_time


@dataclass(frozen=True, kw_only=True)
class Context:
    """Lambda's context object, as far as handlers and Powertools look at it."""

    function_name: str
    function_version: str
    invoked_function_arn: str
    aws_request_id: str
    deadline_ms: int
    memory_limit_in_mb: int
    log_group_name: str
    log_stream_name: str = "local"
    client_context: None = None
    identity: None = None

    def get_remaining_time_in_millis(self) -> int:
        """Time left until Lambda would end the invocation."""
        return max(0, self.deadline_ms - int(_true_time() * 1000))


@dataclass(frozen=True, kw_only=True)
class HostedFunction:
    """A function that is ready to run."""

    handler: Handler
    threads: ThreadPoolExecutor
    memory_mb: int


class FunctionHost:
    """Builds functions from the engine's configuration and runs their invocations."""

    def __init__(self, *, region: str, engine_url: str, builder: str) -> None:
        """Args: builder: "module:attribute", called with (environment, region)."""
        self._region = region
        self._engine_url = engine_url
        self._builder = builder
        self._functions: dict[str, HostedFunction] = {}
        self._building = asyncio.Lock()

    async def invoke(self, request: web.Request) -> web.Response:
        """Run one forwarded invocation."""
        name = request.headers["X-Amzn-Lambda-Function-Name"]
        event = orjson.loads(await request.read())
        try:
            function = self._functions.get(name) or await self._build(name)
            result = await asyncio.get_running_loop().run_in_executor(
                function.threads, function.handler, event, _context(request, function)
            )
            return web.Response(body=orjson.dumps(result), content_type="application/json")
        except Exception as error:
            _logger.exception("%s raised", name)
            return web.json_response(_function_error(error), status=500)

    async def skew(self, request: web.Request) -> web.Response:
        """Set the functions' clock ahead by the `ms` of the body."""
        by_ms = int(orjson.loads(await request.read())["ms"])
        set_clocks_ahead(by_ms)
        return web.json_response({"ms": by_ms})

    async def prepare(self, _request: web.Request) -> web.Response:
        """Build every function that the engine knows, so that no first request has to."""
        async with (
            ClientSession() as session,
            session.get(
                f"{self._engine_url}/2015-03-31/functions/", headers=self._scope()
            ) as response,
        ):
            names = [found["FunctionName"] for found in (await response.json())["Functions"]]
        try:
            for name in names:
                await self._build(name)
        except Exception as error:
            _logger.exception("a function cannot be built")
            return web.json_response(_function_error(error), status=500)
        return web.json_response({"functions": names})

    async def _build(self, name: str) -> HostedFunction:
        async with self._building:
            if name not in self._functions:
                configuration = await self._configuration(name)
                environment = configuration.get("Environment", {}).get("Variables", {})
                self._functions[name] = HostedFunction(
                    handler=await asyncio.to_thread(self._make_handler, environment),
                    threads=ThreadPoolExecutor(MAX_CONCURRENCY, thread_name_prefix=name),
                    memory_mb=configuration.get("MemorySize", 128),
                )
            return self._functions[name]

    def _make_handler(self, environment: Mapping[str, str]) -> Handler:
        module, _, attribute = self._builder.partition(":")
        build: Builder = getattr(importlib.import_module(module), attribute)
        return build(environment, self._region)

    async def _configuration(self, name: str) -> dict[str, Any]:
        url = f"{self._engine_url}/2015-03-31/functions/{name}/configuration"
        async with ClientSession() as session, session.get(url, headers=self._scope()) as response:
            response.raise_for_status()
            found: dict[str, Any] = await response.json()
            return found

    def _scope(self) -> dict[str, str]:
        return {"Authorization": authorization(region=self._region, service="lambda")}


def _context(request: web.Request, function: HostedFunction) -> Context:
    name = request.headers["X-Amzn-Lambda-Function-Name"]
    return Context(
        function_name=name,
        function_version=request.headers["X-Amzn-Lambda-Function-Version"],
        invoked_function_arn=request.headers["X-Amzn-Lambda-Function-Arn"],
        aws_request_id=request.headers["X-Amzn-Lambda-Request-Id"],
        deadline_ms=int(request.headers["X-Amzn-Lambda-Deadline-Ms"]),
        memory_limit_in_mb=function.memory_mb,
        log_group_name=f"/aws/lambda/{name}",
    )


def _function_error(error: Exception) -> dict[str, Any]:
    return {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "stackTrace": traceback.format_tb(error.__traceback__),
    }


def _require_origin(module: ModuleType, package: Path) -> None:
    """Make sure that what runs is the package and not the checkout that this process is from."""
    if not Path(module.__file__ or "").is_relative_to(package):
        raise RuntimeError(f"{module.__name__} is {module.__file__}, not that of {package}")


async def serve(handed: Handed) -> None:
    """Serve until killed."""
    settings = handed.settings
    host = FunctionHost(
        region=str(settings["region"]),
        engine_url=str(settings["engine_url"]),
        builder=str(settings["builder"]),
    )
    application = web.Application(client_max_size=MAX_BODY_BYTES)
    application.router.add_post("/", host.invoke)
    application.router.add_get(PREPARE, host.prepare)
    application.router.add_post(SKEW, host.skew)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.SockSite(runner, handed.listeners[0]).start()
    # While the engines deploy: importing the handlers takes most of a second.
    builder = str(settings["builder"]).partition(":")[0]
    module = await asyncio.to_thread(importlib.import_module, builder)
    if (package := settings.get("package")) is not None:
        _require_origin(module, Path(str(package)))
    await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(serve(begin(sys.argv)))
