"""A headless Chromium that looks at a page.

$SESAM_SQL_TEST_BROWSER = required makes a test fail where there is none; else it is skipped, since Chromium is large.
"""

import os
import shutil

import pytest

# Nothing but the page is to be asked for by anybody. Root has no sandbox, and a container hardly any shared memory.
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")

# The page's seconds are a tenth of what they are.
HURRY = "const later = setTimeout, again = setInterval;" \
        "window.setTimeout = (what, ms) => later(what, ms / 10); window.setInterval = (what, ms) => again(what, ms / 10);"

ROWS = """
return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)].map(row => Object.fromEntries(
    [...row.cells].map((cell, i) => [i ? cell.dataset.label : 'name', cell.innerText.split('\\n')])));
"""


def absent(why):
    if os.environ.get("SESAM_SQL_TEST_BROWSER") == "required":
        pytest.fail(why)
    pytest.skip(f"{why}; scripts/test --all installs it")


def start(folder):
    """A driver of Chromium that keeps its files in a folder."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        absent("there is no Chromium")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        absent("there is no Selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={folder}/profile"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(driver, env={**os.environ, "HOME": str(folder)}))


class Page:
    """The status page in a tab."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, url):
        self.driver.get(url)

    def hurry(self):
        """All pages that are opened from now on."""
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": HURRY})

    def wait(self, milliseconds):
        self.driver.execute_async_script("later(arguments[1], arguments[0])", milliseconds)

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def verdict(self):
        return self.text("#verdict")

    def freshness(self):
        """What is said about the age of the figures; nothing while they are fresh."""
        return self.run("const e = document.getElementById('freshness'); return e.hidden ? '' : e.innerText")

    def mood(self):
        """good, warn, bad or nothing, and how old the figures are: "", "old" or "unread"."""
        return self.run("return [document.getElementById('verdict').className, document.body.className]")

    def rows(self, section):
        """The rows of a table: what stands in each cell, line by line, by its column."""
        return self.run(ROWS, section)

    def press(self):
        self.run("document.getElementById('pause').click()")

    def ask(self):
        """Makes it look now."""
        if self.text("#pause") == "Pause":
            self.press()
        self.press()

    def looks(self):
        """How often it has asked."""
        return self.run("return performance.getEntriesByType('resource').filter(e => e.name.endsWith('/status')).length")

    def emulate(self, width=1280, scheme="light"):
        command = self.driver.execute_cdp_cmd
        command("Emulation.setDeviceMetricsOverride",
                {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500})
        command("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def headers(self, **headers):
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": headers})

    def logged(self, kind):
        return self.driver.get_log(kind)
