"""The page in a real browser: for everybody, on every screen, under load, and cut off itself."""

import time

import pytest

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
