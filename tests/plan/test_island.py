"""Outages: who may form an island, how the load is split, how the site comes back."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from revere.core.errors import RevereError
from revere.plan.island import IslandPlan, island_plan, isolated, return_ramp

NOW = dt.datetime(2023, 9, 7, 20, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("grid_lost", "switch_open", "main_meter_kw", "expected"),
    [
        (True, True, 0.0, True),
        (True, True, None, True),
        (True, None, 0.0, False),
        (True, False, 0.0, False),
        (False, True, 0.0, False),
        (True, True, 12.0, False),
        (True, True, -12.0, False),
        (True, True, math.nan, False),
    ],
)
def test_isolation_must_be_proven(
    grid_lost: bool, switch_open: bool | None, main_meter_kw: float | None, expected: bool
) -> None:
    assert isolated(grid_lost=grid_lost, switch_open=switch_open, main_meter_kw=main_meter_kw) is expected


def plan(**given: Any) -> IslandPlan:
    n = 2
    fields: dict[str, Any] = {
        "critical_load_kw": 40.0,
        "solar_kw": 0.0,
        "energy_kwh": np.array([130.0, 70.0]),
        "reserve_kwh": np.full(n, 50.0),
        "capacity_kwh": np.full(n, 150.0),
        "charge_max_kw": np.full(n, 60.0),
        "discharge_max_kw": np.full(n, 60.0),
        "discharge_efficiency": np.ones(n),
        "forming": np.ones(n, bool),
        "is_isolated": True,
    }
    return island_plan(**{**fields, **given})


def test_the_load_is_split_so_that_all_last_equally_long() -> None:
    """80 and 20 kWh to spare, 40 kW: 32 and 8 kW for two and a half hours."""
    got = plan()
    assert got.setpoint_kw.tolist() == pytest.approx([-32.0, -8.0])
    assert got.hours_left == pytest.approx(2.5)
    assert (got.shed_kw, got.warn) == (0.0, False)


def test_not_isolated_gives_nothing() -> None:
    got = plan(is_isolated=False)
    assert not got.setpoint_kw.any()
    assert math.isnan(got.hours_left)
    assert "switch" in got.why


def test_departure_energy_stays_and_unknown_energy_gives_nothing() -> None:
    got = plan(energy_kwh=np.array([50.0, np.nan]))
    assert not got.setpoint_kw.any()
    assert got.shed_kw == 40.0


def test_more_load_than_the_stations_can_carry_is_shed_never_overloaded() -> None:
    got = plan(critical_load_kw=150.0, discharge_max_kw=np.array([60.0, 30.0]))
    assert got.setpoint_kw.tolist() == pytest.approx([-60.0, -30.0])
    assert got.shed_kw == pytest.approx(60.0)
    assert got.warn


def test_solar_carries_the_load_and_fills_the_vehicles() -> None:
    got = plan(solar_kw=60.0, energy_kwh=np.array([130.0, 150.0]))
    assert got.setpoint_kw.tolist() == pytest.approx([20.0, 0.0]), "the second is full"
    assert math.isinf(got.hours_left)


def test_without_a_grid_forming_station_there_is_no_island() -> None:
    assert not plan(forming=np.zeros(2, bool)).setpoint_kw.any()
    assert not plan(forming=np.array([False, True]), energy_kwh=np.array([130.0, 50.0])).setpoint_kw.any()


@given(st.floats(0, 300), st.floats(0, 300), st.lists(st.floats(0, 150), min_size=3, max_size=3))
def test_law_no_battery_below_its_reserve_and_power_in_balance(load: float, solar: float, energy: list[float]) -> None:
    got = plan(
        critical_load_kw=load, solar_kw=solar, energy_kwh=np.array(energy), reserve_kwh=np.full(3, 50.0),
        capacity_kwh=np.full(3, 150.0), charge_max_kw=np.full(3, 60.0), discharge_max_kw=np.full(3, 60.0),
        discharge_efficiency=np.full(3, 0.9), forming=np.ones(3, bool),
    )  # fmt: skip
    given_kw = -got.setpoint_kw.sum()
    assert (got.setpoint_kw[np.array(energy) <= 50.0] >= 0).all()
    assert (np.abs(got.setpoint_kw) <= 60.0 + 1e-9).all()
    assert given_kw <= max(0.0, load - solar) + 1e-6
    if load > solar and (np.array(energy) > 50.0).any():
        assert given_kw + got.shed_kw == pytest.approx(load - solar, abs=1e-5)


@pytest.mark.parametrize(
    ("seconds", "site", "share"),
    [(0, 0, 0.0), (299, 0, 0.0), (450, 0, 0.5), (600, 0, 1.0), (450, 2, 0.1), (9000, 9, 1.0), (450, 10, 0.5)],
)
def test_sites_come_back_one_after_another(seconds: float, site: int, share: float) -> None:
    assert return_ramp(NOW + dt.timedelta(seconds=seconds), NOW, site) == pytest.approx(share)


def test_while_the_grid_is_away_nothing_returns() -> None:
    assert return_ramp(NOW, None, 0) == 0.0
    with pytest.raises(RevereError, match="site_index"):
        return_ramp(NOW, NOW, -1)


def test_bad_figures_are_refused() -> None:
    with pytest.raises(RevereError, match="critical_load_kw"):
        plan(critical_load_kw=math.nan)
