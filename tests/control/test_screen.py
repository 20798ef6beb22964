"""The door for readings: what cannot be is kept as such and moves nothing."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revere.control.heart import WATCH_TICKS
from revere.control.screen import ALARMS_PER_STATION_MAX, IMPLAUSIBLE, Screen, station_range_kw
from revere.control.ticker import Ticker
from revere.control.tracking import CommandTracker
from revere.control.watch import METER_TOLD_FOR
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
    screen = Screen(fleet(), {})
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
    for fact in Screen(image.fleet, image.alarms).pass_on(
        [reading("cs1", NOON + minutes(1), power_kw=power_kw, soc=soc)]
    ):
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
    passed = Screen(fleet(), {}).pass_on([needs])
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


def _told(key: str, text: str = "x", at: dt.datetime = NOON) -> f.AlarmRaised:
    return f.AlarmRaised(at=at, key=key, severity="info", subject="cs1", text=text)


def test_a_station_that_floods_fills_no_list() -> None:
    """1,800 alarms of ever new kinds: nine remain, over a restart too, and a person can end each of them."""

    async def scene() -> None:
        house = House(ready_image(fleet()))
        for number in range(1800):
            await house.inbox.record([_told(f"station:cs1:Part{number}.State"), _told("security:cs1:Tamper")])
        again = ready_image(fleet())
        for fact in house.journal.facts:
            again.apply(fact)
        for image in (house.image, again):
            assert len(image.alarms) == ALARMS_PER_STATION_MAX + 1
            assert image.alarms["more:cs1"].count == 1024
        assert len(house.journal.of(f.AlarmRaised)) == ALARMS_PER_STATION_MAX + 11
        for key in list(again.alarms):
            again.apply(f.AlarmAcknowledged(at=NOON, key=key, by="ana"))
        assert again.alarms == {}

    asyncio.run(scene())


def test_a_flood_hides_no_other_station_and_no_takeover() -> None:
    facts: list[f.Fact] = [_told(f"station:cs1:P{n}.S") for n in range(20)]
    other = msgspec.structs.replace(_told("station:cs2:P.S"), subject="cs2")
    passed = Screen(fleet(), {}).pass_on([*facts, other, _told("takeover:cs1")])
    assert [one.key for one in passed[-2:] if isinstance(one, f.AlarmRaised)] == ["station:cs2:P.S", "takeover:cs1"]


@pytest.mark.parametrize(
    ("facts", "journaled", "open_text"),
    [
        ([_told("der:cs1:x", "1"), _told("der:cs1:x", "1")], 1, "1"),
        ([_told("der:cs1:x", "1"), _told("der:cs1:x", "2")], 2, "2"),
        ([_told("der:cs1:x"), f.AlarmCleared(at=NOON, key="der:cs1:x")], 2, None),
        ([f.AlarmCleared(at=NOON, key="der:cs1:x")], 0, None),
        ([f.AlarmCleared(at=NOON, key="offline:cs1")], 1, None),
    ],
)
def test_what_a_station_says_again_is_not_journaled_again(
    facts: list[f.Fact], journaled: int, open_text: str | None
) -> None:
    image = ready_image(fleet())
    passed = Screen(image.fleet, image.alarms).pass_on(facts)
    for fact in passed:
        image.apply(fact)
    assert len(passed) == journaled
    assert [alarm.text for alarm in image.alarms.values()] == ([open_text] if open_text else [])


def test_a_state_that_somebody_has_seen_stays_marked_until_it_is_over() -> None:
    image = ready_image(fleet())
    image.apply(_told("offline:cs1"))
    image.apply(f.AlarmAcknowledged(at=NOON, key="offline:cs1", by="ana"))
    assert (set(image.alarms), image.acknowledged) == ({"offline:cs1"}, {"offline:cs1": "ana"})
    image.apply(f.AlarmCleared(at=NOON, key="offline:cs1"))
    assert (image.alarms, image.acknowledged) == ({}, {})
