"""For the trips: as many fresh databases as one needs, in the test process's throw-away cluster, and a browser."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.databases import fresh_database
from tests.trips.pages import CHROMIUM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

    from revere.store.postgres import EmbeddedPostgres


@pytest.fixture(scope="module")
def fresh_dsn(pg: EmbeddedPostgres) -> Iterator[Callable[[], str]]:
    """Each call gives the application's DSN of another migrated database."""
    with ExitStack() as made:
        yield lambda: pg.dsn_of(made.enter_context(fresh_database(pg)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield running
        running.close()
