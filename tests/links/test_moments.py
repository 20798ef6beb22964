"""A schedule that no calendar holds is an answer refused, whatever the numbers."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revere.core.errors import Refused
from revere.links.ocpp2 import translate
from revere.links.ocpp2.wire import v21 as wire
from revere.links.ocppj.moments import moment_after

NOON = dt.datetime(2026, 7, 16, 12, tzinfo=dt.UTC)
EAST = dt.timezone(dt.timedelta(hours=5))


@pytest.mark.parametrize(
    ("start", "seconds"),
    [
        (NOON, -(2**63) + 1),
        (NOON, 2**63 - 1),
        (NOON, 86_400 * 366 * 9000),
        (dt.datetime(1, 1, 1, tzinfo=EAST), 0),
        (dt.datetime(9999, 12, 31, 23, 59, tzinfo=dt.UTC), 60),
    ],
)
def test_a_moment_outside_the_calendar_is_refused(start: dt.datetime, seconds: int) -> None:
    with pytest.raises(Refused, match="lies in no year"):
        moment_after(start, seconds)


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_other_number_of_seconds_is_a_moment(seconds: int) -> None:
    try:
        moment = moment_after(NOON, seconds)
    except Refused:
        assert abs(seconds) > 60_000_000_000
    else:
        assert (moment - NOON).total_seconds() == seconds
        assert moment.tzinfo is dt.UTC


def test_a_composite_schedule_that_begins_before_the_first_year_is_refused() -> None:
    period = wire.ChargingSchedulePeriod(startPeriod=-(2**62), limit=1.0)
    told = wire.CompositeSchedule(
        evseId=1, duration=60, scheduleStart=NOON, chargingRateUnit="W", chargingSchedulePeriod=(period,)
    )
    with pytest.raises(Refused, match="lies in no year"):
        translate.composite_kw(told)
