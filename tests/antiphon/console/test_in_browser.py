"""The page in a real browser: for everybody, on every screen, under load, and cut off itself."""

import json
import time
from pathlib import Path

import pytest

from antiphon.trace import trace_json
from antiphon.tracing import Stage, Trace
from eventstore.commits import LAST_MS
from eventstore.identity import Keys
from infra.local import watching
from projections.answers import build_superseded, status_of
from tests.antiphon.console.pretended import AP, EU, REGIONS, SUBSCRIBER, US, Pretended
from tests.chromium import WCAG, Page
from tests.commits import a_commit

TABS = ("Send", "Read", "Break", "History", "Operate")
MANY = 10_000
# What the page may come to under load: some ten times what it does come to.
MOST_NODES = 20_000
MOST_HEAP_BYTES = 25_000_000
MOST_SCRIPT_MS_A_COMMIT = 0.5
FLIGHT_S = 0.7
# A command of the command line has a process of its own to start.
COMMAND_WITHIN_S = 90.0
# What a page keeps of commits, answered ones first to go (`static/system.js`).
MOST_KEPT = 300


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nobody_is_shut_out(page: Page, pretended: Pretended, scheme: str):
    pretended.held[US] = [f"s.{1:026d}.1"]
    pretended.letters = 2
    pretended.cut = {(US, AP)}
    page.open(pretended.url, scheme=scheme)
    page.sees("#headline", "1 answer is held")
    pretended.do(lambda: pretended.commit(2))
    page.sees(".ledger", "Change service profile")
    # By the scheme only colours change: what is said of all else need be found out once.
    rules = WCAG if scheme == "light" else ("color-contrast",)
    assert page.violations(only=rules) == []
    for tab in TABS[1:]:
        page.click(tab, within=".tabs")
        assert page.violations(within=".tools", only=rules) == [], tab
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
    before, begun_s = page.costs(), time.monotonic()
    for first in range(0, MANY, 250):
        pretended.do(lambda first=first: [pretended.commit(n) for n in range(first, first + 250)])
    page.sees("#subline", f"{MANY:,} commits")
    page.sees("#tally", "counted and not shown")
    # It still does what it is asked to.
    page.click("Break", within=".tabs")
    page.sees("#panel-break", "Does everything agree?")
    took_s, after = time.monotonic() - begun_s, page.costs()
    assert page.ask("return document.querySelectorAll('*').length") < 2500
    assert page.ask("return document.querySelectorAll('.ledger > li').length") <= 30
    assert after["Nodes"] < MOST_NODES
    assert after["JSHeapUsedSize"] - before["JSHeapUsedSize"] < MOST_HEAP_BYTES
    script_s = after["ScriptDuration"] - before["ScriptDuration"]
    assert script_s < MOST_SCRIPT_MS_A_COMMIT * MANY / 1000
    assert took_s < 120


def marks(page: Page) -> list[tuple[str, str]]:
    """Return what is on its way on the map: the commit of each mark, and its kind."""
    found = page.ask(
        "return [...document.querySelectorAll('.net g > g > title')].map((one) =>"
        " [one.textContent, one.parentElement.querySelector('circle').getAttribute('class')])"
    )
    return [(title, kind) for title, kind in found]


def test_every_mark_is_a_real_commit_and_is_never_ahead_of_it(page: Page, pretended: Pretended):
    page.open(pretended.url)
    page.sees("#subline", "3 regions serve")
    assert marks(page) == []
    pretended.do(lambda: pretended.commit(7, arrives=[EU]))
    title = f"commit s.{7:026d}.1, ChangeServiceProfile"
    # One mark has arrived and waits for its acknowledgement; one has not, however long it takes.
    page.eventually(
        lambda: marks(page) == [(title, "mark-back"), (title, "mark-out")], "no mark has arrived"
    )
    page.draws_for(2 * FLIGHT_S)
    assert marks(page) == [(title, "mark-back"), (title, "mark-out")]
    here, there = page.ask(
        "const dot = document.querySelectorAll('.net .dot')[1];"
        "const at = (name) => Number(dot.getAttribute(name)).toFixed(1);"
        "const mark = document.querySelector('.net g > g:has(> title)');"
        "return [`translate(${at('cx')} ${at('cy')})`, mark.getAttribute('transform')]"
    )
    assert here == there, "it has left before its acknowledgement was sent"


def test_personal_data_is_masked_until_it_is_asked_for(page: Page, pretended: Pretended):
    page.open(pretended.url)
    page.click("Read", within=".tabs")
    page.ask("document.querySelector('#panel-read [name=id]').value = '1'")
    page.click("Read", within="#panel-read")
    shown = page.sees("#panel-read pre", "applied_sequence")
    personal = [SUBSCRIBER[name] for name in ("imsi", "msisdn", "iccid")]
    assert not any(str(one) in page.ask("return document.body.innerText") for one in personal)
    assert str(SUBSCRIBER["imsi"])[-3:] in shown
    page.ask("document.getElementById('reveal').click()")
    revealed = page.sees("#panel-read pre", str(SUBSCRIBER["imsi"]))
    assert all(str(one) in revealed for one in personal)


