"""The way of one command through three real regions, as an operator sees it."""

import json

from tests.e2e.conftest import REGIONS, Running
from tests.e2e.test_three_regions import activation

US, EU, AP = REGIONS


def test_a_command_is_traced_through_all_regions_and_found_by_its_correlation_id(running: Running):
    sent = {"X_Correlation_Id": "order-trace-7", "Prefer": "wait=20"}
    commit = running.post(EU, activation(), **sent).json()["commit"]

    traced = running.cli("trace", commit, "--json")
    searched = running.cli("trace", "order-trace-7", "--search", "--json")
    drawn = running.cli("trace", commit)

    assert traced.exit_code == searched.exit_code == drawn.exit_code == 0
    told = json.loads(traced.output)
    assert json.loads(searched.output) == told
    assert (told["origin"], told["correlation_id"]) == (EU, "order-trace-7")
    assert told["missing"] == told["dead_letters"] == []
    steps = {(one["region"], one["step"]) for one in told["stages"]}
    in_each = {(region, step) for region in REGIONS for step in ("applied", "acknowledged")}
    assert steps >= in_each | {(EU, "came in"), (EU, "committed"), (EU, "published")}
    assert all(0 <= one["after_ms"] < 60_000 for one in told["stages"])
    assert "answered after" in drawn.output


def test_what_is_no_commit_here_is_a_clear_error(running: Running):
    unknown = running.cli("trace", "sub.aaaaaaaaaaaaaaaaaaaaaaaaaa.7")
    nothing = running.cli("trace", "never-heard-of", "--search")

    assert unknown.exit_code == nothing.exit_code == 2
    assert "there is no commit" in unknown.output
    assert "never-heard-of" in nothing.output
