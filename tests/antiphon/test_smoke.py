"""What `antiphon smoke` says of a system that does not keep its promise."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from antiphon import smoke
from antiphon.cli import app
from antiphon.smoke import troubles_of

REGIONS = ("us-east-1", "eu-west-1", "ap-south-1")
US, EU, AP = REGIONS
ANSWER = {"status": "answered", "consistency_token": "t", "answer": {"regions": {}}}

Reply = Callable[[str, str, dict[str, Any]], httpx.Response]


class Pretended:
    """The APIs of three regions that answer as a test says."""

    regions = REGIONS

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def request(self, region: str, *, method: str, path: str, **content: Any) -> httpx.Response:
        return self._reply(region, method, content)


def said(reply: Reply) -> list[str]:
    return list(troubles_of(Pretended(reply), US, run_id="0", told=lambda _text: None))


def answered(regions: tuple[str, ...] = REGIONS) -> httpx.Response:
    return httpx.Response(200, json=ANSWER | {"answer": {"regions": dict.fromkeys(regions, 1)}})


def test_a_system_that_keeps_its_promise_is_not_complained_of():
    asked: list[tuple[str, str, Any]] = []

    def reply(region: str, method: str, content: dict[str, Any]) -> httpx.Response:
        asked.append((region, method, {k: v for k, v in content.items() if k != "json"}))
        return answered()

    assert said(reply) == []
    reads = [(region, how) for region, method, how in asked if method == "GET"]
    for region in REGIONS:
        assert (region, {}) in reads
        assert (region, {"headers": {"Consistency-Token": "t"}}) in reads
        assert (region, {"params": {"consistency": "strong"}}) in reads


def test_an_answer_without_proof_of_a_region_is_told():
    (trouble,) = said(lambda *_: answered((US, EU)))
    assert trouble == "the answer has no proof of ap-south-1; is a region drained?"


def test_a_region_that_does_not_show_what_was_answered_is_told_with_the_consistency():
    def reply(region: str, method: str, content: dict[str, Any]) -> httpx.Response:
        if (region, method) == (EU, "GET") and "headers" in content:
            return httpx.Response(503, json={"detail": "not applied yet"})
        return answered()

    (trouble,) = said(reply)
    assert trouble == "eu-west-1 does not show it, by its token: 503 not applied yet"


def test_a_refused_command_is_told_with_the_reason_and_nothing_is_read():
    def reply(region: str, method: str, content: dict[str, Any]) -> httpx.Response:
        assert method == "POST"
        return httpx.Response(403, json={"detail": "no grant to send"})

    assert said(reply) == ["refused the command: 403 no grant to send"]


def test_a_command_that_is_not_answered_is_told_with_where_to_look(monkeypatch):
    monkeypatch.setattr(smoke, "ANSWERED_WITHIN_S", 0.05)
    monkeypatch.setattr(smoke, "POLL_S", 0.02)
    body = {"status": "accepted", "commit": "net.x.1"}
    (trouble,) = said(lambda *_: httpx.Response(202, json=body))
    assert "no answer within" in trouble
    assert "its commit is net.x.1: antiphon trace" in trouble


@pytest.mark.parametrize("words", [["deploy"], ["destroy"]])
def test_a_file_that_cannot_be_deployed_ends_with_a_sentence(words, tmp_path):
    file = tmp_path / "antiphon.yaml"
    file.write_text("regions: [us-east-1, eu-west-1]")
    result = CliRunner().invoke(app, [*words, str(file)])
    assert result.exit_code == 2
    assert "two regions alone cannot agree" in " ".join(result.output.split())