def test_a_lost_connection_says_so_and_recovers(page: Page, pretended: Pretended):
    page.open(pretended.url)
    pretended.do(lambda: pretended.commit(1))
    page.sees(".ledger", "Change service profile")
    pretended.close_console()
    page.sees("#stream", "connection lost, trying again")
    page.eventually(lambda: not pretended.watch.is_watched, "the console is followed still")
    pretended.open_console()
    page.sees("#stream", "live")
    # What the regions are asked is told before what happens there is followed.
    page.eventually(lambda: pretended.watch.is_watched, "nothing is followed again")
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


def commits_known(page: Page) -> list[str]:
    """Return the commits that the page keeps, oldest first."""
    known: list[str] = page.driver.execute_async_script(
        "const done = arguments[0];"
        "import('/static/system.js').then(({system}) => done([...system.commits.keys()]))"
    )
    return known


def test_a_page_keeps_three_hundred_commits_and_what_is_held_among_them(
    page: Page, pretended: Pretended, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(watching, "NEW_A_TICK", MOST_KEPT * 2)
    page.open(pretended.url)

    def happen() -> None:
        for number in range(MOST_KEPT + 60):
            pretended.commit(number)
            # All but the first are answered.
            if number:
                pretended.answer(number)

    pretended.do(happen)
    last = f"s.{MOST_KEPT + 59:026d}.1"
    page.eventually(lambda: last in commits_known(page), "the last commit was never seen")
    known = commits_known(page)
    assert len(known) == MOST_KEPT
    assert known[0] == f"s.{0:026d}.1", "what is held has dropped out of sight"


def test_a_commit_that_a_later_branch_left_aside_is_told_as_superseded(
    page: Page, pretended: Pretended
):
    at = a_commit()
    page.open(pretended.url)
    pretended.do(lambda: pretended.commit(1))
    page.sees(".ledger .what", "in us-east-1")
    body = build_superseded(at, keys=Keys(b"a secret of the tests"), answered_at_ms=LAST_MS // 9)
    answer = json.loads(body)
    # As the region's own API tells it, once it owes no answer any more.
    pretended.commands[f"s.{1:026d}.1"] = {"status": status_of(answer), "answer": answer}

    def told() -> bool:
        # Whatever is ordered, the console looks at the regions again.
        page.ask("fetch('/api/network', {method: 'POST', headers: {'Antiphon-Console': '1'}})")
        return any("superseded in us-east-1" in one.text for one in page.all(".ledger"))

    page.eventually(told, "it was never told")
    page.sees(".ledger .answered", "answered after")


def test_of_a_deployment_an_operator_is_told_what_to_type_and_why(page: Page, pretended: Pretended):
    with pretended.of_a_deployment(file=None) as url:
        page.open(url)
        page.click("Operate", within=".tabs")
        page.sees("#panel-operate", "antiphon --on antiphon.yaml region drain us-east-1 --lost")
        page.sees("#panel-operate", "no routes of the HTTP API")
        page.ask(
            "const region = document.querySelector('#panel-operate [name=region]');"
            "region.value = arguments[0]; region.dispatchEvent(new Event('change'))",
            EU,
        )
        page.sees("#panel-operate", f"antiphon --on antiphon.yaml region drain {EU}")
        page.sees("#panel-operate", f"rebuild subscriber-view --region {EU}")
        assert page.all("#panel-operate button") == []
        assert page.violations(within=".tools") == []
        # Where aggregates have homes a lost region is evicted, which takes those.
        pretended.homes = {one: {"slots": 1, "leaving": 0, "evicted_from": 0} for one in REGIONS}
        page.sees("#panel-operate", f"antiphon --on antiphon.yaml region evict {EU}")


def test_of_a_deployment_whose_file_is_known_an_operator_acts_by_its_commands(
    page: Page, pretended: Pretended, tmp_path: Path
):
    file = tmp_path / "none.yaml"
    with pretended.of_a_deployment(file=file) as url:
        page.open(url)
        page.click("Operate", within=".tabs")
        assert page.ask("return document.getElementById('tab-break').offsetParent") is None
        # It looks for dead letters at once, in the command line's own words: there is no such file.
        page.sees("#panel-operate", "none.yaml cannot be read", within_s=COMMAND_WITHIN_S)
        names = [one.text for one in page.all("#panel-operate button")]
        assert {"Trace", "Drain", "Undrain", "Rebuild", "Give up"} <= set(names)
        assert page.violations(within=".tools") == []
