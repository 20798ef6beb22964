"""What makes a run fail, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from revere.app.verdict import criteria

GOOD: dict[str, Any] = {
    "performance_kw": 1233.5,
    "performance_plant_kw": 1233.4,
    "nominated_kw": 1013.0,
    "missed_departures": 0,
    "departures": 282,
    "backfeed_on_dead_grid_s": 0.0,
    "outage_site_s": 12_600.0,
    "limit_violation_s": 0.0,
    "sampled_s": 11_145_600.0,
    "energy_balance_residual_pct": 0.001,
    "energy_balance_worst_station_pct": 0.014,
    "setpoint_sent_p99_ms": 13.0,
    "setpoint_met_p99_s": 14.2,
}


def test_a_good_run_holds_in_everything() -> None:
    assert {one.outcome for one in criteria(GOOD)} == {"holds"}


@pytest.mark.parametrize(
    ("key", "value", "name"),
    [
        ("performance_kw", 1012.9, "delivered what was promised, kW"),
        ("performance_plant_kw", -1233.4, "registers and plant agree on it, kW apart"),
        ("missed_departures", 1, "missed departures"),
        ("backfeed_on_dead_grid_s", 0.5, "backfeed on dead grid s"),
        ("limit_violation_s", 1, "limit violation s"),
        ("energy_balance_residual_pct", 0.11, "energy balance residual pct"),
        ("energy_balance_worst_station_pct", 0.11, "energy balance worst station pct"),
        ("setpoint_sent_p99_ms", 501.0, "setpoint sent p99 ms"),
        ("setpoint_met_p99_s", 30.1, "setpoint met p99 s"),
        ("energy_balance_residual_pct", float("nan"), "energy balance residual pct"),
    ],
)
def test_one_figure_beyond_its_bound_fails(key: str, value: float, name: str) -> None:
    failed = [one for one in criteria({**GOOD, key: value}) if one.outcome == "fails"]
    assert name in [one.name for one in failed]
    assert all(one.wanted in one.text() for one in failed)


@pytest.mark.parametrize("exposure", ["departures", "outage_site_s", "sampled_s"])
def test_a_zero_without_exposure_is_not_called_good(exposure: str) -> None:
    assert [one.outcome for one in criteria({**GOOD, exposure: 0})].count("not shown") == 1


def test_a_run_that_ends_before_its_event_shows_nothing_of_it() -> None:
    early = {**GOOD, "performance_kw": None, "performance_plant_kw": None, "nominated_kw": None}
    assert [one.outcome for one in criteria(early)].count("not shown") == 2
