"""EVENTUAL mode in two regions and in five: the same promises, with the states in three places."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from infra.local.regions import LocalConfig, LocalRegions
from tests.e2e.conftest import SECRET, Running, free_block
from tests.e2e.test_draining import settled_answer

TWO = ("us-east-1", "eu-west-1")
FIVE = ("us-east-1", "eu-west-1", "ap-south-1", "eu-central-1", "us-west-2")
# Of five the last two have no tables of states and keys, and ask this one first.
STATES = "us-east-1"


@pytest.fixture(params=[TWO, FIVE], ids=["two", "five"])
def several(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    regions: tuple[str, ...] = request.param
    first = free_block(len(regions) + 2, since=25_000)
    config = LocalConfig(
        regions=regions,
        witness="ap-south-1" if regions == TWO else None,
        mode="eventual",
        base_port=first,
        aws_port=first + len(regions) + 1,
        directory=tmp_path,
        secret=SECRET,
        # Every state of a region and of a slot is held for longer, and each hold is waited for.
        settings={
            "ANTIPHON_APPEND_S": "4",
            "ANTIPHON_CONTROL_FRESH_S": "2",
            "ANTIPHON_HOMES_FRESH_S": "2",
            "ANTIPHON_CALL_TRIES": "1",
        },
    )
    with LocalRegions(config, progress=lambda _step: None):
        running = Running(first, config.aws_port, tmp_path, regions)
        done(running, "homes", "spread")
        yield running


def done(running: Running, *words: str) -> str:
    told = running.cli(*words)
    assert told.exit_code == 0, told.output
    return told.output


def activated(running: Running, region: str, *, series: int, number: int) -> dict[str, Any]:
    """Have a subscriber activated, sent again until it is taken, as a producer does."""
    body = {
        "type": "ActivateSubscriber",
        "command_id": f"{series}-{number}",
        "producer": "e2e",
        "data": {
            "imsi": f"2620{series}{number:010}",
            "msisdn": "+4915112345678",
            "iccid": "8949020000012345670",
            "service_profile": "consumer-5g",
        },
    }
    for _ in range(60):
        told = running.post(region, body, Prefer="wait=1")
        if told.status_code in {200, 202}:
            accepted: dict[str, Any] = told.json()
            return accepted
        assert told.status_code == 503, told.text
    raise AssertionError(f"{region} takes no command: {told.text}")


def taken_in(
    running: Running, regions: Sequence[str], *, series: int, each: int
) -> list[dict[str, Any]]:
    """Have subscribers activated in some regions, in all at once, to every home."""
    with ThreadPoolExecutor(8) as pool:
        sent = [
            pool.submit(activated, running, region, series=series, number=each * n + m)
            for n, region in enumerate(regions)
            for m in range(each)
        ]
        return [one.result() for one in sent]


def all_answered(running: Running, taken: list[dict[str, Any]], *, via: str) -> list[set[str]]:
    """Wait for the answer of each command; return the regions that had applied it by then."""
    return [set(settled_answer(running, via, one["commit"])["regions"]) for one in taken]


def test_commands_moves_and_evictions_in_any_number_of_regions(several: Running):
    first, *others = several.regions
    last = others[-1]
    assert len(done(several, "homes", "show").splitlines()) >= len(several.regions)

    # From every region to every home, answered once all have applied it, read anywhere.
    taken = taken_in(several, several.regions, series=1, each=3)
    everywhere = set(several.regions)
    assert all(having == everywhere for having in all_answered(several, taken, via=last))
    for region in several.regions:
        read = several.get(
            region,
            f"/subscribers/26201{0:010}?wait_ms=20000",
            Consistency_Token=taken[0]["consistency_token"],
        )
        assert read.status_code == 200, read.text

    # As planned: the last region is no one's home any more, and sends on what it gets.
    done(several, "homes", "move", last)
    moved = taken_in(several, [last], series=2, each=4)
    all_answered(several, moved, via=last)
    assert several.wired(last).homes.current().at(last) == ()

    # Lost, and the others go on without it: also those that ask it first for the states.
    assert first == STATES
    done(several, "region", "kill", first)
    done(several, "region", "evict", first)
    alone = taken_in(several, others, series=3, each=3)
    for having in all_answered(several, alone, via=last):
        assert first not in having

    done(several, "region", "start", first)
    done(several, "region", "undrain", first)
    after = activated(several, first, series=4, number=1)
    assert all_answered(several, [after], via=first) == [everywhere]
    done(several, "verify", "--settle", "90")
