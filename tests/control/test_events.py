"""A GridEvent's life: decided once, promised once, settled once, and patient where the world is not ready."""

from __future__ import annotations

import asyncio
import datetime as dt

import msgspec
import numpy as np
import pytest

from revere.control.events import CLOSE_RETRY_LAST
from revere.control.snapshot import take_snapshot
from revere.core import facts as f
from revere.core.ids import GridEventId, SiteId
from revere.plan.schedule import Scheduler
from revere.settle.rules import load_rulebook
from tests.control.books import Desk
from tests.control.scenes import NOON, House, called, contracts_of, fleet, minutes, opted, program, ready_image

E1 = GridEventId("e1")


def test_a_call_is_opted_into_once_and_never_after_its_end() -> None:
    async def play() -> list[str]:
        desk = Desk(called("e1"), called("past", NOON - minutes(300), hours=1.0), called("off", cancelled=True))
        for _ in range(3):
            await desk.desk.decide(NOON)
        return [fact.grid_event_id for fact in desk.journal.of(f.OptDecided)]

    assert asyncio.run(play()) == ["e1"]


def test_settled_and_reported_once_after_the_last_values_had_time() -> None:
    async def play() -> tuple[int, list[str], bool]:
        desk = Desk()
        await desk.desk.close_due(NOON + minutes(6), clock_synchronised=True)
        early = len(desk.utility.reports)
        await desk.every(5, 120)
        return early, desk.utility.reports, desk.image.events[E1].reported

    assert asyncio.run(play()) == (0, ["e1"], True)


@pytest.mark.parametrize(
    "fact",
    [called(start=NOON - minutes(180), modification=1, cancelled=True), opted(opt="out", at=NOON - minutes(200))],
)
def test_a_cancelled_or_declined_call_is_not_reported(fact: f.Fact) -> None:
    async def play() -> list[str]:
        desk = Desk()
        desk.image.apply(fact)
        await desk.every(5, 60)
        return desk.utility.reports

    assert asyncio.run(play()) == []


def test_while_our_clock_is_wrong_nothing_is_settled_and_one_alarm_says_so() -> None:
    async def play() -> tuple[int, int, int, list[str]]:
        desk = Desk()
        await desk.every(5, 3600, synchronised=False)
        alarms, asked, posted = len(desk.journal.of(f.AlarmRaised)), desk.books.asked, len(desk.books.lines)
        await desk.desk.close_due(NOON + minutes(70) + CLOSE_RETRY_LAST, clock_synchronised=True)
        return alarms, asked, posted, sorted(desk.image.alarms)

    alarms, asked, posted, open_alarms = asyncio.run(play())
    assert (alarms, posted, open_alarms) == (1, 0, [])
    assert asked <= 8, "tries come after 30 s, doubled, not every tick"


def test_a_utility_that_is_away_is_told_later_and_once() -> None:
    async def play() -> tuple[list[str], int]:
        desk = Desk()
        desk.utility.away = True
        await desk.every(5, 600)
        desk.utility.away = False
        await desk.every(5, 7200)
        return desk.utility.reports, len(desk.journal.of(f.EventReported))

    assert asyncio.run(play()) == (["e1"], 1)


def test_the_promise_is_the_plans_lowest_step_less_ten_per_cent_by_site() -> None:
    async def play() -> tuple[list[f.Nominated], float]:
        desk = Desk(called(start=NOON + minutes(60)), opted())
        snapshot = take_snapshot(
            desk.image, NOON, lambda _site, edges: np.full(len(edges) - 1, 20.0), contracts_of(desk.image)
        )
        plan = Scheduler().plan(snapshot.problem)
        for _ in range(2):
            await desk.desk.nominate(snapshot, plan, NOON)
        in_event = snapshot.problem.commitments[0].steps
        return desk.journal.of(f.Nominated), float(plan.commitment_kw[0][in_event].min())

    nominations, lowest_kw = asyncio.run(play())
    assert len(nominations) == 1
    (promise,) = nominations
    assert lowest_kw > 20
    assert promise.nominated_kw == np.floor(0.9 * lowest_kw), "whole kW, rounded down"
    assert sum(promise.by_site_kw.values()) == pytest.approx(promise.nominated_kw, abs=0.01)


