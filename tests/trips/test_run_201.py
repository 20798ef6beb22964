"""The small programme with all its chargers on OCPP 2.0.1: limits below 0, leases, one profile a minute."""

from __future__ import annotations

from revere.app.play import PlayOptions, play
from tests.trips.rig import small
from tests.trips.test_run_small import DAYS


def test_a_programme_runs_on_201_chargers() -> None:
    scenario = small(edit=lambda text: text.replace('protocol = "ocpp2.1"', 'protocol = "ocpp2.0.1"'))
    assert {s.protocol for s in scenario.fleet.stations if s.discharge_kw > 0} == {"ocpp2.0.1"}
    shown = play(scenario, PlayOptions(days=DAYS))
    assert shown["performance_kw"] >= shown["lowest_5min_kw"] >= shown["nominated_kw"] > 0
    assert (shown["missed_departures"], shown["departures"] >= 10) == (0, True)
    assert (shown["backfeed_on_dead_grid_s"], shown["outage_site_s"]) == (0, 3600)
    assert (shown["limit_violation_s"], shown["sampled_s"] > 500_000) == (0, True)
    assert shown["alarms_open"] == []
    assert shown["failed"] == []
    assert shown["setpoints_met_in_events"] >= 10
