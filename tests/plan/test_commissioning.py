"""Whether a site may be left to its fallback: laws of the check, and a hand-made table."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revere.plan.commissioning import EFFICIENCY, Leg, over_limit_kw, quarter_hours, short_kwh

H = dt.timedelta(hours=1)
NIGHT = ((0, 10.0), (6 * 3600, 0.0), (21 * 3600, 10.0))
"""10 kW from 21:00 to 06:00."""


def leg(leaves_h: float, back_h: float, needed_kwh: float, energy_kwh: float) -> Leg:
    return Leg(leaves=leaves_h * H, back=back_h * H, needed_kwh=needed_kwh, energy_kwh=energy_kwh)


@pytest.mark.parametrize(
    ("legs", "short"),
    [
        ([], 0.0),
        ([leg(7, 16, 100.0, 80.0)], 0.0),  # a full battery
        ([leg(7, 16, 101.0, 80.0)], 1.0),  # more than it holds
        ([leg(7, 16, 100.0, 80.0), leg(31, 40, 100.0, 80.0)], 0.0),  # nine hours of night bring 81 kWh
        ([leg(7, 16, 100.0, 90.0), leg(31, 40, 100.0, 90.0)], 9.0),  # and no more
        ([leg(7, 22, 100.0, 80.0), leg(29, 40, 100.0, 80.0)], 17.0),  # seven hours of it
        ([leg(7, 8, 50.0, 40.0), leg(9, 10, 70.0, 40.0)], 10.0),  # no charging between
        ([leg(31, 40, 100.0, 90.0), leg(7, 16, 100.0, 90.0)], 9.0),  # in whatever order they are told
    ],
)
def test_a_departure_lacks_what_the_default_did_not_bring(legs: list[Leg], short: float) -> None:
    assert short_kwh(legs, NIGHT, 60.0, 100.0) == pytest.approx(short, abs=1e-6)


def test_a_car_takes_no_more_than_it_can() -> None:
    legs = [leg(7, 16, 100.0, 80.0), leg(31, 40, 100.0, 80.0)]
    assert short_kwh(legs, NIGHT, 5.0, 100.0) == pytest.approx(80.0 - 9 * 5 * EFFICIENCY)


profiles = st.lists(st.tuples(st.integers(1, 1439), st.floats(0, 50)), max_size=6).map(
    lambda steps: ((0, 5.0), *sorted({minute * 60: kw for minute, kw in steps}.items()))
)


@given(profiles)
def test_a_quarter_hour_counts_the_most_that_holds_in_it(profile: tuple[tuple[int, float], ...]) -> None:
    quarters = quarter_hours(profile)
    for second in range(0, 86_400, 60):
        held = [kw for start_s, kw in profile if start_s <= second][-1]
        assert quarters[second // 900] >= held
    assert set(quarters) <= {kw for _, kw in profile}


@given(
    st.lists(profiles, max_size=4),
    st.lists(st.floats(-20, 120), min_size=96, max_size=96),
    st.floats(0, 300),
)
def test_no_quarter_hour_above_the_limit_is_passed_over(
    stations: list[tuple[tuple[int, float], ...]], load: list[float], limit_kw: float
) -> None:
    defaults = np.array([quarter_hours(one) for one in stations]).reshape(len(stations), 96)
    over = over_limit_kw(limit_kw, np.array(load), defaults)
    total = defaults.sum(axis=0) + np.array(load)
    assert ((over > 0) == (total > limit_kw + 0.05)).all()
    assert over[over > 0] == pytest.approx((total - limit_kw)[over > 0])


@given(profiles, st.floats(1, 60), st.floats(0, 90), st.floats(0.0, 1.0))
def test_more_room_leaves_nobody_shorter(
    profile: tuple[tuple[int, float], ...], charge_kw: float, energy_kwh: float, more: float
) -> None:
    legs = [leg(24 * day + 7, 24 * day + 15, 90.0, energy_kwh) for day in range(5)]
    wider = tuple((start_s, kw * (1 + more)) for start_s, kw in profile)
    assert short_kwh(legs, wider, charge_kw, 100.0) <= short_kwh(legs, profile, charge_kw, 100.0) + 1e-9
