"""The benchmarks measure what they say, and what they tell can be printed and drawn."""

from pathlib import Path
from typing import Any

import pytest

from antiphon import bench
from tests.benchmarks import loading, plots, projecting, rebuilding, scaling, whole
from tests.dynamodb.in_process import InProcessDynamoDB

SHAPE = (20, 10)


def test_a_batch_reads_its_views_together_and_writes_each_once():
    used = projecting.costs(SHAPE)

    # Of each aggregate a subscriber's view and a timeline, and the views of all in one read.
    assert used["requests"] == 1 + 10 * 2
    assert used["naive_requests"] == 20 * (2 + 2 + 1)
    assert used["write_units"] < used["naive_write_units"]


def test_both_ways_bring_the_same_views_up():
    batch = projecting.batch_of(SHAPE)
    documents: list[set[str]] = []
    for way in (projecting.projector, projecting.naive):
        engine = InProcessDynamoDB()
        way(engine)(batch)
        changed = [change.new for change in engine.changes if change.new is not None]
        latest = {(item["k"]["S"], item["s"]["S"]): item["d"]["S"] for item in changed}
        documents.append({f"{key} {told}" for key, told in latest.items()})

    assert documents[0] == documents[1]
    assert len(documents[0]) == 10 + 10 + 20


def test_a_load_is_two_requests_with_a_snapshot_and_a_page_of_the_log():
    [few, many] = loading.loads((10, 450))

    assert (few["without_requests"], many["without_requests"]) == (1, 1)
    assert (many["with_snapshot_requests"], few["ratio"]) == (2, 1)
    assert many["with_snapshot_read_units"] < many["without_read_units"]


def test_more_events_a_second_need_more_of_everything_and_name_the_quotas():
    little, more, most = scaling.plan(command_us=500, projected_a_core_second=1_000)

    for name in ("commands_concurrency", "projector_concurrency", "log_partitions", "cores"):
        assert little[name] < more[name] < most[name]
    assert little["put_events_over_quota"] == []
    assert more["put_events_over_quota"] == ["ap-south-1"]


def test_a_whole_run_is_printed_and_drawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    began: list[str] = []
    engine = InProcessDynamoDB()
    ways = {"one by one": [_way("bare boto3 put")], "8 threads": [_way("bare boto3 put")]}
    appended = {"machine": "a machine", "costs": [], "engines": {"an engine": ways}}
    for module, told in (("append", appended), ("starting", [_start()])):
        monkeypatch.setattr(getattr(whole, module), "run", lambda told=told, **_: told)
    monkeypatch.setattr(whole, "OURS", "bare boto3 put")
    monkeypatch.setattr(
        whole, "_projected", lambda **_: projecting.run(engine, engine, shapes=[SHAPE], rounds=1)
    )
    monkeypatch.setattr(whole.loading, "run", lambda **_: loading.loads((10,)))
    monkeypatch.setattr(whole.rebuilding, "run", lambda **_: rebuilding.passes((50,)))

    figures = whole.run(quick=True, full=False, tell=began.append)
    bench.show(figures)
    drawn = plots.draw(figures, tmp_path)

    assert len(began) == 5
    printed = capsys.readouterr().out
    assert "a machine" in printed
    assert "commands at once, a region" in printed
    assert len(drawn) == 4
    assert all(b"</svg>" in file.read_bytes() for file in drawn)


def _way(name: str) -> dict[str, Any]:
    times = dict.fromkeys(("cpu_us", "wall_us", "cpu_ratio", "wall_ratio", "a_second", "ratio"), 1)
    return {"name": name, **times}


def _start() -> dict[str, Any]:
    names = ("cpu_ms", "wall_ms", "cpu_ms_ratio", "wall_ms_ratio", "memory_mb", "modules")
    return {"name": "commands", **dict.fromkeys(names, 1.0)}
