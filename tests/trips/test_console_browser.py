"""The console in a real browser: in by one-time link, power in sight, discharge stopped and released again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from revere.control.desk import (
    AcknowledgeAlarm,
    CallEvent,
    LiftLock,
    OptEvent,
    OrderStation,
    TellCampaign,
    WithdrawEvent,
)
from revere.core.orders import ResetStation, TakeInventory
from tests.trips.pages import BROWSER_TRIP, Watched
from tests.web.conftest import Web, close_web, open_web
from tests.web.fake_desk import PASSWORD, FakeDesk, person

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = BROWSER_TRIP
OTHER_RELEASE = 'event: view\ndata: {"now": "2023-09-07T20:00:00Z", "zone": "America/New_York"}\n\n'


@pytest.fixture
def web() -> Iterator[Web]:
    """The real web over a desk whose time goes on."""
    desk = FakeDesk()
    running, done = open_web(desk), threading.Event()

    def tick() -> None:
        while not done.wait(0.2):
            desk.advance()

    ticker = threading.Thread(target=tick)
    ticker.start()
    yield running
    done.set()
    ticker.join()
    close_web(running)


def test_an_operator_sees_a_firmware_campaign_and_gives_it_up_only_after_a_second_word(
    browser: Browser, web: Web
) -> None:
    seen = Watched(browser, web.base)
    page = seen.page
    page.goto(f"{web.base}/login/once?token={web.links.issue(person('operator'))}")
    card = page.get_by_label("Firmware campaigns")
    card.get_by_text("Stage 2 of 2: 1 done, 1 waiting").wait_for()
    card.get_by_text("boston-cs05 waits: its vehicle leaves within 12 h").wait_for()
    assert card.get_by_role("link", name="boston-cs05").get_attribute("href") == "/stations/boston-cs05"
    card.get_by_role("button", name="Pause").click()
    card.get_by_text("Done.").wait_for()
    card.get_by_role("button", name="Abort").click()
    assert [ask.order for ask in web.desk.asked if isinstance(ask, TellCampaign)] == ["pause"]
    card.get_by_role("button", name="Give up for good").click()
    card.get_by_role("button", name="Abort").wait_for()
    assert [ask.order for ask in web.desk.asked if isinstance(ask, TellCampaign)] == ["pause", "abort"]
    seen.assert_clean()
    seen.context.close()


def test_an_operator_stops_and_releases(browser: Browser, web: Web) -> None:
    seen = Watched(browser, web.base)
    page = seen.page
    page.goto(f"{web.base}/login/once?token={web.links.issue(person('operator'))}")
    power = page.get_by_test_id("power-now")
    power.wait_for()
    assert power.get_attribute("aria-label").startswith("giving 1,0")  # type: ignore[union-attr]
    assert "left" in page.get_by_test_id("event-timer").inner_text()
    assert page.get_by_test_id("at-risk").inner_text() == "▲ 1"
    assert "Boston" in page.get_by_test_id("readiness-row").first.inner_text()

    page.get_by_role("button", name="Stop discharge").click()
    assert web.desk.asked == []  # asked in place first
    page.get_by_role("button", name="Yes, stop now").click()
    page.get_by_text("Discharge is stopped").wait_for()
    page.get_by_text("44 stations at 0 kW").wait_for()
    page.get_by_text("meter showed rest 8 s of simulated time after the order").wait_for()
    page.locator("[data-testid=power-now][aria-label=resting]").wait_for()
    assert [type(ask).__name__ for ask in web.desk.asked] == ["StopDischarge"]

    release = page.get_by_role("button", name="Release")
    assert release.is_disabled()
    page.get_by_label("Reason for the release").fill("checked with the fire department")
    release.click()
    page.get_by_text("Discharge follows the plan").wait_for()
    page.locator("[data-testid=power-now][aria-label^=giving]").wait_for()
    seen.assert_clean()
    seen.context.close()


def test_an_operator_declines_withdraws_and_calls_a_drill(browser: Browser, web: Web) -> None:
    seen = Watched(browser, web.base)
    page = seen.page
    page.goto(f"{web.base}/login/once?token={web.links.issue(person('operator'))}")
    cards = page.get_by_test_id("event-card")
    drill = cards.filter(has_text="Tue, Sep 12")
    drill.wait_for()
    assert "drill" in drill.inner_text()
    today = cards.first
    today.get_by_role("button", name="Decline").click()
    today.get_by_text("counts 0 kW in the season's mean").wait_for()
    assert today.get_by_role("button", name="Decline").is_disabled(), "a reason first"
    today.get_by_label("Reason").fill("a bus is late")
    today.get_by_role("button", name="Decline").click()
    today.get_by_text("Declined by some-operator: a bus is late").wait_for()

    drill.get_by_role("button", name="Withdraw").click()
    drill.get_by_label("Reason").fill("the depot is shut")
    drill.get_by_role("button", name="Withdraw").click()
    page.get_by_text("over or taken back").click()
    page.get_by_text("some-operator: the depot is shut").wait_for()

    page.get_by_role("button", name="Call one").click()
    page.get_by_label("A drill").check()
    page.get_by_label("Day", exact=True).fill("2023-09-13")
    page.get_by_label("From", exact=True).fill("15:30")
    page.get_by_label("To", exact=True).fill("17:00")
    page.get_by_role("button", name="Set the drill").click()
    page.get_by_test_id("call-result").get_by_text("is recorded").wait_for()
    declined, withdrawn, called = web.desk.asked
    assert isinstance(declined, OptEvent)
    assert isinstance(withdrawn, WithdrawEvent)
    assert isinstance(called, CallEvent)
    # 15:30 in New York, whatever the zone of the browser.
    assert (called.drill, called.start.isoformat(), called.end.isoformat()) == (
        True, "2023-09-13T19:30:00+00:00", "2023-09-13T21:00:00+00:00",
    )  # fmt: skip
    seen.assert_clean()
    seen.context.close()


def test_what_is_not_available_is_said_beside_the_figure(browser: Browser, web: Web) -> None:
    seen = Watched(browser, web.base)
    page = seen.page
    page.goto(f"{web.base}/login/once?token={web.links.issue(person('operator'))}")
    page.get_by_test_id("held-back").wait_for()
    assert page.get_by_test_id("available").inner_text() == "1,391 kW"
    assert "+262 kW" in page.get_by_test_id("held-back").inner_text()
    assert "on the road, back by 18:12" in page.get_by_test_id("held-back").inner_text()
    page.get_by_text("135 kW for another reason").click()
    page.get_by_text("2 buses with nothing above the floor").wait_for()
    seen.assert_clean()
    seen.context.close()


def test_readiness_filters_and_the_chart_has_its_table(browser: Browser, web: Web) -> None:
    seen = Watched(browser, web.base)
    page = seen.page
    page.goto(f"{web.base}/login/once?token={web.links.issue(person('operator'))}")
    rows = page.get_by_test_id("readiness-row")
    rows.first.wait_for()
    page.get_by_role("button", name="At risk").click()
    assert rows.count() == 1
    page.get_by_role("button", name="Buses").click()
    page.get_by_label("Find a vehicle or site").fill("wayland")
    assert rows.count() == 4
    page.locator("canvas").wait_for()
    page.get_by_role("button", name="Table").click()
    page.get_by_role("table", name="Fleet power, quarter-hour means").wait_for()
    assert page.get_by_role("row").filter(has_text="giving").count() > 5
    seen.assert_clean()
    seen.context.close()


@pytest.mark.parametrize("width", [390, 768, 820, 1024, 1280])
def test_no_cell_of_the_readiness_board_overprints_its_neighbour(browser: Browser, web: Web, width: int) -> None:
    seen = Watched(browser, web.base)
    page = seen.page
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{web.base}/login/once?token={web.links.issue(person('operator'))}")
    page.get_by_test_id("readiness-row").first.wait_for()
    wide = "row => [...row.querySelectorAll('*')].filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0)"
    over = page.get_by_test_id("readiness-row").evaluate_all(f"rows => rows.flatMap({wide}).map(e => e.className)")
    assert over == []
    seen.context.close()


def test_an_alarm_is_marked_as_seen(browser: Browser, web: Web) -> None:
    seen = Watched(browser, web.base)
    page = seen.page
    page.goto(f"{web.base}/login/once?token={web.links.issue(person('operator'))}")
    with page.expect_response("**/alarms/acknowledge"):
        page.get_by_role("button", name="Seen: Bus 5").click()
    assert web.desk.asked == [AcknowledgeAlarm(key="risk:boston-bus05", by="some-operator")]
    seen.assert_clean()
    seen.context.close()


def test_a_site_opens_its_stations_and_is_stopped_alone(browser: Browser, web: Web) -> None:
    seen = Watched(browser, web.base)
    page = seen.page
    page.goto(f"{web.base}/login/once?token={web.links.issue(person('operator'))}")
    page.get_by_role("button", name="Beverly Public Schools").click()
    page.get_by_text("beverly-cs08").wait_for()
    assert page.get_by_text("grid event; charge").count() >= 8
    page.get_by_role("button", name="Stop discharge here").click()
    page.get_by_role("button", name="Yes, stop discharge at Beverly Public Schools").click()
    page.get_by_text("discharge stopped by a person").first.wait_for()
    assert [getattr(ask, "site_id", None) for ask in web.desk.asked] == ["beverly"]
    seen.assert_clean()
    seen.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_station_has_a_page_where_it_is_locked_and_given_orders(
    browser: Browser, web: Web, width: int, scheme: str
) -> None:
    seen = Watched(browser, web.base, color_scheme=scheme, viewport={"width": width, "height": 900})
    page = seen.page
    page.goto(f"{web.base}/login/once?token={web.links.issue(person('operator'))}")
    page.get_by_role("button", name="Boston Public Schools", exact=True).click()
    page.get_by_text("locked by ann since 15:40: new cable").wait_for()
    page.get_by_label("Sites").get_by_role("link", name="boston-cs05").click()
    page.get_by_role("heading", name="Locked: 0 kW by its meter").wait_for()
    page.get_by_text("native-2.1: OCPP 2.1 set-points, both ways").wait_for()
    page.get_by_text("ends in 20 days").wait_for()
    page.get_by_text("accepted, ▲ not shown by its meter").wait_for()
    page.get_by_text("UpdateDynamicSchedule call").first.wait_for()
    page.get_by_label("What it follows").locator("canvas").wait_for()
    page.get_by_label("What it follows").get_by_role("button", name="Table").click()
    page.get_by_role("cell", name="at most drawing 22 kW").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    lift = page.get_by_role("button", name="Lift")
    assert lift.is_disabled()
    page.get_by_label("Reason", exact=True).fill("seen closed and tested")
    lift.click()
    page.get_by_text("Done.").wait_for()
    page.get_by_role("button", name="Read inventory").click()
    page.get_by_label("Ask", exact=True).get_by_text("Done.").wait_for()
    page.get_by_label("Start anew").get_by_role("button", name="Now").click()
    assert len(web.desk.asked) == 2  # asked in place first
    page.get_by_role("button", name="Reset it now, session and all").click()
    page.get_by_label("Start anew").get_by_text("Done.").wait_for()
    assert web.desk.asked == [
        LiftLock(by="some-operator", why="seen closed and tested", station_id="boston-cs05"),
        OrderStation(station_id="boston-cs05", order=TakeInventory(), by="some-operator"),
        OrderStation(station_id="boston-cs05", order=ResetStation(when="now"), by="some-operator"),
    ]
    seen.assert_clean()
    seen.context.close()


def test_a_lost_heart_and_a_lost_server_are_told(browser: Browser, web: Web) -> None:
    seen = Watched(browser, web.base)
    page = seen.page
    page.goto(f"{web.base}/login/once?token={web.links.issue(person('operator'))}")
    page.get_by_test_id("power-now").wait_for()
    assert page.get_by_role("alert").count() == 0
    web.desk.stale_s = 40.0 * 60.0  # its time runs at 60 × ours
    page.get_by_text("Figures are 40 s old").wait_for()
    web.desk.stale_s = 0.0
    page.get_by_text("Figures are").wait_for(state="detached")
    web.desk.database = "gone"
    page.get_by_text("Database away").wait_for()
    web.desk.database = "ok"
    page.get_by_text("Database away").wait_for(state="detached")
    web.thread.stop()
    page.get_by_text("Connection lost").wait_for()
    assert page.get_by_test_id("power-now").is_visible()  # the last picture stays
    assert seen.foreign == []
    seen.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_public_page_says_calmly_that_its_figures_may_be_old(
    browser: Browser, web: Web, width: int, scheme: str
) -> None:
    seen = Watched(browser, web.base, color_scheme=scheme, viewport={"width": width, "height": 844})
    page = seen.page
    page.goto(web.base + "/")
    page.get_by_test_id("public-power").wait_for()
    assert page.get_by_role("status").count() == 0
    web.desk.database = "gone"
    page.get_by_role("status").get_by_text("These figures may be old").wait_for()
    assert page.get_by_role("alert").count() == 0
    assert page.get_by_test_id("public-power").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    web.desk.database = "ok"
    page.get_by_text("These figures may be old").wait_for(state="detached")
    seen.assert_clean()
    seen.context.close()


@pytest.mark.parametrize(
    ("path", "stream"), [("/", "**/api/v1/live/public"), ("/operator", "**/api/v1/live")], ids=["public", "operator"]
)
def test_a_page_that_cannot_read_what_the_server_sends_asks_for_a_reload(
    browser: Browser, web: Web, path: str, stream: str
) -> None:
    seen = Watched(browser, web.base)
    page = seen.page
    page.goto(f"{web.base}/login/once?token={web.links.issue(person('operator'))}")
    page.get_by_test_id("power-now").wait_for()
    page.route(stream, lambda asked: asked.fulfill(content_type="text/event-stream", body=OTHER_RELEASE))
    page.goto(web.base + path)
    page.get_by_text("do not understand each other").wait_for()
    page.unroute(stream)
    page.get_by_role("button", name="Reload").click()
    page.get_by_test_id("public-power" if path == "/" else "power-now").wait_for()
    assert len(seen.errors) == 1, "what it could not read is in the browser's console"
    seen.context.close()


def test_a_page_whose_parts_are_gone_asks_for_a_reload(browser: Browser, web: Web) -> None:
    seen = Watched(browser, web.base)
    page = seen.page
    page.goto(f"{web.base}/login/once?token={web.links.issue(person('operator'))}")
    page.get_by_test_id("power-now").wait_for()
    page.route("**/assets/Operator-*.js", lambda asked: asked.fulfill(status=404))
    page.reload()
    page.get_by_role("button", name="Reload").wait_for()
    seen.context.close()


def test_a_password_opens_the_page_and_a_wrong_one_says_so(browser: Browser, web: Web) -> None:
    seen = Watched(browser, web.base)
    page = seen.page
    page.goto(f"{web.base}/operator")
    page.wait_for_url("**/login")
    page.get_by_label("Name").fill("some-operator")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_text("Name or password is wrong").wait_for()
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_test_id("power-now").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_test_id("public-power").wait_for()
    page.goto(f"{web.base}/operator")
    page.wait_for_url("**/login")
    assert seen.foreign == []
    seen.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
def test_the_public_page(browser: Browser, web: Web, width: int, scheme: str) -> None:
    seen = Watched(browser, web.base, viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = seen.page
    page.goto(web.base + "/")
    power = page.get_by_test_id("public-power")
    power.wait_for()
    first = power.inner_text()
    assert "MW" in first
    assert "3.33 kW" in page.locator("main").inner_text()
    assert "more than one third" in page.locator("main").inner_text()
    page.locator("canvas").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="colours").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    seen.assert_clean()
    seen.context.close()
