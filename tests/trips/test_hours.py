"""The hourly rollup as the house keeps it: each hour once it is over, again for a late value, and after a crash."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from zoneinfo import ZoneInfo

from revere.core.facts import MeterReading
from revere.core.time import UTC
from revere.store.series import HourRow
from tests.trips.rig import Trip, small, take_trip

METER = "school-cs01/1"
LATE_KW = -7.5


async def _hours(trip: Trip) -> dict[int, HourRow]:
    """The meter's rows by local hour."""
    since = trip.at(dt.time(10, 0))
    rows = await trip.house.store.hours(METER, "ac_inlet", "power_kw", since, since + dt.timedelta(hours=8))
    zone = trip.scenario.fleet.programme.zone
    return {row.hour.astimezone(ZoneInfo(zone)).hour: row for row in rows}


async def _kept(trip: Trip) -> list[dict[int, HourRow]]:
    seen = []
    await trip.until(trip.at(dt.time(12, 9)))
    seen.append(await _hours(trip))
    await trip.until(trip.at(dt.time(12, 15)))
    seen.append(await _hours(trip))
    stamp = trip.at(dt.time(11, 47, 7))
    late = MeterReading(
        at=trip.clock.now(), asset_id=METER, place="ac_inlet", ts=stamp, context="periodic", power_kw=LATE_KW
    )
    await trip.house.inbox.record([late])
    await trip.until(trip.at(dt.time(13, 5)))
    await trip.crash_and_restart()
    await trip.until(trip.at(dt.time(13, 15)))
    seen.append(await _hours(trip))
    for hour, row in seen[-1].items():
        start = trip.at(dt.time(hour, 0)).astimezone(UTC)
        series = await trip.house.store.series(METER, "ac_inlet", "power_kw", start, start + dt.timedelta(hours=1))
        assert (row.samples, row.low, row.high) == (len(series.ts), min(series.value), max(series.value))
        assert abs(row.mean - sum(series.value) / len(series.value)) < 1e-9
    return seen


def test_the_house_rolls_up_each_hour_late_values_and_what_a_crash_left(fresh_dsn: Callable[[], str]) -> None:
    before, after, late = take_trip(small(), fresh_dsn(), dt.time(11, 30), _kept)
    assert set(before) == set(), "eleven o'clock's last values are still on their way"
    assert set(after) == {11}
    assert set(late) == {11, 12}
    assert late[11].samples == after[11].samples + 1
    assert late[11].low == LATE_KW
