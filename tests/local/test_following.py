"""Which stream mappings are followed: those that there are, for as long as there are."""

import asyncio
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import ClientError
from multidict import CIMultiDict

from infra.local.engine_calls import Answer, EngineCalls
from infra.local.streams import StreamDispatcher


def mapping(uuid: str, *, state: str = "Disabled") -> dict[str, Any]:
    return {
        "UUID": uuid,
        "State": state,
        "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:projector",
        "EventSourceArn": f"arn:aws:dynamodb:us-east-1:000000000000:table/{uuid}/stream/x",
    }


class Engine(EngineCalls):
    """An engine whose mappings change; None while it does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.mappings: list[dict[str, Any]] | None = None

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        if self.mappings is None:
            raise ClientError("down")
        content = orjson.dumps({"EventSourceMappings": self.mappings})
        return Answer(status=200, headers=CIMultiDict(), body=content)


async def endless(target: str, request: dict[str, Any], *, region: str) -> Any:
    """A stream that never says anything."""
    await asyncio.Event().wait()


def test_a_mapping_is_followed_until_it_is_gone_or_switched_on_and_while_its_engine_is_silent():
    async def scene() -> None:
        engine = Engine()
        dispatcher = StreamDispatcher(
            region="us-east-1", engine_url="http://engine", calls=engine, read=endless
        )

        async def followed(mappings: list[dict[str, Any]] | None) -> set[str]:
            engine.mappings = mappings
            if (found := await dispatcher._mappings()) is not None:
                dispatcher._follow(found, tasks)
            await asyncio.sleep(0)
            return {uuid for uuid, task in dispatcher._running.items() if not task.cancelling()}

        async with asyncio.TaskGroup() as tasks:
            assert await followed([mapping("a"), mapping("b")]) == {"a", "b"}
            first = dispatcher._running["a"]
            assert await followed(None) == {"a", "b"}
            assert await followed([mapping("a"), mapping("b", state="Enabled")]) == {"a"}
            assert dispatcher._running["a"] is first
            assert await followed([mapping("c")]) == {"c"}
            assert await followed([]) == set()
            await asyncio.sleep(0)
            assert first.cancelled()

    asyncio.run(scene())
