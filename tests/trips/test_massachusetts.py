"""The Massachusetts programme on the day of 2023's measured peak, with the published data where they lie beside us.

The whole run, from the day before the event to the morning after it, judged by the issue's own criteria.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from revere.app.play import PlayOptions, load_scenario, play
from revere.core import facts as f
from tests.trips.by_hand import PROVEN_LEAST, Played, rates_usd_per_kw

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("REVERE_SHARED", ROOT.parent / "shared"))
DAYS = 2.4
"""To 09:36 on the morning after the event: the buses' first departure is in it."""


SCENARIO = load_scenario(ROOT / "scenarios" / "massachusetts.toml")


@pytest.fixture(scope="module")
def played() -> Played:
    """The run itself, once."""
    data, found = SHARED / "data", Played()
    options = PlayOptions(days=DAYS, data_dir=data if data.is_dir() else None, look=found.look)
    found.summary = play(SCENARIO, options)
    return found


@pytest.fixture(scope="module")
def shown(played: Played) -> dict[str, Any]:
    """The run's summary."""
    return played.summary


@pytest.mark.long
def test_the_published_files_drove_the_run(shown: dict[str, Any]) -> None:
    if not (SHARED / "data").is_dir():
        pytest.skip("this run was on synthetic series: ../shared/data is not here (set REVERE_SHARED)")
    assert "synthetic" not in shown["inputs"].values(), shown["inputs"]


@pytest.mark.long
def test_more_than_a_megawatt_was_promised_and_given(shown: dict[str, Any]) -> None:
    assert shown["nominated_kw"] >= 1_000
    assert shown["performance_kw"] >= shown["nominated_kw"]
    assert shown["lowest_5min_kw"] >= shown["nominated_kw"], "from the first five minutes to the last"
    assert shown["nameplate_discharge_kw"] <= 2_000
    assert shown["performance_plant_kw"] == pytest.approx(shown["performance_kw"], rel=0.02)
    assert shown["hours_at_1mw"] == pytest.approx(shown["usable_kwh_at_start"] / 1000, abs=1e-3)
    assert "concord" in shown["left_out_sites"]


@pytest.mark.long
def test_the_run_itself_found_nothing_that_fails(shown: dict[str, Any]) -> None:
    assert shown["failed"] == []


@pytest.mark.long
def test_nobody_missed_a_departure(shown: dict[str, Any]) -> None:
    assert shown["departures"] > 150
    assert shown["missed_departures"] == 0, shown["missed"]


@pytest.mark.long
def test_no_dead_grid_was_fed_and_no_limit_passed(shown: dict[str, Any]) -> None:
    assert shown["outage_site_s"] > 0
    assert shown["backfeed_on_dead_grid_s"] == 0
    assert shown["sampled_s"] > 0
    assert shown["limit_violation_s"] == 0, shown["unsafe_details"]


@pytest.mark.long
def test_energy_closes_and_setpoints_are_met(shown: dict[str, Any]) -> None:
    assert shown["energy_balance_stations"] >= 60
    assert shown["energy_balance_residual_pct"] < 0.1
    assert shown["energy_balance_worst_station_pct"] < 0.1, shown["energy_balance_worst_station"]
    assert shown["fleet_changes_in_events"] > 100
    assert shown["setpoints_met_in_events"] > 500
    assert shown["setpoint_sent_p99_ms"] < 500
    assert shown["setpoint_met_p99_s"] < 30
    assert shown["fleet_changes_unmet"] <= 1


@pytest.mark.long
def test_funds_and_ledger_are_there(shown: dict[str, Any]) -> None:
    assert shown["equity_more_than_one_third"] is True
    assert shown["ledger_lines"] > 0
    assert len(shown["journal_hash"]) == 64


@pytest.mark.long
def test_statements_equal_a_recomputation_by_hand_from_the_exported_readings(played: Played) -> None:
    rates = rates_usd_per_kw(SCENARIO)
    held = {site for site in rates if played.proven(site) < PROVEN_LEAST}
    assert held == {"fire-station", "home-lowell-03"} == {site for site, _, _ in played.dead()}
    posted = {line.entry.site_id: line.entry.cents for line in played.lines}
    assert posted == {site: played.cents(site, rate) for site, rate in rates.items() if site not in held}
    assert len(played.lines) == len(posted) == len(rates) - len(held) > 30
    assert {line.entry.state for line in played.lines} == {"expected"}
    (reported,) = [fact for fact in played.facts if isinstance(fact, f.EventReported)]
    assert set(reported.held) == held, "and each says why"


@pytest.mark.long
def test_no_alarm_of_a_silence_outlives_it(shown: dict[str, Any]) -> None:
    assert [key for key in shown["alarms_open"] if key.startswith("silent:")] == []
