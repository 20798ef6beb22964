"""Journeys on the clock, and what the plug makes of them."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from revere.control.image import Override
from revere.control.roster import Journey, Presence, journeys, presence
from revere.core.assets import Programme
from revere.core.ids import TenantId
from revere.core.time import at_local
from tests.control.scenes import NOON, ZONE, House, fleet, minutes, ready_image, trip, vehicle

if TYPE_CHECKING:
    from revere.core.assets import Trip

CLOSED = dt.date(2023, 9, 8)
PROGRAMME = Programme(id=TenantId("t"), name="T", zone=ZONE, school_closed=(CLOSED,), holidays=(dt.date(2023, 9, 4),))
MORNING = trip("morning", "06:30", "08:30", 60.0, "school")
AFTERNOON = trip("afternoon", "14:00", "16:00", 50.0, "school")
NIGHT = trip("night", "22:00", "05:00", 40.0)


def boston(day: str, clock: str) -> dt.datetime:
    return at_local(dt.date.fromisoformat(day), dt.time.fromisoformat(clock), ZONE)


def on(day: str, *trips: Trip, override: Override | None = None, **bus: Any) -> list[Journey]:
    start = boston(day, "00:00")
    return journeys(vehicle("cs1", *trips, **bus), PROGRAMME, override, start, start + dt.timedelta(hours=24))


@pytest.mark.parametrize(
    ("day", "names"),
    [
        ("2023-09-07", ["morning", "afternoon"]),
        ("2023-09-08", []),  # school closed
        ("2023-09-04", []),  # holiday
        ("2023-09-09", []),  # Saturday
    ],
)
def test_school_days(day: str, names: list[str]) -> None:
    assert [j.name for j in on(day, AFTERNOON, MORNING)] == names


def test_what_a_trip_needs_is_the_floor_the_energy_and_a_margin() -> None:
    (found,) = on("2023-09-07", MORNING)
    assert found.needed_kwh == pytest.approx(0.2 * 200 + 60 * 1.25)
    assert found.energy_kwh == 60.0
    (found,) = on("2023-09-07", trip("far", "06:00", "09:00", 190.0))
    assert found.needed_kwh == 200.0, "no more than a full battery"


@pytest.mark.parametrize(
    ("day", "depart", "back"),
    [
        ("2023-09-07", "2023-09-08T02:00+00:00", "2023-09-08T09:00+00:00"),
        ("2023-03-11", "2023-03-12T03:00+00:00", "2023-03-12T09:00+00:00"),  # an hour shorter: 22:00 EST to 05:00 EDT
        ("2023-11-04", "2023-11-05T02:00+00:00", "2023-11-05T10:00+00:00"),  # an hour longer
    ],
)
def test_over_midnight_and_over_a_change_of_clocks(day: str, depart: str, back: str) -> None:
    found = on(day, NIGHT)[-1]
    assert (found.depart.isoformat(timespec="minutes"), found.back.isoformat(timespec="minutes")) == (depart, back)


@pytest.mark.parametrize(("day", "clocks"), [("2023-03-12", ["07:30"]), ("2023-11-05", ["05:30"])])
def test_an_hour_that_is_missing_or_comes_twice_has_one_departure(day: str, clocks: list[str]) -> None:
    """02:30 does not exist on the one night (03:30 EDT is meant); 01:30 comes twice on the other (the first is)."""
    local_clock = "02:30" if day == "2023-03-12" else "01:30"
    found = [j for j in on(day, trip("early", local_clock, "06:00", 10.0)) if j.depart.date().isoformat() == day]
    assert [f"{j.depart:%H:%M}" for j in found] == clocks


def order(clock: str, soc: float = 0.9) -> Override:
    return Override(boston("2023-09-07", clock), soc, "x")


@pytest.mark.parametrize(
    ("clock", "soc", "expected"),
    [
        ("10:00", 0.9, [("morning", "06:30", 115.0), ("order", "10:00", 180.0), ("afternoon", "14:00", 102.5)]),
        ("13:00", 0.9, [("morning", "06:30", 115.0), ("order (afternoon)", "13:00", 180.0)]),
        ("15:00", 0.3, [("morning", "06:30", 115.0), ("order (afternoon)", "14:00", 102.5)]),
        ("10:00", 1.0, [("morning", "06:30", 115.0), ("order", "10:00", 200.0), ("afternoon", "14:00", 102.5)]),
    ],
)
def test_an_order_comes_on_top_and_merges_with_what_it_overlaps(
    clock: str, soc: float, expected: list[tuple[str, str, float]]
) -> None:
    found = on("2023-09-07", MORNING, AFTERNOON, override=order(clock, soc))
    want = [(name, boston("2023-09-07", at), pytest.approx(kwh)) for name, at, kwh in expected]
    assert [(j.name, j.depart, j.needed_kwh) for j in found] == want


# ---- presence: journey from 14:00 to 16:00, looked at from some minute -----------------------------

DEPART = NOON + minutes(120)
TRIP = Journey("trip", DEPART, DEPART + minutes(120), 50.0, 100.0)
END = NOON + dt.timedelta(hours=12)
LONG_AGO = NOON - dt.timedelta(hours=10)


def seen(minute: float, plugged: bool, since: dt.datetime = LONG_AGO) -> Presence:
    """Minutes from the departure."""
    return presence([TRIP], plugged, DEPART + minutes(minute), END, since)


def test_before_it_leaves_it_is_there_and_comes_back_with_slack() -> None:
    found = seen(-60, plugged=True)
    assert found.plugged == ((DEPART - minutes(60), DEPART - minutes(5)), (DEPART + minutes(122), END))
    assert (found.journeys, found.away_until, found.energy_used_kwh) == ((TRIP,), None, 0.0)


@pytest.mark.parametrize(
    ("minute", "away_until"),
    [
        (-8, 122),  # left early: back as the roster says
        (60, 122),
        (121, 122),
        (125, 135),  # late: in ten minutes, again and again
        (180, 190),
    ],
)
def test_on_the_road_it_comes_back_by_its_roster_or_soon(minute: float, away_until: float) -> None:
    found = seen(minute, plugged=False)
    assert found.away_until == DEPART + minutes(away_until)
    assert found.energy_used_kwh == 50.0
    assert found.journeys == ()


def test_the_alarm_of_a_departure_ends_with_it_and_the_next_one_is_told_by_its_own_name() -> None:
    async def play() -> list[str]:
        early, next_one = trip("early", "12:20", "12:50", 100.0), trip("next", "14:00", "15:00", 100.0)
        house = House(ready_image(fleet(vehicles=(vehicle("cs1", early, next_one),)), soc=0.2))
        house.image.evses["cs1/1"].charge_max_kw = 1.0
        said = []
        for after in (30, 70):
            house.heart.watch.look(NOON + minutes(after))
            await house.write()
            said.append(house.image.alarms["departure:bus-cs1"].text)
        return said

    first, second = asyncio.run(play())
    assert "'early'" in first
    assert "'next'" in second


def test_one_that_leaves_late_keeps_what_it_needs() -> None:
    """At 14:20 the bus still stands at its plug: an event must not take what it is about to drive with."""
    assert seen(20, plugged=True).journeys == (TRIP,)
    assert seen(20, plugged=True).plugged[0][0] >= TRIP.back


@pytest.mark.parametrize(("minute", "since"), [(20, DEPART + minutes(10)), (50, NOON - minutes(600))])
def test_one_that_is_back_early_or_does_not_go_is_free(minute: float, since: dt.datetime) -> None:
    found = seen(minute, plugged=True, since=since)
    assert found.journeys == ()
    assert found.plugged == ((DEPART + minutes(minute), END),)


def test_away_without_a_journey_it_may_be_back_any_time() -> None:
    found = presence([], False, NOON, END)
    assert (found.away_until, found.energy_used_kwh) == (NOON + minutes(10), 0.0)
