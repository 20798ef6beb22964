"""The real page on the real house: an event afternoon in Chromium over PostgreSQL, sockets and stations of its own."""

from __future__ import annotations

import re
import secrets
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.trips.pages import BROWSER_TRIP, Watched
from tests.trips.rig import SMALL
from tests.trips.walls import Site, soon

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.wall, *BROWSER_TRIP]
SPEED = "400"
"""The event comes 90 min after the opening: in 14 s."""
BEGINS_WITHIN_MS = 60_000
STOP_S = 40
VEHICLES = 6


@pytest.fixture
def place(pg_folder: Path) -> Iterator[Site]:
    """A demonstration of the small programme under way."""
    found = Site(folder=pg_folder / f"page-{secrets.token_hex(4)}")
    found.folder.mkdir(mode=0o711)
    try:
        ports = ("--port", str(found.web_port), "--ocpp-port", str(found.ocpp_port))
        demo = found.spawn("demo", str(SMALL), "--speed", SPEED, "--keep", str(found.state), *ports)

        def greeted() -> bool:
            said = _said(found)
            assert demo.poll() is None, said
            return "Ctrl-C stops everything" in said

        soon(greeted, "the addresses are printed", within_s=90)
        yield found
        demo.send_signal(signal.SIGINT)
        assert demo.wait(STOP_S) == 0
    finally:
        found.close()
        shutil.rmtree(found.folder, ignore_errors=True)


def _said(place: Site) -> str:
    return (place.folder / "demo.log").read_text()


def test_an_operator_sees_the_event_stops_it_and_everybody_sees_the_power(browser: Browser, place: Site) -> None:
    link = re.search(r"http://\S+/login/once\?token=\S+", _said(place))
    assert link is not None
    assert "WARNING" not in _said(place), "the pages are there, and those of these sources"
    base = f"http://127.0.0.1:{place.web_port}"
    operator, public = Watched(browser, base), Watched(browser, base)
    page, everybody = operator.page, public.page
    page.goto(link.group(0))
    everybody.goto(base + "/")

    rows = page.get_by_test_id("readiness-row")
    rows.first.wait_for()
    for row in rows.all():
        assert len(row.locator(".why").inner_text().split()) > 2, "each says why"
    assert rows.count() == len(place.view()["readiness"]) == VEHICLES

    page.get_by_test_id("event-timer").get_by_text("left").wait_for(timeout=BEGINS_WITHIN_MS)
    giving = page.locator("[data-testid=power-now][aria-label^=giving]")
    giving.wait_for()
    shown = page.get_by_test_id("power-now").inner_text()
    assert re.search(r"giving\s+\d+\s*kW", shown), shown
    everybody.get_by_text("from parked vehicles to buildings and the grid").wait_for()
    assert re.fullmatch(r"\d+ kW", everybody.get_by_test_id("public-power").inner_text())

    page.get_by_role("button", name="Stop discharge", exact=True).click()
    page.get_by_role("button", name="Yes, stop now").click()
    page.get_by_text("Discharge is stopped").wait_for()
    page.get_by_test_id("stop-progress").get_by_text("after the order").wait_for()
    giving.wait_for(state="detached")
    assert min(row["power_kw"] or 0.0 for row in place.view()["station_rows"]) >= -0.5, "by every station's meter"
    alarm = page.get_by_label("Alarms").get_by_text("Promised")
    alarm.wait_for()
    assert "discharge stopped" in alarm.inner_text(), "why the promise is not kept"
    everybody.get_by_text("from parked vehicles to buildings and the grid").wait_for(state="detached")
    for seen in (operator, public):
        seen.assert_clean()
        seen.context.close()
