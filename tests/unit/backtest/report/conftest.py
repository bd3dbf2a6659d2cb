"""A real browser, where the machine has one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

#: What Chromium is called by Debian and Fedora, by other systems, and by Google.
_CALLED = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass
class Opened:
    """A page that was opened from disk, and what a user would not see: complaints, and requests beside its own."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")  # while it is open, no asynchronous test can run in this process
def chromium() -> Iterator[Browser]:
    program = next((found for name in _CALLED if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("there is no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Browser, file: Path, scheme: Literal["light", "dark"] = "light") -> Opened:
    """Open a page from disk as a laptop shows it."""
    found = Opened(browser.new_page(viewport={"width": 1366, "height": 768}, color_scheme=scheme))
    found.page.on("console", lambda message: found.complaints.append(f"{message.type}: {message.text}"))
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(file.as_uri())
    found.requests.remove(file.as_uri())
    return found
