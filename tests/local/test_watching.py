"""What watchers are told: counts whole, shown commits whole, and nobody held up by a slow one."""

import asyncio
import json
from contextlib import asynccontextmanager

from multidict import CIMultiDict

from infra.local.engine_calls import Answer
from infra.local.sightings import EVENTS_TABLE
from infra.local.watching import MOST_LINES, MOST_SHOWN, NEW_A_TICK, TICK_S, Watch

US, EU, AP = REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
VIEWS = "DynamoDB_20120810.PutItem"


def change(number: int) -> dict:
    keys = {"a": {"S": f"s.{number}"}, "q": {"N": "1"}}
    topic = {"M": {"t": {"S": "SubscriberActivated"}}}
    stamp = {"M": {"t": {"S": "ActivateSubscriber"}}}
    return {"Keys": keys, "NewImage": {**keys, "e": {"L": [topic]}, "m": stamp}}


def view(number: int) -> bytes:
    item = {"k": {"S": f"activity#1#s.{number}"}, "s": {"S": "head"}}
    place = {"n": {"N": "1"}, "f": {"N": "1"}}
    return json.dumps({"TableName": "antiphon-views", "Item": item | place}).encode()


def said(status: int = 200) -> Answer:
    return Answer(status=status, headers=CIMultiDict(), body=b"{}")


@asynccontextmanager
async def watched(watch: Watch):
    running = asyncio.create_task(watch.run())
    async with watch._watcher() as lines:
        yield lines
    running.cancel()


async def told_until(lines, enough) -> list[dict]:
    told = []
    async with asyncio.timeout(10):
        async for line in lines:
            told.append(json.loads(line))
            if enough(told[-1]):
                return told
    raise AssertionError("the watcher was let go")


def test_while_nobody_watches_nothing_is_looked_at():
    watch = Watch(REGIONS)
    watch.committed(EVENTS_TABLE, change(1), origin=US)
    assert watch.begun(VIEWS, view(1), region=US, caller=US) == []
    assert watch._counts[US]["committed"] == 0


def test_counts_are_whole_and_of_a_shown_commit_everything_is_told():
    many = NEW_A_TICK + 20

    async def watching() -> list[dict]:
        watch = Watch(REGIONS)
        async with watched(watch) as lines:
            for number in range(many):
                watch.committed(EVENTS_TABLE, change(number), origin=US)
            for number in range(many):
                watch.arrived(EVENTS_TABLE, change(number), region=AP)
                watch.done(watch.begun(VIEWS, view(number), region=AP, caller=AP), said())
            return await told_until(lines, lambda told: told["counts"][AP]["applied"] == many)

    told = asyncio.run(watching())
    marks = [mark for one in told for mark in one["marks"]]
    shown = {mark["commit"] for mark in marks}
    assert told[-1]["counts"][US]["committed"] == many
    assert told[-1]["unshown"] == many - NEW_A_TICK
    assert len(shown) == NEW_A_TICK
    for commit in shown:
        kinds = [mark["kind"] for mark in marks if mark["commit"] == commit]
        assert kinds == ["committed", "arrived", "applied"]


def test_no_more_are_shown_than_fit_and_what_is_held_stays_in_sight():
    async def watching() -> int:
        watch = Watch(REGIONS)
        async with watched(watch):
            for number in range(2 * MOST_SHOWN):
                watch._begun_in_tick = 0
                watch.committed(EVENTS_TABLE, change(number), origin=US)
            assert "s.0.1" in watch._shown
            return len(watch._shown)

    assert asyncio.run(watching()) == MOST_SHOWN


def test_what_was_refused_has_not_happened():
    async def watching() -> dict:
        watch = Watch(REGIONS)
        async with watched(watch) as lines:
            watch.committed(EVENTS_TABLE, change(1), origin=US)
            watch.done(watch.begun(VIEWS, view(1), region=AP, caller=AP), said(400))
            return (await told_until(lines, lambda told: "lags" in told))[-1]

    told = asyncio.run(watching())
    assert told["counts"][AP]["applied"] == 0


def test_a_watcher_that_is_too_slow_is_let_go():
    async def watching() -> int:
        watch = Watch(REGIONS)
        async with watched(watch) as lines:
            for _ in range(MOST_LINES + 1):
                watch._tell(with_lags=False)
            assert not watch.is_watched
            return len([line async for line in lines])

    assert asyncio.run(watching()) == MOST_LINES - 1


def test_a_watcher_that_comes_after_a_pause_begins_anew():
    async def watching() -> dict:
        watch = Watch(REGIONS)
        async with watch._watcher():
            watch.committed(EVENTS_TABLE, change(1), origin=US)
        async with watched(watch) as lines:
            return (await told_until(lines, lambda told: "lags" in told))[-1]

    assert asyncio.run(watching())["counts"][US]["committed"] == 0
    assert TICK_S < 1
