"""The console on running regions: what is seen has happened, and what is pressed is done."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.chromium import Page
from tests.e2e.conftest import REGIONS, Running, free_block
from tests.e2e.test_dead_letters import activation, letter_of, send

US, EU, AP = REGIONS


def test_of_a_command_everything_is_told_and_nothing_that_it_holds(running: Running):
    command = activation("watched")
    url = f"http://127.0.0.1:{running.aws_port}/_antiphon/watch"
    with httpx.stream("GET", url, timeout=30) as stream:
        lines = stream.iter_lines()
        told = [next(lines)]
        commit = running.post(US, command, Prefer="wait=20").json()["commit"]
        until_s = time.monotonic() + 20
        while (
            time.monotonic() < until_s and f'"kind":"answered","commit":"{commit}"' not in told[-1]
        ):
            told.append(next(lines))
    marks = [
        mark for line in told for mark in json.loads(line)["marks"] if mark["commit"] == commit
    ]
    kinds = {(mark["kind"], mark["region"]) for mark in marks}
    assert ("committed", US) in kinds
    assert ("answered", US) in kinds
    for region in REGIONS:
        assert {("applied", region), ("acknowledged", region)} <= kinds
    assert {mark["projection"] for mark in marks if mark["kind"] == "applied"} == {
        "subscriber-view",
        "activity",
    }
    assert not any(secret in line for secret in command["data"].values() for line in told)


def test_an_answer_is_seen_to_be_held_by_a_cut_and_released_by_healing(
    running: Running, page: Page
):
    page.open(f"http://localhost:{running.base_port}")
    try:
        page.click("Send", within=".guide")
        page.sees(".guide", "every region had applied it")
        page.click("Cut", within=".guide")
        page.sees("#headline", f"{AP} is cut off")
        page.click("Change", within=".guide")
        page.sees(".ledger .held", f"waits for {AP}")
        page.sees("#headline", "1 answer is held")
        page.click("Heal", within=".guide")
        page.sees(".guide", "Released: answered")
        page.sees("#headline", "Everything is answered")
    finally:
        running.cli("wan", "heal")
    assert page.complaints() == []


def test_a_command_is_sent_by_its_form_and_read_back_masked(running: Running, page: Page):
    page.open(f"http://localhost:{running.base_port}")
    page.sees("#panel-try", "Begin a subscription.")
    imsi = page.ask("return document.querySelector('#panel-try [name=imsi]').value")
    page.ask("document.querySelector('#panel-try [name=wait]').click()")
    page.click("Send", within="#panel-try")
    page.sees("#panel-try .verdict", "Answered after")
    page.all(".entry")[0].click()
    page.click("Trace it through every region", within=".ledger li")
    page.sees(".ledger ol.way", "answer built")
    page.click("Read", within=".tabs")
    page.ask(
        "const panel = document.getElementById('panel-read');"
        "panel.querySelector('[name=region]').value = 'ap-south-1';"
        "panel.querySelector('[name=level]').value = 'token';"
    )
    page.click("Read", within="#panel-read")
    page.sees("#panel-read .verdict", "As of sequence 1")
    told = page.sees("#panel-read pre", imsi[-3:])
    assert imsi not in told
    page.ask("document.getElementById('reveal').click()")
    page.sees("#panel-read pre", imsi)


def test_a_dead_letter_is_replayed_by_a_click(running: Running, page: Page):
    command = activation("by-click")
    imsi = command["data"]["imsi"]
    change = {
        "type": "ChangeServiceProfile",
        "command_id": "by-click-later",
        "producer": "e2e-console",
        "expected_sequence": 1,
        "data": {"imsi": imsi, "service_profile": "gold"},
    }
    group = {"MessageGroupId": imsi, "MessageDeduplicationId": "by-click"}
    send(running, EU, "antiphon-commands.fifo", json.dumps(change), **group)
    letter = letter_of(running, EU, lambda one: imsi in (one.payload or ""))
    running.post(EU, command, Prefer="wait=20")
    page.open(f"http://localhost:{running.base_port}")
    page.click("Operate", within=".tabs")
    page.sees("#panel-operate", letter.letter_id)
    page.click("Replay", within=f"[aria-label='{letter.letter_id}']")
    page.eventually(
        lambda: not page.all(f"[aria-label='{letter.letter_id}']"), "the letter is still there"
    )
    assert running.post(EU, change, Prefer="wait=20").json()["status"] == "answered"


@contextmanager
def console_of_a_deployment(running: Running) -> Iterator[str]:
    """Serve the console as for a deployment: it knows addresses of HTTP APIs and no more."""
    port = free_block(1)
    endpoints = [word for one in REGIONS for word in ("--endpoint", f"{one}={running.url(one)}")]
    process = subprocess.Popen(  # noqa: S603 - our own command line
        [sys.executable, "-u", "-m", "antiphon", "console", *endpoints, "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert f"http://localhost:{port}" in process.stdout.readline()
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_of_a_deployment_the_same_page_is_read_by_its_http_apis_alone(running: Running, page: Page):
    try:
        running.cli("wan", "cut", AP)
        with console_of_a_deployment(running) as url:
            page.open(url)
            page.sees("#panel-try", "Begin a subscription.")
            page.click("Send", within="#panel-try")
            page.sees("#panel-try .verdict", "Recorded after")
            page.sees("#headline", "1 answer is held")
            page.sees(".ledger .held", f"waits for {AP}")
            page.sees("#headline", f"{AP} is cut off")
            running.cli("wan", "heal")
            page.sees("#headline", "Everything is answered")
            page.sees(".ledger .answered", "answered after")
            page.click("Operate", within=".tabs")
            page.sees("#panel-operate", f"antiphon --on antiphon.yaml region drain {US}")
            assert page.all("#panel-operate button") == []
            assert page.ask("return document.getElementById('tab-break').offsetParent") is None
            assert page.violations() == []
            assert page.complaints() == []
    finally:
        running.cli("wan", "heal")
