"""The departure barrier and the readiness board's line."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from revere.core.errors import RevereError
from revere.core.time import duration_text
from revere.plan.departure import (
    NO_TAPER,
    START_DELAY_S,
    Taper,
    charge_hours,
    discharge_proven,
    energy_after_kwh,
    least_energy_kwh,
    readiness,
)

NOW = dt.datetime(2023, 9, 7, 10, 0, tzinfo=dt.UTC)
DELAY = dt.timedelta(seconds=START_DELAY_S)
BUS: dict[str, Any] = {"charge_kw": 60.0, "efficiency": 0.9, "capacity_kwh": 150.0}


@pytest.mark.parametrize(
    ("hours", "need_kwh", "expected_kwh"),
    [(1.0, 100.0, 46.0), (2.0, 100.0, 0.0), (0.0, 100.0, 100.0), (-5.0, 100.0, 100.0), (0.5, 400.0, 123.0)],
)
def test_the_barrier_by_hand(hours: float, need_kwh: float, expected_kwh: float) -> None:
    """54 kWh arrive in an hour; a need above capacity is capacity; a departure in the past asks for all of it."""
    at = NOW + dt.timedelta(hours=hours) + DELAY
    assert least_energy_kwh(NOW, at, need_kwh=need_kwh, **BUS) == pytest.approx(expected_kwh)


def test_the_taper_needs_more_time_near_the_top() -> None:
    """From 85 % to 100 % the power falls to a fifth: ln 5 / 0.8 = 2.01 times the time at full power."""
    taper = Taper(from_soc=0.85, end_share=0.2)
    full_h = 0.15 * 150 / 54
    hours = charge_hours(0.85 * 150, 150, rate_kw=54, capacity_kwh=150, taper=taper)
    assert hours == pytest.approx(full_h * math.log(5) / 0.8)
    at = NOW + dt.timedelta(hours=hours) + DELAY
    assert least_energy_kwh(NOW, at, need_kwh=150, taper=taper, **BUS) == pytest.approx(0.85 * 150)
    assert least_energy_kwh(NOW, at, need_kwh=150, **BUS) < 0.85 * 150


@given(
    st.floats(0.0, 1.0),
    st.floats(0.0, 12.0),
    st.floats(1.0, 100.0),
    st.floats(0.3, 1.0),
    st.floats(0.3, 0.98),
    st.floats(0.05, 1.0),
)
def test_law_from_the_barrier_full_power_just_meets_the_departure(
    need: float, hours: float, charge_kw: float, efficiency: float, knee: float, end: float
) -> None:
    taper = Taper(from_soc=knee, end_share=end)
    at = NOW + dt.timedelta(hours=hours) + DELAY
    least = least_energy_kwh(
        NOW, at, need_kwh=need * 150, charge_kw=charge_kw, efficiency=efficiency, capacity_kwh=150, taper=taper
    )
    assert 0.0 <= least <= need * 150 + 1e-9
    left_h = ((at - NOW) - DELAY).total_seconds() / 3600
    rate = charge_kw * efficiency
    reached = energy_after_kwh(least, left_h, rate_kw=rate, capacity_kwh=150, taper=taper)
    assert reached >= need * 150 - 1e-6
    if least > 1e-6:
        assert reached == pytest.approx(need * 150, abs=1e-6), "no more than needed is held back"
        assert charge_hours(least, need * 150, rate_kw=rate, capacity_kwh=150, taper=taper) == pytest.approx(
            left_h, abs=1e-6
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [("need_kwh", math.nan), ("need_kwh", -1.0), ("charge_kw", math.inf), ("efficiency", 0.0), ("capacity_kwh", 0.0)],
)
def test_unusable_figures_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(RevereError, match=name):
        least_energy_kwh(NOW, NOW, **{"need_kwh": 50.0, **BUS, name: value})


def test_without_power_everything_must_already_be_there() -> None:
    at = NOW + dt.timedelta(hours=9)
    assert least_energy_kwh(NOW, at, need_kwh=80, charge_kw=0, efficiency=0.9, capacity_kwh=150) == 80


@pytest.mark.parametrize(
    ("given", "health", "ok", "reason"),
    [
        ({"energy_kwh": 110.0}, "ready", True, "enough now"),
        ({"energy_kwh": 80.0}, "on_time", True, "1 h 36 min to spare"),
        ({"energy_kwh": 20.0}, "tight", True, "29 min to spare"),
        ({"energy_kwh": 20.0, "charge_kw": 30.0}, "late", False, "26.9 kWh short at full power"),
        ({"energy_kwh": None}, "unknown", False, "state of charge unknown"),
        ({"energy_kwh": math.nan}, "unknown", False, "state of charge unknown"),
        ({"energy_kwh": 110.0, "soc_age_s": 1000.0}, "ready", True, "enough now; state of charge is old"),
        ({"energy_kwh": 110.0, "soc_age_s": None}, "ready", True, "enough now; state of charge is old"),
        ({"energy_kwh": 50.0, "plugged": False}, "late", False, "not plugged in"),
        (
            {"energy_kwh": 120.0, "plugged": False, "back": NOW + dt.timedelta(hours=1), "trip_kwh": 25.0},
            "on_time", True, "52 min to spare",
        ),
    ],
)  # fmt: skip
def test_the_line_of_a_bus_that_needs_100_kwh_in_two_hours(
    given: dict[str, Any], health: str, ok: bool, reason: str
) -> None:
    line = readiness(
        NOW,
        NOW + dt.timedelta(hours=2),
        **{"need_kwh": 100.0, "soc_age_s": 5.0, "plugged": True, **BUS, **given},
    )
    assert (line.health, line.ok, line.reason) == (health, ok, reason)


def test_expected_is_the_plan_where_the_plan_can_be_believed() -> None:
    more: dict[str, Any] = {"need_kwh": 80.0, "soc_age_s": 5.0, "plugged": True, **BUS}
    at = NOW + dt.timedelta(hours=1) + DELAY
    assert readiness(NOW, at, energy_kwh=110.0, planned_kwh=85.0, **more).expected_kwh == 85.0, "it gives until then"
    assert readiness(NOW, at, energy_kwh=60.0, planned_kwh=85.0, **more).expected_kwh == pytest.approx(85.0)
    assert readiness(NOW, at, energy_kwh=60.0, planned_kwh=140.0, **more).expected_kwh == pytest.approx(114.0)
    assert readiness(NOW, at, energy_kwh=60.0, **more).expected_kwh == pytest.approx(114.0)


@pytest.mark.parametrize(
    ("energy", "age", "proven"),
    [(50.0, 0.0, True), (50.0, 900.0, True), (50.0, 901.0, False), (math.nan, 0.0, False), (50.0, math.nan, False)],
)
def test_discharge_needs_a_fresh_state_of_charge(energy: float, age: float, proven: bool) -> None:
    assert discharge_proven(energy, age) is proven


def test_a_taper_that_is_none_is_refused() -> None:
    with pytest.raises(RevereError, match="taper"):
        Taper(from_soc=1.0, end_share=0.5)
    assert NO_TAPER.end_share == 1.0


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(0, "0 min"), (59.4, "59 min"), (60, "1 h"), (96, "1 h 36 min"), (2879, "47 h 59 min"), (2880, "2 days 0 h"),
     (14251, "9 days 21 h"), (-12, "12 min")],
)  # fmt: skip
def test_a_length_of_time_reads_as_people_say_it(minutes: float, text: str) -> None:
    assert duration_text(minutes) == text
