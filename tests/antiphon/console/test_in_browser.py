"""The page in a real browser: for everybody, on every screen, under load, and cut off itself."""

import json
import time

import pytest

from antiphon.trace import trace_json
from antiphon.tracing import Stage, Trace
from tests.antiphon.console.pretended import AP, US, Pretended
from tests.chromium import Page

TABS = ("Send", "Read", "Break", "History", "Operate")
MANY = 10_000


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(page: Page, pretended: Pretended, scheme: str):
    pretended.held[US] = [f"s.{1:026d}.1"]
    pretended.letters = 2
    pretended.cut = {(US, AP)}
    page.open(pretended.url, scheme=scheme)
    page.sees("#headline", "1 answer is held")
    pretended.do(lambda: pretended.commit(2))
    page.sees(".ledger", "Change service profile")
    # The colours are the same on every tab; everything else is in either scheme.
    for tab in TABS if scheme == "light" else ("Send", "Operate"):
        page.click(tab, within=".tabs")
        assert page.violations() == [], tab
    assert page.complaints() == []


def test_on_a_phone_everything_fits(page: Page, pretended: Pretended):
    page.open(pretended.url, width=360, height=740)
    pretended.do(lambda: pretended.commit(1))
    page.sees(".ledger", "Change service profile")
    for tab in TABS:
        page.click(tab, within=".tabs")
        too_wide = page.ask(
            "return [...document.querySelectorAll('main *')].filter((one) =>"
            " one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.tabs, pre'))"
            ".map((one) => one.outerHTML.slice(0, 120))"
        )
        assert too_wide == [], tab
    assert page.violations() == []


def test_ten_thousand_commands_are_counted_to_the_last_and_the_page_goes_on(
    page: Page, pretended: Pretended
):
    page.open(pretended.url)
    begun_s = time.monotonic()
    for first in range(0, MANY, 250):
        pretended.do(lambda first=first: [pretended.commit(n) for n in range(first, first + 250)])
        time.sleep(0.02)
    page.sees("#subline", f"{MANY:,} commits")
    page.sees("#tally", "counted and not shown")
    # It still does what it is asked to.
    page.click("Break", within=".tabs")
    page.sees("#panel-break", "Does everything agree?")
    assert page.ask("return document.querySelectorAll('*').length") < 2500
    assert page.ask("return document.querySelectorAll('.ledger > li').length") <= 30
    assert time.monotonic() - begun_s < 120


def test_a_lost_connection_says_so_and_recovers(page: Page, pretended: Pretended):
    page.open(pretended.url)
    pretended.do(lambda: pretended.commit(1))
    page.sees(".ledger", "Change service profile")
    pretended.close_console()
    page.sees("#stream", "connection lost, trying again")
    pretended.open_console()
    page.sees("#stream", "live")
    pretended.do(lambda: pretended.commit(2))
    page.sees("#subline", "1 commit seen")


def test_what_cannot_be_read_is_told_and_does_not_stand_still(page: Page, pretended: Pretended):
    page.open(pretended.url)
    pretended.is_garbled = True
    page.sees("#stream", "the regions do not answer")
    pretended.is_garbled = False
    page.sees("#stream", "live")


def test_the_tools_are_reached_by_keys_alone(page: Page, pretended: Pretended):
    page.open(pretended.url)
    page.sees(".guide", "Send")
    reached = page.ask(
        "const all = [...document.querySelectorAll('button, input, select, textarea, summary')];"
        "return all.filter((one) => one.offsetParent && !one.disabled && one.tabIndex < 0"
        " && one.getAttribute('role') !== 'tab').map((one) => one.outerHTML)"
    )
    assert reached == []
    page.ask("document.getElementById('tab-try').focus()")
    page.press("\ue014")
    page.sees("#panel-read", "A stale read, on purpose")
    assert page.ask("return document.activeElement.id") == "tab-read"


def test_a_trace_is_drawn_step_by_step_with_what_is_missing(page: Page, pretended: Pretended):
    commit = f"s.{'a' * 26}.1"
    stages = [
        Stage(region=US, step="came in", at_ms=0, after_ms=0, since_ms=0),
        Stage(region=US, step="committed", at_ms=70, after_ms=70, since_ms=0),
        Stage(region=AP, step="arrived", at_ms=60, after_ms=60, since_ms=70),
    ]
    told = Trace(
        commit=commit,
        aggregate_id=commit[:-2],
        sequence=1,
        type="ActivateSubscriber",
        command_id="1",
        producer="x",
        outcome="accepted",
        origin=US,
        answering=US,
        correlation_id="c",
        traceparent=None,
        came_in_at_ms=0,
        answer_kept=False,
        published_at_ms=None,
        stages=stages,
        missing=[f"{AP} has not applied it"],
    )
    page.open(pretended.url)
    page.sees("#subline", "3 regions serve")
    said = [{"command": "antiphon trace"}]
    said += [{"line": json.dumps(trace_json(told) | {"dead_letters": []})}, {"ended": 0}]
    # What the command line says, in place of a running system's.
    page.ask(
        "const said = arguments[0]; window.fetch = async () => new Response(said)",
        "".join(f"{json.dumps(one)}\n" for one in said),
    )
    page.click("Operate", within=".tabs")
    page.ask("document.querySelector('[name=identifier]').value = arguments[0]", commit)
    page.click("Trace", within="#panel-operate")
    drawn = page.sees("#panel-operate ol.way", "arrived")
    assert "before its cause: a clock is wrong" in drawn
    assert drawn.count(US) == 1
    page.sees("#panel-operate .verdict", f"{AP} has not applied it")
    page.sees("#panel-operate", "the floor, 252 ms")
    assert page.violations() == []
