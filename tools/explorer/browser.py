"""The explorer in a headless Chromium, for its tests and its benchmark."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--window-size=1366,900",
)
_WAIT = 60  # seconds: a busy machine needs them


class Browser:
    """What is done with a page; `driver` is Selenium's, `downloads` where files come."""

    def __init__(self, driver: Any, downloads: Path):
        driver.set_script_timeout(_WAIT)
        self.driver, self.downloads = driver, downloads

    def open(self, address: str) -> None:
        self.driver.get(address)
        self.wait("document.querySelector('.crf-explorer')?.explorer.result")
        self.wait("!document.querySelector('.crf-explorer').explorer.busy")

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script of one expression, which may be a promise; `app` is the page."""
        return self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1], given = arguments;"
            "const app = document.querySelector('.crf-explorer').explorer;"
            f"Promise.resolve({script}).then(done, (error) => done('ERROR ' + error))",
            *arguments,
        )

    def wait(self, condition: str) -> None:
        from selenium.webdriver.support.wait import WebDriverWait

        WebDriverWait(self.driver, _WAIT).until(
            lambda driver: driver.execute_script(f"return Boolean({condition})"), condition
        )

    def rest(self) -> None:
        """Waits until nothing is computed and the whole picture is shown."""
        app = "document.querySelector('.crf-explorer').explorer"
        self.wait(f"!{app}.busy && {app}.coarse === 1 && !{app}.again")

    def slide(self, name: str, step: int) -> None:
        """Moves a slider by events, as a pointer does, and leaves it alone."""
        self.run(
            f"(() => {{ const s = document.querySelector('input[name={name}]'); s.value = {step};"
            "for (const e of ['input', 'change']) s.dispatchEvent(new Event(e, {bubbles: true}));"
            "})()"
        )
        self.rest()

    def click(self, text: str) -> None:
        buttons = self.driver.find_elements("css selector", "button")
        next(button for button in buttons if text in button.text).click()

    def save(self, text: str, name: str) -> Path:
        """The file of this name that a button saves, once it is whole."""
        path = self.downloads / name
        path.unlink(missing_ok=True)
        self.click(text)
        until = time.monotonic() + _WAIT
        while not path.exists():
            if time.monotonic() > until:
                raise TimeoutError(f"{name} is not among {sorted(self.downloads.iterdir())}.")
            time.sleep(0.05)
        return path

    def message(self) -> str:
        return self.driver.find_element("css selector", ".crf-message").text

    def upload(self, *paths: Path) -> None:
        field = self.driver.find_element("css selector", "input[type=file]")
        field.send_keys("\n".join(map(str, paths)))

    def errors(self) -> list[str]:
        """What the console has said of errors since the last call."""
        return [m["message"] for m in self.driver.get_log("browser") if m["level"] == "SEVERE"]

    def requests(self) -> list[str]:
        """Addresses asked for since the last call, but for what is in the page itself."""
        messages = (json.loads(m["message"])["message"] for m in self.driver.get_log("performance"))
        sent = [m for m in messages if m["method"] == "Network.requestWillBeSent"]
        addresses = [m["params"]["request"]["url"] for m in sent]
        return [a for a in addresses if not a.startswith(("data:", "blob:"))]


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Browser]:
    """A browser whose files and downloads are in a folder.

    Raises:
        ImportError: Selenium is not installed.
        RuntimeError: there is no Chromium.
    """
    from selenium import webdriver

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        raise RuntimeError(
            "There is no Chromium (Debian: apt-get install chromium chromium-driver)."
        )
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*_FLAGS, f"--user-data-dir={folder / 'user'}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    try:
        yield Browser(driver, folder)
    finally:
        driver.quit()
