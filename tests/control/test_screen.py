"""The door for readings: what cannot be is kept as such and moves nothing."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revere.control.heart import METER_TOLD_FOR, WATCH_TICKS
from revere.control.screen import IMPLAUSIBLE, Screen, station_range_kw
from revere.control.ticker import Ticker
from revere.control.tracking import CommandTracker
from revere.core import facts as f
from revere.core.ids import SiteId, StationId
from tests.control.scenes import NOON, House, aligned, fleet, minutes, reading, ready_image, site, station

SCHOOL = SiteId("school")


@pytest.mark.parametrize(
    ("asset", "place", "values", "believed", "refused"),
    [
        ("cs1/1", "ac_inlet", {"power_kw": 60.0, "soc": 0.5}, {"power_kw": 60.0, "soc": 0.5}, None),
        ("cs1/1", "ac_inlet", {"power_kw": -72.0}, {"power_kw": -72.0}, None),
        ("cs1/1", "ac_inlet", {"power_kw": 5000.0, "import_wh": 7}, {"import_wh": 7}, {"power_kw": 5000.0}),
        ("cs1/1", "ac_inlet", {"power_kw": -5000.0}, None, {"power_kw": -5000.0}),
        ("cs1/1", "ac_inlet", {"power_kw": math.inf}, None, {"power_kw": math.inf}),
        ("cs1/1", "dc_outlet", {"power_kw": 500.0}, None, {"power_kw": 500.0}),
        ("cs1/1", "ac_inlet", {"power_kw": 9.0, "soc": 70.0}, {"power_kw": 9.0}, {"soc": 70.0}),
        ("school", "site", {"power_kw": 350.0}, {"power_kw": 350.0}, None),
        ("school", "site", {"power_kw": 5000.0, "import_wh": 7}, {"import_wh": 7}, {"power_kw": 5000.0}),
        ("school", "site", {"power_kw": -5000.0}, None, {"power_kw": -5000.0}),
        ("cs1/2", "ac_inlet", {"power_kw": 1.0}, None, None),
        ("nowhere", "site", {"power_kw": 1.0}, None, None),
    ],
)
def test_what_a_meter_may_show(
    asset: str, place: Any, values: dict[str, float], believed: dict[str, float] | None, refused: Any
) -> None:
    screen = Screen(fleet())
    told = f.MeterReading(at=NOON, asset_id=asset, place=place, ts=NOON, context="periodic", **values)  # type: ignore[arg-type]
    names = ("import_wh", "export_wh", "power_kw", "soc")
    passed = [
        (one.quarantined.startswith(IMPLAUSIBLE), {n: v for n in names if (v := getattr(one, n)) is not None})
        for one in screen.pass_on([told])
        if isinstance(one, f.MeterReading)
    ]
    wanted = [(True, refused)] if refused else []
    wanted += [(False, believed)] if believed else []
    assert passed == wanted
    assert screen.unknown_meters == (not wanted)


@given(power_kw=st.floats(), soc=st.floats())
def test_no_number_gets_past(power_kw: float, soc: float) -> None:
    image = ready_image(fleet())
    for fact in Screen(image.fleet).pass_on([reading("cs1", NOON + minutes(1), power_kw=power_kw, soc=soc)]):
        image.apply(fact)
    evse = image.evses["cs1/1"]
    low, high = station_range_kw(evse.station)
    assert evse.power_kw is not None
    assert low <= evse.power_kw <= high
    assert evse.soc is not None
    assert 0 <= evse.soc <= 1


@pytest.mark.parametrize("value", [-5.0, math.nan, math.inf])
def test_a_vehicle_states_no_bound_that_none_has(value: float) -> None:
    needs = f.EnergyNeeds(at=NOON, station_id=StationId("cs1"), evse_id=1, charge_max_kw=value, soc=value)
    passed = Screen(fleet()).pass_on([needs])
    assert passed == [f.EnergyNeeds(at=NOON, station_id=StationId("cs1"), evse_id=1)]


@pytest.mark.parametrize(
    ("load_kw", "known"), [(20.0, True), (-20.0, True), (290.0, True), (-500.0, False), (900.0, False)]
)
def test_a_building_that_cannot_be_is_unknown(load_kw: float, known: bool) -> None:
    image = ready_image(fleet())
    image.sites[SCHOOL].building_kw = None
    for at in (0.0, 5.0):
        image.apply(reading("cs1", NOON + minutes(at), import_wh=0, export_wh=0, context="clock"))
        wh = round(load_kw * at / 60 * 1000)
        image.apply(aligned("school", NOON + minutes(at), max(wh, 0), max(-wh, 0)))
    assert (image.sites[SCHOOL].building_kw is not None) is known
    assert ("school" in image.refused) is not known


def test_one_station_takes_no_more_room_than_it_can_fill() -> None:
    """Two chargers at a service of 100 kW: what one of them claims leaves the other its share."""
    both = fleet((site("school", import_limit_kw=100.0),), (station("cs1", "school"), station("cs2", "school")))
    ticker = Ticker(image := ready_image(both), CommandTracker())
    image.evses["cs2/1"].power_kw = 5000.0  # as an older release had folded it
    state = ticker._state(NOON, [])
    assert state.measured_kw[1] <= 1.2 * 60 + 0.5


def test_an_impossible_meter_raises_one_alarm_that_ends_after_it() -> None:
    async def scene() -> None:
        house = House(ready_image(fleet()))

        async def minute_with(*facts: f.Fact) -> list[str]:
            await house.inbox.record(facts)
            for _ in range(WATCH_TICKS):
                await house.beat()
            await house.write()
            return [key for key in house.image.alarms if key.startswith("meter:")]

        for _ in range(3):
            lie = reading("cs1", house.clock.at, power_kw=5000.0)
            assert await minute_with(lie) == ["meter:cs1/1"]
        assert house.image.evses["cs1/1"].power_kw == 0.0
        alarm = house.image.alarms["meter:cs1/1"]
        for words in ("cs1/1", "5000 kW", "72.5 kW", "Check the unit"):
            assert words in alarm.text
        assert len([a for a in house.journal.of(f.AlarmRaised) if a.key == "meter:cs1/1"]) == 1
        house.clock.at += METER_TOLD_FOR
        assert await minute_with() == []

    asyncio.run(scene())
