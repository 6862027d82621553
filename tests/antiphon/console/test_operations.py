"""Which commands the console runs, and that nothing else can be made of them."""

import asyncio
import json

import pytest

from antiphon.console.operations import MOST_AT_ONCE, NotPossible, Operations, TooMany, words_of
from antiphon.console.settings import ConsoleSettings

SETTINGS = ConsoleSettings(
    regions=("us-east-1", "eu-west-1", "ap-south-1"), base_port=1, aws_port=9
)


def words(kind: str, **arguments: object) -> list[str]:
    return words_of(kind, json.dumps(arguments).encode(), SETTINGS)


def test_an_operation_is_a_command_of_the_command_line():
    assert words("drain", region="eu-west-1") == ["region", "drain", "eu-west-1"]
    assert words("verify") == ["verify", "--json", "--settle", "30"]


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("drain", {"region": "--lost"}),
        ("drain", {"region": "eu-west-1 --lost"}),
        ("drain", {}),
        ("replay", {"letter": "--all", "region": "eu-west-1"}),
        ("replay", {"letter": "commands.x y", "region": "eu-west-1"}),
        ("drop", {"letter": "commands.x", "region": "eu-west-1", "reason": "--yes"}),
        ("drop", {"letter": "commands.x", "region": "eu-west-1", "reason": "a\nb"}),
        ("rebuild", {"projection": "../x", "region": "eu-west-1"}),
        ("rebuild", {"projection": ["activity"], "region": "eu-west-1"}),
        ("trace", {"commit": "--help"}),
        ("find", {"identifier": "--help"}),
        ("find", {"identifier": "a b"}),
        ("play", {"scenario": "../../etc/passwd"}),
        ("play", {"scenario": "x.yaml"}),
        ("up", {}),
    ],
)
def test_no_argument_becomes_an_option_or_anything_else(kind: str, arguments: dict):
    with pytest.raises(NotPossible):
        words(kind, **arguments)


@pytest.mark.parametrize("body", [b"{", b"[]", b"1", b"\xff"])
def test_a_body_that_is_no_object_is_refused(body: bytes):
    with pytest.raises(NotPossible):
        words_of("verify", body, SETTINGS)


def test_what_a_command_says_is_told_and_how_it_ended():
    async def running() -> list[dict]:
        return [one async for one in Operations(SETTINGS).run(["region", "show"])]

    told = asyncio.run(running())
    assert "no regions answer" in " ".join(str(one.get("line")) for one in told)
    assert told[-1] == {"ended": 2}


def test_only_a_few_run_at_a_time():
    async def running() -> None:
        operations = Operations(SETTINGS)
        operations._running = MOST_AT_ONCE
        with pytest.raises(TooMany):
            await anext(operations.run(["status"]))
        assert operations._running == MOST_AT_ONCE

    asyncio.run(running())
