"""A charger that says it is out of service: counted on no more, and its vehicle's departure told in time."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING

import pytest

from revere.control.bounds import power_bounds_kw
from revere.core import facts as f
from revere.core.ids import StationId
from tests.control.scenes import NOON, House, fleet, minutes, plug, ready_image, site, station, trip, unplug, vehicle

if TYPE_CHECKING:
    from revere.control.image import Image
    from revere.core.facts import EvseStatus

ROUTE = trip("route", "15:00", "17:00", 40.0)
"""Three hours after noon in Boston."""
KEY = "departure:bus-cs1"


def says(word: EvseStatus, at: dt.datetime) -> f.StatusReported:
    return f.StatusReported(at=at, station_id=StationId("cs1"), evse_id=1, status=word, ts=at)


def image(soc: float = 0.2) -> Image:
    of = fleet((site("school"),), (station("cs1", "school"),), (vehicle("cs1", ROUTE),))
    found = ready_image(of, soc=soc)
    found.apply(unplug("cs1", NOON - minutes(1)))
    return found


@pytest.mark.parametrize(
    ("words", "plugged", "after_min", "counted"),
    [
        ([], False, 30, True),
        (["unavailable"], False, 9, True),
        (["unavailable"], False, 10, False),
        (["faulted"], False, 10, False),
        (["unavailable", "faulted"], False, 10, False),
        (["unavailable", "available"], False, 30, True),
        (["faulted", "occupied"], False, 30, True),
        (["unavailable"], True, 30, True),
    ],
)
def test_what_is_out_of_service_for_longer_than_a_restart_is_not_counted_on(
    words: list[EvseStatus], plugged: bool, after_min: int, counted: bool
) -> None:
    found = image()
    for second, word in enumerate(words):
        found.apply(says(word, NOON + dt.timedelta(seconds=second)))
    if plugged:  # its meter says more than its word
        found.apply(plug("cs1", NOON))
    evse = found.evses["cs1/1"]
    assert evse.vehicle is not None
    charge_kw, discharge_kw = power_bounds_kw(evse, evse.vehicle, NOON + minutes(after_min))
    assert (charge_kw > 0, discharge_kw > 0) == (counted, counted)


@pytest.mark.parametrize(("soc", "told"), [(0.2, True), (0.9, False)])
def test_a_bus_before_a_charger_out_of_service_is_told_while_there_is_time(soc: float, told: bool) -> None:
    async def story() -> None:
        house = House(image(soc))
        house.image.apply(says("unavailable", NOON))
        house.heart.watch.look(NOON + minutes(5))
        assert KEY not in house.image.alarms
        house.heart.watch.look(NOON + minutes(11))
        await house.write()
        assert (KEY in house.image.alarms) is told
        if told:
            assert "its charger is out of service" in house.image.alarms[KEY].text
        house.image.apply(says("available", NOON + minutes(12)))
        house.heart.watch.look(NOON + minutes(13))
        await house.write()
        assert KEY not in house.image.alarms

    asyncio.run(story())
