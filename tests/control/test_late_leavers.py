"""A vehicle whose cable is in without a session, and one that should have left and stands: both must be ready."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

import numpy as np
import pytest

from revere.control.snapshot import take_snapshot
from revere.core import facts as f
from revere.core.ids import StationId
from revere.plan.schedule import schedule
from tests.control.scenes import NOON, House, contracts_of, fleet, minutes, plug, ready_image, trip, unplug, vehicle

if TYPE_CHECKING:
    from revere.control.image import Image
    from revere.core.facts import EvseStatus

KEY = "departure:bus-cs1"
ROUTE = trip("route", "15:00", "17:00", 40.0)
"""Three hours after noon in Boston; it needs 90 kWh of 200."""


def says(word: EvseStatus, minute: float) -> f.StatusReported:
    at = NOON + minutes(minute)
    return f.StatusReported(at=at, station_id=StationId("cs1"), evse_id=1, status=word, ts=at)


def stands(soc: float, *, cable: EvseStatus = "occupied") -> Image:
    """The session was stopped a minute before noon; the cable has been in since eleven, by what the station says."""
    image = ready_image(fleet(vehicles=(vehicle("cs1", ROUTE),)), soc=soc)
    image.apply(says(cable, -60))
    image.apply(unplug("cs1", NOON - minutes(1)))
    return image


def out_and_back(image: Image) -> None:
    image.apply(says("available", 0))
    image.apply(says("occupied", 1))


@pytest.mark.parametrize(
    ("soc", "cable", "change", "told"),
    [
        (0.3, "occupied", None, True),
        (0.6, "occupied", None, False),  # enough, and it has not moved since
        (0.6, "occupied", out_and_back, True),  # what it had before it drove proves nothing
        (0.3, "available", None, False),  # on the road
    ],
)
def test_a_cable_without_a_session_before_a_departure_calls_somebody(
    soc: float, cable: EvseStatus, change: object, told: bool
) -> None:
    async def story() -> None:
        house = House(stands(soc, cable=cable))
        if change is not None:
            change(house.image)  # type: ignore[operator]
        watch = house.heart.watch
        watch.look(NOON + minutes(2))
        await house.write()
        assert KEY not in house.image.alarms, "a card may yet be shown"
        watch.look(NOON + minutes(8))
        await house.write()
        assert (KEY in house.image.alarms) is told
        if told:
            alarm = house.image.alarms[KEY]
            assert alarm.severity == "critical"
            assert "plugged in at cs1, but has no session: it does not charge" in alarm.text
            assert "90.0 kWh by 15:00 for 'route'" in alarm.text
        house.image.apply(plug("cs1", NOON + minutes(9), session="s2"))
        house.image.apply(f.MeterReading(at=NOON + minutes(9), asset_id="cs1/1", place="ac_inlet",
                                         ts=NOON + minutes(9), context="periodic", soc=soc))  # fmt: skip
        watch.look(NOON + minutes(10))
        await house.write()
        assert KEY not in house.image.alarms

    asyncio.run(story())


def test_the_alarm_stands_until_the_very_departure() -> None:
    async def story() -> None:
        house = House(stands(0.3))
        for minute in (0, 8, 175):
            house.heart.watch.look(NOON + minutes(minute))
            await house.write()
        assert "'route'" in house.image.alarms[KEY].text
        assert "15:00" in house.image.alarms[KEY].text

    asyncio.run(story())


# ---- overdue: it should have left at 11:50 and stands at its plug at noon ---------------------------

OVERDUE = trip("morning", "11:50", "14:30", 10.0)
NEXT = trip("far", "14:40", "16:00", 100.0)
"""Ten minutes after its return: what it needs (165 kWh) must be charged before it leaves at last."""


def planned_kw(soc: float, minute: float = 0.0) -> float:
    """What the plan does with it now."""
    image = ready_image(fleet(vehicles=(vehicle("cs1", OVERDUE, NEXT),)), soc=soc)
    now = NOON + minutes(minute)
    snapshot = take_snapshot(image, now, lambda _s, edges: np.full(len(edges) - 1, 20.0), contracts_of(image))
    return float(schedule(snapshot.problem).net_kw[0, 0])


@pytest.mark.parametrize(
    ("soc", "minute"),
    [
        (0.2, 0),  # short for the trip that it is late for
        (0.5, 0),  # short for the next one
        (0.5, 30),
    ],
)
def test_an_overdue_vehicle_is_charged_for_its_next_departure_at_once(soc: float, minute: float) -> None:
    assert planned_kw(soc, minute) == pytest.approx(60.0)


def test_an_overdue_vehicle_is_told_to_charge_and_its_next_departure_too_has_a_barrier() -> None:
    async def story() -> list[float]:
        image = ready_image(fleet(vehicles=(vehicle("cs1", OVERDUE, NEXT),)), soc=0.5)
        house = House(image)
        await house.heart.make_plan()
        for _ in range(3):
            await house.beat()
        return [command.setpoint_kw for command in house.link.sent]

    assert asyncio.run(story())[-1] > 50.0


def test_the_next_departure_of_an_overdue_vehicle_is_told_too() -> None:
    async def story() -> str:
        house = House(ready_image(fleet(vehicles=(vehicle("cs1", OVERDUE, NEXT),)), soc=0.5))
        house.image.evses["cs1/1"].charge_max_kw = 5.0
        house.heart.watch.look(NOON)
        await house.write()
        return house.image.alarms[KEY].text

    assert "'far'" in asyncio.run(story())


def test_an_overdue_vehicle_gives_nothing_in_the_plan() -> None:
    image = ready_image(fleet(vehicles=(vehicle("cs1", OVERDUE, NEXT),)), soc=0.95)
    snapshot = take_snapshot(image, NOON, lambda _s, edges: np.full(len(edges) - 1, 20.0), contracts_of(image))
    soon = [n for n, edge in enumerate(snapshot.edges[:-1]) if edge < NOON + dt.timedelta(hours=2)]
    assert snapshot.problem.discharge_max_kw[0, soon].max() == 0.0