@pytest.mark.parametrize(
    ("held", "hours_ahead", "promised"),
    [
        (f.DischargeStopped(at=NOON, by="x"), 5.0, False),
        (f.DischargeStopped(at=NOON, by="x"), 0.9, True),
        (f.GridLost(at=NOON, site_id=SiteId("school"), ts=NOON), 5.0, False),
    ],
    ids=["stopped", "stopped shortly before", "no grid"],
)
def test_no_promise_is_made_for_good_while_the_fleet_is_held_for_now(
    held: f.Fact, hours_ahead: float, promised: bool
) -> None:
    async def play() -> list[f.Nominated]:
        house = House(ready_image(fleet()))
        for fact in (called(start=NOON + minutes(60 * hours_ahead)), opted(), held):
            house.image.apply(fact)
        await house.heart.make_plan()
        return house.journal.of(f.Nominated)

    assert [promise.nominated_kw for promise in asyncio.run(play())] == ([0.0] if promised else [])


def test_a_database_that_is_away_at_a_nomination_does_not_stop_the_heart() -> None:
    async def play() -> tuple[bool, int]:
        house = House(ready_image(fleet()))
        for fact in (called(start=NOON + minutes(60)), opted()):
            house.image.apply(fact)
        house.journal.away = True
        await house.heart.make_plan()
        planned = house.heart.plan is not None
        house.journal.away = False
        await house.heart.make_plan()
        return planned, len(house.journal.of(f.Nominated))

    assert asyncio.run(play()) == (True, 1)


@pytest.mark.parametrize(
    ("rule", "calls", "baseline"),
    [
        ("connectedsolutions_ci_daily", (called(start=NOON + minutes(180)),), "none"),
        ("connectedsolutions_ci_daily", (), "none"),
        ("connectedsolutions_ci_daily", (called(start=NOON - dt.timedelta(days=1000)),), "none"),
        ("curtailment", (called(start=NOON + minutes(180)),), "10of10_additive"),
        ("nobody's", (), ""),
    ],
)
def test_the_page_names_the_rules_baseline_and_computes_none(
    rule: str, calls: tuple[f.Fact, ...], baseline: str
) -> None:
    daily = load_rulebook().version("CI-DAILY")
    curtailed = msgspec.structs.replace(daily.version, key="CURTAILED", baseline="10of10_additive")
    other = msgspec.structs.replace(daily, program="curtailment", version=curtailed)
    book = msgspec.structs.replace(load_rulebook(), rules=(*load_rulebook().rules, other))
    house = House(ready_image(fleet(programs=[program("cs-daily", rule=rule)])), rulebook=book)
    for call in calls:
        house.image.apply(call)
    picture = house.heart.picture(NOON)
    assert (picture.baseline, picture.baseline_kw) == (baseline, None)


def test_the_page_says_where_nothing_is_paid_and_why() -> None:
    house = House(ready_image(fleet()))
    over = called(start=NOON - minutes(200))
    told = f.EventReported(
        at=NOON, grid_event_id=E1, performance_kw=0.0, report_id="none", held={"school": "counts for another call"}
    )
    for fact in (over, opted(), told):
        house.image.apply(fact)
    event = house.heart.picture(NOON).event
    assert event is not None
    assert (event.phase, event.held) == ("over", {"school": "counts for another call"})


def test_a_cancelled_call_lets_the_stations_go_within_one_tick() -> None:
    async def play() -> tuple[float, float]:
        house = House(ready_image(fleet()))
        for fact in (called(), opted()):
            house.image.apply(fact)
        await house.heart.make_plan()
        await house.beat()
        during_kw = house.link.sent[-1].setpoint_kw
        await house.inbox.record([called(modification=1, cancelled=True)])
        await house.beat()
        return during_kw, house.link.sent[-1].setpoint_kw

    during_kw, after_kw = asyncio.run(play())
    assert during_kw < -20
    assert after_kw >= 0
