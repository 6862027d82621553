"""A region is taken out and brought back while commands come in, by the command line alone."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.e2e.conftest import REGIONS, Running

US, EU, AP = REGIONS


class Producer:
    """Activates subscribers, one a moment, in each region that serves, and keeps what it got."""

    def __init__(self, running: Running, *, series: int) -> None:
        self._series = series
        self.accepted: list[dict[str, Any]] = []
        self.refused: dict[str, set[str]] = {region: set() for region in REGIONS}
        self._running = running
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._produce, args=[number, region])
            for number, region in enumerate(REGIONS)
        ]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            for thread in self._threads:
                thread.join()

    def _produce(self, number: int, region: str) -> None:
        count = 0
        while not self._stopped.wait(0.7):
            count += 1
            try:
                told = self._post(region, f"2620{self._series}{number}{count:09}")
            except httpx.TransportError:
                continue  # a region that is killed
            if told.status_code == httpx.codes.ACCEPTED:
                self.accepted.append(told.json())
            elif told.headers["Content-Type"] == "application/problem+json":
                self.refused[region].add(told.json()["detail"].partition(" and ")[0])

    def _post(self, region: str, imsi: str) -> httpx.Response:
        return self._running.post(
            region,
            {
                "type": "ActivateSubscriber",
                "command_id": "drained",
                "producer": "e2e",
                "data": {
                    "imsi": imsi,
                    "msisdn": "+4915112345678",
                    "iccid": "8949020000012345670",
                    "service_profile": "consumer-5g",
                },
            },
        )


def settled_answer(running: Running, region: str, commit: str) -> dict[str, Any]:
    """Return the answer to a commit, as a region that serves tells it, within a minute."""
    until_s = time.monotonic() + 60
    while True:
        told = running.get(region, f"/commands/{commit}").json()
        if told["answer"] is not None:
            answer: dict[str, Any] = told["answer"]
            return answer
        assert time.monotonic() < until_s, told
        time.sleep(0.2)


def test_a_region_is_drained_and_brought_back_while_commands_come_in(running: Running):
    producer = Producer(running, series=6)
    with producer.at_work():
        drained = running.cli("region", "drain", AP)
        assert drained.exit_code == 0, drained.output
        assert "safe to take it away" in drained.output
        taken_before = len(producer.accepted)

        shown = running.cli("region", "show").output
        assert "drained" in shown
        health = running.get(AP, "/health")
        assert (health.status_code, health.json()["state"]) == (503, "drained")

        returned = running.cli("region", "undrain", AP)
        assert returned.exit_code == 0, returned.output
        taken_after = len(producer.accepted)
        until_s = time.monotonic() + 60
        while running.get(AP, "/health").status_code != httpx.codes.OK:
            assert time.monotonic() < until_s
            time.sleep(0.2)

    assert 0 < taken_before < taken_after, "the others went on taking commands"
    assert f"{AP} is drained" in producer.refused[AP]
    assert not producer.refused[US] | producer.refused[EU]
    answers = [settled_answer(running, AP, told["commit"]) for told in producer.accepted]
    for told, answer in zip(producer.accepted, answers, strict=True):
        assert answer["command"]["commit"] == told["commit"]
        assert sorted([*answer["regions"], *answer["drained"]]) == sorted(REGIONS)
    assert [AP] in [answer["drained"] for answer in answers]
    # What was answered without it, it has.
    for told in producer.accepted:
        read = running.get(AP, f"/commands/{told['commit']}").json()
        assert read["status"] == "answered"
    verified = running.cli("verify", "--settle", "60")
    assert verified.exit_code == 0, verified.output


def test_what_cannot_be_done_to_a_region_is_told_in_one_sentence(running: Running):
    before = running.cli("region", "show", "--json").output

    for words, told in [
        (["drain", "mars"], "no region mars here"),
        (["undrain", US], "us-east-1 serves already"),
        (["drain", US, "--adopt", EU], "say --lost, too"),
        (["drain", US, "--lost", "--adopt", US], "us-east-1 cannot answer for us-east-1"),
    ]:
        refused = running.cli("region", *words)
        assert refused.exit_code == 2
        assert told in refused.output.replace("\n", " ")

    assert running.cli("region", "show", "--json").output == before


def test_a_region_is_lost_adopted_repaired_and_brought_back(running: Running):
    producer = Producer(running, series=7)
    with producer.at_work():
        until_s = time.monotonic() + 60
        while not any(told["region"] == AP for told in producer.accepted):
            assert time.monotonic() < until_s
            time.sleep(0.1)
        killed = running.cli("region", "kill", AP)
        assert killed.exit_code == 0, killed.output
        lost = running.cli("region", "drain", AP, "--lost", "--adopt", EU)
        assert lost.exit_code == 0, lost.output
        assert f"{EU} answers what came in there" in lost.output

    theirs = [told for told in producer.accepted if told["region"] == AP]
    assert theirs
    for told in producer.accepted:
        answer = settled_answer(running, US, told["commit"])
        assert {US, EU} <= set(answer["regions"])
        assert sorted([*answer["regions"], *answer["drained"]]) == sorted(REGIONS)
    verified = running.cli("verify", "--settle", "60")
    assert verified.exit_code == 0, verified.output

    started = running.cli("region", "start", AP)
    assert started.exit_code == 0, started.output
    returned = running.cli("region", "undrain", AP)
    assert returned.exit_code == 0, returned.output
    verified = running.cli("verify", "--settle", "90")
    assert verified.exit_code == 0, verified.output
