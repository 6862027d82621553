"""A real browser for the console's tests: Debian's Chromium, without a window.

Where there is none the tests are skipped, and say what is missing; with
ANTIPHON_REQUIRE_CHROMIUM they fail instead, so that a run which must have it cannot do without.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException, WebDriverException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

AXE = Path(__file__).parent / "axe" / "axe.min.js"
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
WITHIN_S = 30.0
_LOOK_S = 0.05
# One question each: to ask of every element by itself took most of the time of these tests.
_TEXT_WITH = """
const [selector, text] = arguments;
const said = (one) => one.checkVisibility() ? (one.innerText ?? one.textContent) : "";
return [...document.querySelectorAll(selector)].map(said).find((one) => one.includes(text)) ?? null;
"""
_BUTTON_CALLED = """
const [selector, name] = arguments;
const named = (one) => [one.innerText.trim(), one.getAttribute("aria-label")].includes(name);
const can = (one) => named(one) && !one.disabled && one.checkVisibility();
const found = [...document.querySelectorAll(selector)].find(can);
found?.scrollIntoView({block: "center"});
return found ?? null;
"""
_DRAWN_FOR = """
const [ms, done] = arguments;
const until = performance.now() + ms;
const frame = () => performance.now() < until ? requestAnimationFrame(frame) : done();
frame();
"""
_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1440,1000",
)


class Page:
    """The console in a browser, as a person uses it: by what is said and seen."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(
        self, url: str, *, width: int = 1440, height: int = 1000, scheme: str = "light"
    ) -> None:
        """Open an address in a window of this size, once the console says that it is live."""
        wanted = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [wanted]})
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        # What the page before has left to complain of is not this one's.
        self.driver.get("about:blank")
        self.complaints()
        self.driver.get(url)
        self.sees("#stream", "live")

    def sees(self, selector: str, text: str, *, within_s: float = WITHIN_S) -> str:
        """Wait until an element has a text; returns all of it."""

        def seen() -> str | None:
            found: str | None = self.ask(_TEXT_WITH, selector, text)
            return found

        return self.eventually(seen, f"{selector} never said {text!r}", within_s=within_s)

    def click(self, name: str, *, within: str = "body") -> None:
        """Press the button that is called so, once it can be pressed."""

        def pressed() -> bool:
            button = self.ask(_BUTTON_CALLED, f"{within} button", name)
            if button is None:
                return False
            button.click()
            return True

        self.eventually(pressed, f"there is no button {name!r} to press")

    def press(self, key: str) -> None:
        """Press a key where the focus is."""
        self.driver.switch_to.active_element.send_keys(key)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def ask(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def draws_for(self, seconds: float) -> None:
        """Wait until the page has drawn its frames for so long, by its own clock."""
        self.driver.execute_async_script(_DRAWN_FOR, seconds * 1000)

    def violations(self, within: str = "html", *, only: Sequence[str] = WCAG) -> list[str]:
        """What axe finds wrong with the page, or a part of it, as it is now, each in a line."""
        if not self.ask("return Boolean(window.axe)"):
            self.driver.execute_script(AXE.read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "const [within, runOnly, done] = arguments;"
            "axe.run(within, {runOnly}).then((told) => done(told.violations))",
            within,
            list(only),
        )
        return [
            f"{one['id']}: {node['target']} {node['failureSummary']}"
            for one in found
            for node in one["nodes"]
        ]

    def costs(self) -> dict[str, float]:
        """What the page has cost the browser so far, and holds now that what is unused is gone."""
        self.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        self.driver.execute_cdp_cmd("Performance.enable", {})
        told = self.driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        return {one["name"]: one["value"] for one in told}

    def complaints(self) -> list[str]:
        """What the browser itself had to complain of, such as a breach of the page's policy."""
        told = [one["message"] for one in self.driver.get_log("browser")]
        # A region on a busy machine may say that it is: the page asks again, and is right to.
        return [one for one in told if "a status of 503" not in one]

    @staticmethod
    def eventually(look: Callable[[], Any], otherwise: str, *, within_s: float = WITHIN_S) -> Any:
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            try:
                if found := look():
                    return found
            except StaleElementReferenceException:
                # Drawn anew in between: the next look finds the new one.
                continue
            except WebDriverException as error:
                if "intercepted" not in str(error):
                    raise
            time.sleep(_LOOK_S)
        raise AssertionError(otherwise)


@pytest.fixture
def page(browser: webdriver.Chrome) -> Iterator[Page]:
    yield Page(browser)
    # A console that stays open follows every commit of the tests that come after.
    browser.get("about:blank")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        why = "no chromium and chromedriver here (Debian: apt-get install chromium-driver)"
        if os.environ.get("ANTIPHON_REQUIRE_CHROMIUM"):  # noqa: TID251 - the tests' own switch
            pytest.fail(why)
        pytest.skip(why)
    options = Options()
    options.binary_location = chromium
    for option in (*_OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driven = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield driven
    finally:
        driven.quit()
