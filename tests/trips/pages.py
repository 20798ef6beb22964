"""Pages in a real browser, for the trips: Debian's Chromium, and what it complained of."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from revere.web.built import complaint

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
BROWSER_TRIP = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(bool(complaint()), reason=complaint()),
]
WAIT_MS = 10_000


class Watched:
    """A page whose console errors and foreign requests are written down."""

    def __init__(self, browser: Browser, base: str, **context: object) -> None:
        self.context = browser.new_context(**context)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.errors: list[str] = []
        self.foreign: list[str] = []
        self.page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda asked: None if asked.url.startswith(base) else self.foreign.append(asked.url))

    def assert_clean(self) -> None:
        """No error in the console, no request beyond our own origin."""
        assert self.errors == []
        assert self.foreign == []
